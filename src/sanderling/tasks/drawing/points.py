"""Points and the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.drawing.colours import Colour, colour
from sanderling.tasks.drawing.ink import Layer, stroke

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[np.float64]
_MESH = (235, 242, 250, 190)
_CANDIDATES = 12  # nearest points that a point may be joined with


@dataclass(frozen=True, slots=True)
class Chain:
    """Points joined in this order, all in the colour of a number."""

    points: tuple[int, ...]
    number: int
    closed: bool = False


def draw_points(
    image: Image.Image,
    points: Floats,
    chains: Sequence[Chain],
    mesh: Sequence[tuple[int, int]] = (),
    seen: npt.NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Draws points with their chains, and a faint mesh between them.

    Args:
        points: [n,2] in pixels of the picture.
        chains: drawn thick.
        mesh: pairs of points, drawn thin.
        seen: [n], which are drawn; None for all. A line needs both of its ends.
    """
    visible = np.ones(len(points), bool) if seen is None else seen
    if not visible.any():
        return image
    size = float(np.ptp(points[visible], axis=0).max())
    # Lines suit what they are drawn on: a small face in a large picture needs fine ones.
    width = max(1.0, min(stroke(image.size) + 1.0, size / 80))
    with Layer(image, points[visible], 2 * width + 2) as layer:
        places = layer.places(points)
        thin, thick = max(1, round(0.5 * width * layer.factor)), max(1, round(width * layer.factor))
        for a, b in mesh:
            if visible[a] and visible[b]:
                layer.draw.line([places[a], places[b]], fill=_MESH, width=thin)
        for chain in chains:
            _chain(layer, chain, places, visible, thick)
        if not mesh:
            joined: dict[int, Colour] = {i: colour(c.number) for c in chains for i in c.points}
            for number, (x, y) in enumerate(places):
                if visible[number]:
                    layer.dot(x, y, 0.9 * thick + layer.factor, joined.get(number, colour(0)))
    return layer.image


def _chain(pen: Layer, chain: Chain, places: Sequence[tuple[float, float]], visible: Any, width: int) -> None:
    ends = [*chain.points, chain.points[0]] if chain.closed else list(chain.points)
    run: list[tuple[float, float]] = []
    for number in [*ends, -1]:  # a point that is not seen breaks the line
        if number >= 0 and number < len(places) and visible[number]:
            run.append(places[number])
            continue
        if len(run) > 1:
            pen.line(run, colour(chain.number), width)
        run = []


def neighbours(points: Floats) -> list[tuple[int, int]]:
    """Joins points that have no other point between them: none inside of the ball over their line.

    Args:
        points: [n,2] or [n,3].

    Returns: pairs, each once.

    Source: Gabriel and Sokal, A new statistical approach to geographic variation analysis (1969).
    """
    count = len(points)
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    order = np.argsort(apart, axis=1)[:, 1 : _CANDIDATES + 1]
    near = points[order]  # [n, candidates, dims]
    # c lies in the ball over the line from a to b where the angle at c is blunt; b is then farther from a.
    towards = points[:, None] - near
    blunt = np.einsum("nid,njid->nji", towards, near[:, :, None] - near[:, None]) < -1e-12
    nearer = np.tri(order.shape[1], k=-1, dtype=bool)
    free = ~(blunt & nearer).any(axis=2)
    first = np.broadcast_to(np.arange(count)[:, None], order.shape)[free]
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in zip(first, order[free], strict=True)}
    return sorted(pairs)
