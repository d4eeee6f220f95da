"""Where the pixels that a model sees lie in the picture that a person gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """An affine map from the input's pixels to those of the picture.

    Attributes:
        side: height and width of the input.
        size: width and height of the picture.
        matrix: [2,3]: (x, y) of the picture = matrix · (x, y, 1) of the input, in pixels, counted from the
            corners (the centre of the first pixel is 0.5, 0.5).
    """

    side: tuple[int, int]
    size: tuple[int, int]
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]

    @property
    def _matrix(self) -> Floats:
        found: Floats = np.asarray(self.matrix, np.float64)
        return found

    def points(self, places: Any) -> Floats:
        """Args: places [..., 2] as x, y in the input's pixels. Returns: the same in the picture's."""
        found: Floats = np.asarray(places, np.float64) @ self._matrix[:, :2].T + self._matrix[:, 2]
        return found

    def boxes(self, corners: Any) -> Floats:
        """Args: corners [n,4] as left, top, right, bottom in pixels of the input.

        Returns: the upright boxes around them in the picture, cut at its borders.
        """
        found = np.asarray(corners, np.float64).reshape(-1, 4)
        ends = self.points(found[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        low, high = ends.min(axis=1), ends.max(axis=1)
        limits = np.array([*self.size, *self.size], np.float64)
        upright: Floats = np.clip(np.concatenate([low, high], axis=1), 0, limits)
        return upright

    def within(self, outer: Placement) -> Placement:
        """Returns: the same input's place in a picture of which this one is a part, placed like ``outer``."""
        whole = np.vstack([outer._matrix, [0, 0, 1]]) @ np.vstack([self._matrix, [0, 0, 1]])
        first, second = (tuple(float(v) for v in row) for row in whole[:2])
        return Placement(self.side, outer.size, (first, second))  # type: ignore[arg-type]

    def cut(self, image: Image.Image) -> Image.Image:
        """Returns: the input's part of the picture, at the input's size; black beyond its borders."""
        from PIL import Image

        height, width = self.side
        matrix = self._matrix
        step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        # A transformation looks at single pixels: what will be much smaller is averaged first.
        factor = max(1, int(step))
        small = image.reduce(factor) if factor > 1 else image
        data = tuple((matrix / factor).ravel())
        return small.transform((width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)

    def backwards(self) -> Floats:
        """Returns: the inverse map [2,3], from the picture's pixels to the input's."""
        linear = np.linalg.inv(self._matrix[:, :2])
        return np.concatenate([linear, -(linear @ self._matrix[:, 2:])], axis=1)

    def spread(self, values: Any, outside: float = 0.0) -> npt.NDArray[np.float32]:
        """Lays a map of the input over the picture, with linear interpolation.

        Args:
            values: [h,w] or [h,w,C], of any resolution, covering the whole input.
            outside: the value where the input does not reach.

        Returns: float32 [H,W] or [H,W,C] of the picture's size.
        """
        from PIL import Image

        planes = np.asarray(values, np.float32)
        flat = planes[:, :, None] if planes.ndim == 2 else planes
        height, width = flat.shape[:2]
        scale = np.array([[width / self.side[1]], [height / self.side[0]]])
        matrix = self.backwards() * scale
        spread = []
        for plane in np.moveaxis(flat, 2, 0):
            # A border of one pixel that repeats the edge: interpolation does not fade into the outside.
            padded = np.pad(plane, 1, mode="edge")
            image = Image.fromarray(np.ascontiguousarray(padded))
            data = tuple((matrix + np.array([[0, 0, 1], [0, 0, 1]])).ravel())
            moved = image.transform(
                self.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=outside
            )
            spread.append(np.asarray(moved, np.float32))
        stacked: npt.NDArray[np.float32] = np.stack(spread, axis=2)
        if not self.covers():
            inside = self.inside()
            stacked[~inside] = outside
        return stacked[:, :, 0] if planes.ndim == 2 else stacked

    def covers(self) -> bool:
        """Returns: whether the input shows the whole picture."""
        width, height = self.size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        back = self.backwards()
        found = corners @ back[:, :2].T + back[:, 2]
        limits = np.array([self.side[1], self.side[0]])
        return bool((found >= -1e-6).all() and (found <= limits + 1e-6).all())

    def inside(self) -> npt.NDArray[np.bool_]:
        """Returns: [H,W], true for the picture's pixels that the input shows."""
        width, height = self.size
        y, x = np.mgrid[0:height, 0:width] + 0.5
        back = self.backwards()
        column = back[0, 0] * x + back[0, 1] * y + back[0, 2]
        row = back[1, 0] * x + back[1, 1] * y + back[1, 2]
        inside: npt.NDArray[np.bool_] = (
            (column >= 0) & (column <= self.side[1]) & (row >= 0) & (row <= self.side[0])
        )
        return inside


def shown(side: tuple[int, int], size: tuple[int, int], box: tuple[float, float, float, float]) -> Placement:
    """The input shows an upright part of the picture, which may reach beyond it.

    Args:
        side: height and width of the input.
        size: width and height of the picture.
        box: left, top, right, bottom of the part in the picture.
    """
    left, top, right, bottom = box
    across, down = (right - left) / side[1], (bottom - top) / side[0]
    return Placement(side, size, ((across, 0.0, left), (0.0, down, top)))
