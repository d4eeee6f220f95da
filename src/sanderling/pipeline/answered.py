"""One item and its answer: words, numbers, a drawing, files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import files
from sanderling.errors import SanderlingError, StorageError, UsageError
from sanderling.graph.types import Array
from sanderling.tasks.answer import Answer

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one item.

    Attributes:
        name: of the item, for people.
        answer: the answer, None where there is an ``error``.
        error: why there is none: the item could not be read, or does not fit the model.
        short: the name without what many have in common, to call a result by.
        path: the item's file, if it has one.
        frame: its number in a video, else None.
        model_ms: time of the model's calls.
        rest_ms: time of all the rest: reading, preparing, understanding; not drawing.
        picture: the person's picture, to be drawn on; None when it was none.
        heat: with ``explain``: [H,W] of the picture's size, 0 to 1, what the answer rests on.
    """

    name: str
    answer: Answer | None = None
    error: SanderlingError | None = None
    short: str = ""
    path: Path | None = None
    frame: int | None = None
    model_ms: float = 0.0
    rest_ms: float = 0.0
    picture: Any = field(default=None, repr=False)
    heat: Array | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The answer (or the error) in words."""
        return str(self.error) if self.answer is None else "\n".join(self.answer.lines)

    def drawn(self) -> Image.Image | None:
        """Returns: the answer drawn on the person's picture (RGB), None when it cannot be drawn."""
        from sanderling.samples.pixels import in_colours

        if self.answer is None:
            return None
        image = None if self.picture is None else in_colours(self.picture, 3)
        if self.heat is not None and image is not None:
            from sanderling.tasks.drawing.heat import over

            return over(image, self.heat)
        if self.answer.draw is None or (image is None and not self.answer.arrays):
            return None
        return self.answer.draw(image)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Returns: plain values; the answer's own under ``answer``, or ``error``."""
        found: dict[str, Any] = {"input": self.name}
        if self.frame is not None:
            found["frame"] = self.frame
        if self.error is not None or self.answer is None:
            error = self.error
            found["error"] = {"what": error.what, "where": error.where, "hint": error.hint} if error else {}
            return found
        return found | {
            "answer": dict(self.answer.data), "model_ms": self.model_ms, "rest_ms": self.rest_ms,
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Writes the answer as its suffix says: a picture, ``.txt``, ``.json``, ``.npy``, ``.npz``, or what
        else the task can write.

        Raises:
            UsageError: the answer cannot be written like that.
            StorageError: the file cannot be written.
        """
        target = Path(path)
        if self.answer is None:
            raise UsageError("there is no answer to write", where=str(target)) from self.error
        try:
            _write(self, self.answer, target)
        except OSError as error:
            raise StorageError(
                f"the answer cannot be written ({error.strerror or error})", where=str(target)
            ) from None
        return target


def _write(answered: Answered, answer: Answer, target: Path) -> None:
    suffix = target.suffix.lower()
    if suffix in answer.save:
        answer.save[suffix](target)
    elif suffix == ".txt":
        files.write_text(target, answered.text + "\n")
    elif suffix == ".json":
        from sanderling.tasks.words import strict_json

        text = json.dumps(strict_json(answered.to_json()), indent=1, ensure_ascii=False)
        files.write_text(target, text + "\n")
    elif suffix in (".npy", ".npz"):
        _write_arrays(answer, target)
    else:
        _write_picture(answered, target)


def _write_arrays(answer: Answer, target: Path) -> None:
    import numpy as np

    if not answer.arrays:
        raise UsageError("this answer holds no arrays", where=str(target), hint="write it as .json")
    with files.whole(target) as file:
        if target.suffix.lower() == ".npy":
            if len(answer.arrays) != 1:
                names = ", ".join(answer.arrays)
                raise UsageError(
                    f"the answer holds several arrays ({names})", where=str(target), hint="use .npz"
                )
            np.save(file, next(iter(answer.arrays.values())))
        else:
            arrays: dict[str, Any] = {name: np.asarray(value) for name, value in answer.arrays.items()}
            np.savez(file, **arrays)


def _write_picture(answered: Answered, target: Path) -> None:
    from PIL import Image

    suffix = target.suffix.lower()
    if suffix not in Image.registered_extensions():
        raise UsageError(
            f"files ending in {suffix or 'nothing'!r} are not known", where=str(target),
            hint="give .png, .jpg, .txt, .json, .npy or .npz",
        )  # fmt: skip
    drawn = answered.drawn()
    if drawn is None:
        raise UsageError(
            "there is nothing to draw this answer on", where=str(target), hint="write it as .txt or .json"
        )
    with files.whole(target) as file:
        options = {"quality": 92} if suffix in (".jpg", ".jpeg") else {}
        drawn.save(file, Image.registered_extensions()[suffix], **options)
