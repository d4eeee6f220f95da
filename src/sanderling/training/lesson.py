"""What is learned from: the user's samples without labels, and variations of them where they are images.

The teacher answers the variations too, so that any picture that could have been among the samples helps, and
none can be labelled wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.graph import Tensor
from sanderling.graph.types import Array

_LIMIT_BYTES = 2**30  # of samples that are kept in memory
_HELD_EVERY, _MOST_HELD = 8, 256  # of the samples, and at most: they are judged many times
_FEWEST = 2
_SMALLEST_IMAGE, _LARGE_IMAGE = 12, 64  # between these, crops lose what they show
_CHANCE_OF_MIXING = 0.3


@dataclass(frozen=True, slots=True)
class Variation:
    """How an image may be varied.

    Attributes:
        smallest: the smallest share of its sides that a crop keeps.
        flips: it may be mirrored.
    """

    smallest: float
    flips: bool


class Lesson:
    """Batches of samples.

    Args:
        torch: the module.
        feeds: one call's inputs each, by the model's input names.
        names: the inputs' names, in order.
        inputs: the inputs' tensors, in order.
        vary: samples are varied: crops and mirror images of photos, small shifts of grey images, mixtures.

    Raises:
        SampleError: there are fewer than two samples, or a value is NaN or infinite.
    """

    def __init__(
        self,
        torch: Any,
        feeds: Iterator[Mapping[str, Array]] | Sequence[Mapping[str, Array]],
        names: Sequence[str],
        inputs: Sequence[Tensor],
        *,
        vary: bool = True,
    ) -> None:
        self._torch = torch
        columns = _gathered(feeds, names)
        self._arrays = [torch.from_numpy(np.stack(column)) for column in columns]
        self.size = len(columns[0])
        numbers = np.arange(self.size)
        every = max(_HELD_EVERY, -(-self.size // _MOST_HELD))
        held = numbers[every - 1 :: every] if self.size >= every else numbers[-1:]
        self._held = held
        self._seen = np.setdiff1d(numbers, held)
        self._variations = [variation_of(t) if vary else None for t in inputs]
        self._mixed = vary and all(t.dtype.is_float for t in inputs)

    def batch(self, size: int, rng: np.random.Generator) -> list[Any]:
        """Returns: samples drawn at random and varied, one tensor [size · N, …] per input."""
        picked = rng.choice(self._seen, size, replace=size > len(self._seen))
        values = [array[picked].flatten(0, 1) for array in self._arrays]
        values = [
            value if how is None else self._varied(value, how, rng)
            for value, how in zip(values, self._variations, strict=True)
        ]
        if self._mixed and size > 1 and rng.random() < _CHANCE_OF_MIXING:
            share, turn = float(rng.uniform(0.3, 0.7)), int(rng.integers(1, size))
            values = [share * v + (1 - share) * self._torch.roll(v, turn, 0) for v in values]
        return values

    def held_out(self, size: int) -> Iterator[list[Any]]:
        """Yields: the samples that are never trained on, as they are, in batches."""
        for start in range(0, len(self._held), size):
            yield [array[self._held[start : start + size]].flatten(0, 1) for array in self._arrays]

    def first(self, count: int) -> list[Any]:
        """Returns: the first samples as they are."""
        return [array[:count].flatten(0, 1) for array in self._arrays]

    def _varied(self, image: Any, how: Variation, rng: np.random.Generator) -> Any:
        """Returns: images [N, H, W, C], each seen through a window of its own inside of it."""
        torch, count = self._torch, len(image)
        side = rng.uniform(how.smallest, 1.0, (count, 2)).astype(np.float32)
        centre = rng.uniform(-1.0, 1.0, (count, 2)).astype(np.float32) * (1 - side)
        mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0).astype(np.float32) if how.flips else 1.0
        matrices = np.zeros((count, 2, 3), np.float32)
        matrices[:, 0, 0], matrices[:, 1, 1] = side[:, 0] * mirror, side[:, 1]
        matrices[:, :, 2] = centre
        shape = (count, image.shape[3], *image.shape[1:3])
        grid = torch.nn.functional.affine_grid(torch.from_numpy(matrices), shape, align_corners=False)
        seen = torch.nn.functional.grid_sample(
            image.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=False
        )
        return seen.permute(0, 2, 3, 1).contiguous()


def variation_of(tensor: Tensor) -> Variation | None:
    """Returns: how an input may be varied, None where it is no image."""
    shape = tensor.shape
    if len(shape) != 4 or not tensor.dtype.is_float or min(shape[1:3]) < _SMALLEST_IMAGE:
        return None
    if shape[3] == 3:
        return Variation(0.6 if min(shape[1:3]) >= _LARGE_IMAGE else 0.85, True)
    return Variation(0.85, False) if shape[3] == 1 else None


def _gathered(feeds: Any, names: Sequence[str]) -> list[list[Array]]:
    columns: list[list[Array]] = [[] for _ in names]
    total = 0
    for number, feed in enumerate(feeds):
        for column, name in zip(columns, names, strict=True):
            value = np.asarray(feed[name])
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise SampleError(
                    f"sample {number} holds NaN or infinity", where=name, hint="remove it from the samples"
                )
            column.append(value)
            total += value.nbytes
        if total > _LIMIT_BYTES:
            break
    if len(columns[0]) < _FEWEST:
        raise SampleError(
            f"{len(columns[0])} sample is too few to learn from", hint=f"give at least {_FEWEST}, better 50"
        )
    return columns
