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
    pairs = list(zip(names, answers, strict=True))
    if all(len(each.lines) == 1 for each in answers):
        lines = [f"{name}: {each.lines[0]}" for name, each in pairs]
    else:
        lines = [line for name, each in pairs for line in (f"{name}:", *each.lines)]
    parts = [{"part": name, **each.data} for name, each in pairs]
    arrays = {f"{name} {key}": value for name, each in pairs for key, value in each.arrays.items()}
    drawn = [each.draw for each in answers if each.draw is not None]

    def draw(image: Any) -> Any:
        for one in drawn:
            image = one(image)
        return image

    seen = any(each.found for each in answers)
    return Answer(tuple(lines), {"parts": parts}, draw if drawn else None, arrays, found=seen)
