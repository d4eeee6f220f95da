"""Several answers about one thing (faces of a picture, windows of a sound) as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sanderling.tasks.answer import Answer


def stacked(answers: Sequence[Answer], names: Sequence[str]) -> Answer:
    """Puts answers one below the other.

    Args:
        answers: at least two, of one task.
        names: what each is about: ``face 1``.
    """
    lines = [line for name, each in zip(names, answers, strict=True) for line in (f"{name}:", *each.lines)]
    parts = [{"part": name, **each.data} for name, each in zip(names, answers, strict=True)]
    arrays = {
        f"{name} {key}": value
        for name, each in zip(names, answers, strict=True)
        for key, value in each.arrays.items()
    }
    drawn = [each.draw for each in answers if each.draw is not None]

    def draw(image: Any) -> Any:
        for one in drawn:
            image = one(image)
        return image

    return Answer(tuple(lines), {"parts": parts}, draw if drawn else None, arrays)
