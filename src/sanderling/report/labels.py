"""Placing labels beside points so that none covers another label or a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Average advance of system sans-serif fonts at 1 px, a little generous.
_CHARACTER = 0.56


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y growing downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, slots=True)
class Label:
    """Text with its baseline's left end at (x, y)."""

    x: float
    y: float
    text: str
    box: Box


def text_width(text: str, size: float) -> float:
    """Returns: about how wide a text is in pixels; wide (East Asian) characters count double."""
    return sum(2.0 if ord(c) > 0x2E80 else 1.0 for c in text) * _CHARACTER * size


def place(
    points: Iterable[tuple[float, float, Sequence[str]]],
    obstacles: Iterable[Box],
    bounds: Box,
    size: float,
    lines: Sequence[Box] = (),
) -> list[Label]:
    """Places a label beside each point where there is room; the first points choose first.

    Args:
        points: (x, y, texts), most important point first; its texts from the best one to the shortest.
        obstacles: what labels must not cover.
        bounds: what labels must stay within.
        size: the font's size in pixels.
        lines: what labels should not cover, where there is another place.

    Returns: the labels that found room; a point without room goes without.
    """
    taken = list(obstacles)
    placed = []
    for x, y, texts in points:
        free = [
            candidate
            for text in texts
            for candidate in _candidates(x, y, text, size)
            if candidate.box.inside(bounds) and not any(candidate.box.overlaps(box) for box in taken)
        ]
        # The longest text; of its places the first of those that cover fewest lines (min keeps the order).
        label = min(
            (c for c in free if c.text == free[0].text),
            key=lambda c: sum(c.box.overlaps(line) for line in lines),
            default=None,
        )
        if label is not None:
            taken.append(label.box)
            placed.append(label)
    return placed


def _candidates(x: float, y: float, text: str, size: float) -> Iterable[Label]:
    width = text_width(text, size)
    # Farther away a label would seem to belong to another point.
    for gap in (9.0, 15.0):
        level = size * 0.35
        for dx, dy in (
            (gap, level),
            (-gap - width, level),
            (-width / 2, -gap),
            (-width / 2, gap + size * 0.75),
            (gap * 0.7, -gap * 0.7),
            (gap * 0.7, gap * 0.7 + size * 0.7),
            (-gap * 0.7 - width, -gap * 0.7),
            (-gap * 0.7 - width, gap * 0.7 + size * 0.7),
        ):
            left, line = round(x + dx, 1), round(y + dy, 1)
            yield Label(left, line, text, Box(left, line - size * 0.8, left + width, line + size * 0.25))
