"""What an answer rests on: parts of the picture are covered with grey, one after another; where the answer
suffers most, it rests on what was covered.

Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (occlusion sensitivity).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.graph.types import Array
from sanderling.pipeline.seen import Seen
from sanderling.samples.inputs import picture_of
from sanderling.tasks.placement import Placement
from sanderling.tasks.words import share

if TYPE_CHECKING:
    from sanderling.pipeline.pipeline import Pipeline

Heat = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an answer rests on.

    Attributes:
        heat: [H,W] of the picture's size, from 0 (covering it costs least) to 1 (covering it costs most).
        words: the same in one line.
    """

    heat: Heat
    words: str


_PATCHES = 6  # to a side: a patch covers a sixth
_STEPS = 3  # positions to a patch's side: each place is covered nine times
_GREY = 128


def explain(
    pipeline: Pipeline, parts: Sequence[Seen], progress: Callable[[int, int], None] | None
) -> Explanation:
    """Makes a map of what an answer rests on.

    Args:
        pipeline: the model and its task, settled.
        parts: what the model saw, pictures.
        progress: is called with (done, of so many).

    Returns: the map, and what it comes down to in words.

    Raises:
        UsageError: the answer does not come from a picture, or cannot be compared with another.
    """
    heats, losses = [], []
    for number, seen in enumerate(parts):

        def tell(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, len(parts) * total)

        heat, loss = _one(pipeline, seen, tell)
        heats.append(heat)
        losses.append(loss)
    heat = np.maximum.reduce(heats)
    y, x = (int(v) for v in np.unravel_index(int(heat.argmax()), heat.shape))
    words = (
        f"rests most on what is around ({x}, {y}): covering it takes {share(max(losses))} of the answer away"
    )
    # What covering any place costs says nothing of places.
    low, top = float(np.percentile(heat, 5)), float(heat.max())
    shown: Heat = np.clip((heat - low) / (top - low), 0, 1) if top > low else np.zeros_like(heat)
    return Explanation(shown, words if max(losses) > 0 else "covering any part changes nothing")


def _one(pipeline: Pipeline, seen: Seen, tell: Callable[[int, int], None]) -> tuple[Heat, float]:
    """Returns: the losses where covering costs them, [H,W] of the picture's size, and the worst."""
    settled = pipeline.settled
    assert settled is not None
    name = next((n for n, each in seen.fed.items() if each.placement is not None), None)
    place = seen.asked.placement
    if name is None or place is None:
        raise UsageError("only answers about pictures can be explained", where="--explain")
    held = settled.task.answer(seen.outputs, settled.options, seen.asked).held
    if held is None:
        raise UsageError(f"answers of {settled.task.name} cannot be explained", where="--explain")
    worst = 0.0
    losses = np.zeros(place.side, np.float64)
    times = np.zeros(place.side, np.float64)
    boxes = list(_positions(place.side))
    feed = {n: each.array for n, each in seen.fed.items()}
    grey = _grey(pipeline, seen, name)
    for number, (rows, columns) in enumerate(boxes):
        covered = _cover(pipeline, feed[name], grey, name, rows, columns)
        loss = max(0.0, 1.0 - held(pipeline.machine({**feed, name: covered})))
        worst = max(worst, loss)
        losses[rows, columns] += loss
        times[rows, columns] += 1
        tell(number + 1, len(boxes))
    return _over_picture(losses / np.maximum(times, 1), place), worst


def _positions(side: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yields: patches [rows, columns] of about a sixth of each side, a third of their side apart."""

    def along(length: int) -> list[slice]:
        patch = max(1, round(length / _PATCHES))
        count = min(length - patch + 1, (_PATCHES - 1) * _STEPS + 1)
        starts = sorted({int(s) for s in np.linspace(0, length - patch, max(count, 1)).round()})
        return [slice(start, start + patch) for start in starts]

    for rows in along(side[0]):
        for columns in along(side[1]):
            yield rows, columns


def _grey(pipeline: Pipeline, seen: Seen, name: str) -> Array:
    """Returns: what goes in for a picture that is grey all over."""
    from PIL import Image

    image = seen.given[name]
    settings = dict(zip((p.spec.name for p in pipeline.ports), pipeline.spec.inputs, strict=True))[name]
    port = next(port for port in pipeline.ports if port.spec.name == name)
    flat = Image.new("RGB", image.size, (_GREY,) * 3)
    return port.kind.feed(flat, settings, port.spec, "grey").array


def _cover(pipeline: Pipeline, array: Array, grey: Array, name: str, rows: slice, columns: slice) -> Array:
    port = next(port for port in pipeline.ports if port.spec.name == name)
    picture = picture_of(port.spec)
    assert picture is not None
    where: dict[str, tuple[Any, ...]] = {
        "NHWC": (slice(None), rows, columns),
        "NCHW": (slice(None), slice(None), rows, columns),
        "NHW": (slice(None), rows, columns),
        "HWC": (rows, columns),
    }
    covered = array.copy()
    covered[where[picture.layout]] = grey[where[picture.layout]]
    return covered


def _over_picture(losses: npt.NDArray[np.float64], place: Placement) -> Heat:
    from PIL import Image

    # Steps of a third of a patch are all that there is to see; interpolated, they do not look like blocks.
    height, width = (min(_PATCHES * _STEPS, length) for length in place.side)
    coarse = Image.fromarray(losses.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    heat: Heat = np.clip(place.spread(np.asarray(coarse)), 0, None)
    return heat
