"""What can be seen of a model's answers: names, shapes and a few samples of each output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.tasks.task import Outputs

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Output:
    """One output over a few samples, in real values.

    Attributes:
        position: its place among the model's outputs.
        name: as the model calls it.
        samples: one array per sample.
    """

    position: int
    name: str
    samples: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape on the first sample."""
        return self.samples[0].shape

    @property
    def size(self) -> int:
        return int(self.samples[0].size)

    @property
    def plain(self) -> tuple[int, ...]:
        """The shape without axes of size 1."""
        return tuple(d for d in self.shape if d != 1)

    def flat(self) -> Floats:
        """Returns: the values of all samples, [samples × elements]."""
        return np.concatenate([np.asarray(s, np.float64).reshape(-1) for s in self.samples])

    def within(self, low: float, high: float) -> bool:
        """Returns: whether every value lies between both (with a hair's breadth of tolerance)."""
        values = self.flat()
        return bool(values.size and values.min() >= low - 1e-4 and values.max() <= high + 1e-4)

    def is_distribution(self, axis: int = -1) -> bool:
        """Returns: whether values along the axis are not negative and sum to one (int8 softmax: roughly)."""
        if self.samples[0].ndim == 0 or self.shape[axis] < 2 or not all(s.size for s in self.samples):
            return False
        return all(
            s.min() >= -1e-5 and np.allclose(np.asarray(s, np.float64).sum(axis=axis), 1, atol=0.03)
            for s in self.samples
        )


@dataclass(frozen=True, slots=True)
class View:
    """A model's outputs, and the sizes of its input.

    Attributes:
        outputs: in the model's order.
        input_shape: of the first input; () when there is none.
    """

    outputs: tuple[Output, ...]
    input_shape: tuple[int, ...]

    @property
    def side(self) -> tuple[int, int] | None:
        """Height and width of the picture that goes in, None when the input is no picture."""
        shape = self.input_shape
        if len(shape) != 4:
            return None
        if shape[3] in (1, 3, 4) and min(shape[1:3]) >= 8:
            return shape[1], shape[2]
        if shape[1] in (1, 3, 4) and min(shape[2:]) >= 8:
            return shape[2], shape[3]
        return None


def view_of(model: Model, outputs: Sequence[Outputs], input_shape: tuple[int, ...] | None = None) -> View:
    """Looks at some samples' outputs.

    Args:
        model: what gave them.
        outputs: of each sample, real values.
        input_shape: what the first input took, where the model takes any size; None: as the file says.

    Raises:
        SampleError: there are no samples, or they have different numbers of outputs.
    """
    if not outputs or not outputs[0]:
        raise SampleError(
            "a task is decided from the answers to at least one sample, got none", where=model.name
        )
    count = len(outputs[0])
    names = model.output_names()
    if any(len(sample) != count for sample in outputs) or len(names) != count:
        raise SampleError(f"the model has {len(names)} outputs, got {count}", where=model.name)
    seen = tuple(
        Output(i, names[i], tuple(np.asarray(sample[i]) for sample in outputs)) for i in range(count)
    )
    graph = model.main
    shape = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    return View(seen, input_shape or shape)


def finite_view(view: View) -> bool:
    """Returns: whether every value seen is finite; nothing can be told from others."""
    return all(np.isfinite(s).all() for o in view.outputs for s in o.samples if s.dtype.kind == "f")
