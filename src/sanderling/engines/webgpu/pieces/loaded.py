"""A plan, loaded: its pieces in order, and the values that go from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.driver.pipelines import Kernel
from sanderling.engines.webgpu.pieces.order import together
from sanderling.engines.webgpu.pieces.partition import GPU, Plan
from sanderling.engines.webgpu.pieces.segment import CpuSegment, GpuSegment, blame, cut
from sanderling.engines.webgpu.shelf import Shelf
from sanderling.errors import CompileError, KernelError, SanderlingError, UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

Segment = CpuSegment | GpuSegment
_numbers = count()


class Surprise(Exception):
    """A value has another shape than the graph declares, for which a piece on the GPU was made."""

    def __init__(self, tensor: int, shape: tuple[int, ...]) -> None:
        super().__init__(f"tensor {tensor} has shape {shape}")
        self.tensor, self.shape = tensor, shape


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the device did not take after all.

    Attributes:
        reasons: position of a node → why.
        faulty: operators whose kernel a compiler refused: a fault of ours or of the driver.
    """

    reasons: dict[int, str]
    faulty: list[str]


class Loaded:
    """Pieces of a graph, ready to run one after the other.

    Attributes:
        plan: which pieces there are.
        refused: position of a node → why it is not on the GPU.
        remembers: a piece on the CPU keeps a state of its own from call to call.
        verified: no piece on the GPU waits to be compared with LiteRT.
        plain: runs the whole where it is a single piece that takes and gives just what the graph does.
    """

    def __init__(
        self, model: Model, plan: Plan, segments: Sequence[Segment], refused: Mapping[int, str]
    ) -> None:
        self.graph, self.plan, self.refused = model.main, plan, refused
        self.segments = tuple(segments)
        self.verified = not self.gpu
        nodes = [model.main.nodes[p] for piece in plan.pieces for p in piece.nodes if piece.device != GPU]
        self.remembers = bool(together(replace(model.main, nodes=tuple(nodes))))
        graph = self.graph
        self._constants = {i: decode(graph.tensors[i]) for i in graph.outputs if graph.tensors[i].is_constant}
        self.plain: Callable[[Sequence[Array]], list[Array]] | None = None
        if len(segments) == 1 and (plan.pieces[0].inputs, plan.pieces[0].outputs) == (
            graph.inputs,
            graph.outputs,
        ):
            only = segments[0]
            self.plain = only.executor.run if isinstance(only, GpuSegment) else only.run

    @classmethod
    def make(
        cls,
        model: Model,
        plan: Plan,
        device: Device,
        target: Target,
        folder: Path,
        threads: int,
        refused: Mapping[int, str],
        shelf: Shelf | None = None,
    ) -> Loaded | Refusal:
        """Loads every piece.

        Returns: the loaded plan; or what the device does not take after all.

        Raises:
            ModelError: LiteRT does not take a piece.
        """
        segments: list[Segment] = []
        try:
            for piece in plan.pieces:
                part = cut(model, piece)
                if piece.device != GPU:
                    segments.append(CpuSegment(part, folder, f"piece{next(_numbers)}", threads))
                    continue
                try:
                    segments.append(GpuSegment(part, device, target, shelf, piece))
                except (CompileError, UnsupportedOperator) as error:
                    found = blame(part, device, target, error)
                    for segment in segments:
                        segment.close()
                    faulty = []
                    if isinstance(error, KernelError):
                        faulty = [part.main.nodes[p].kind for p in found]
                    return Refusal({piece.nodes[p]: reason for p, reason in found.items()}, faulty)
        except SanderlingError:
            for segment in segments:
                segment.close()
            raise
        return cls(model, plan, segments, dict(refused))

    @property
    def gpu(self) -> list[GpuSegment]:
        """The pieces on the GPU."""
        return [segment for _, segment in self.gpu_pieces()]

    def gpu_pieces(self) -> list[tuple[int, GpuSegment]]:
        """Returns: the pieces on the GPU with their numbers in the plan."""
        return [(n, s) for n, s in enumerate(self.segments) if isinstance(s, GpuSegment)]

    def kernels(self) -> list[Kernel]:
        """Returns: all kernels of the pieces on the GPU."""
        return [kernel for segment in self.gpu for kernel in segment.executor.program.kernels()]

    def run(self, inputs: Sequence[Array]) -> dict[int, Array]:
        """Runs all pieces. Returns: tensor index → value, of all that enters or leaves a piece.

        Raises:
            Surprise: a value has another shape than was declared.
        """
        values = dict(zip(self.graph.inputs, inputs, strict=True))
        for piece, segment in zip(self.plan.pieces, self.segments, strict=True):
            fed = [values[i] for i in piece.inputs]
            if isinstance(segment, GpuSegment):
                for index, array in zip(piece.inputs, fed, strict=True):
                    if array.shape != self.graph.tensors[index].shape:
                        raise Surprise(index, array.shape)
            values.update(zip(piece.outputs, segment.run(fed), strict=True))
        return values

    def outputs(self, values: Mapping[int, Array]) -> list[Array]:
        """Returns: the graph's outputs, each an array of its own."""
        found, given = [], set()
        for index in self.graph.outputs:
            array = self._constants[index] if index in self._constants else values[index]
            fresh = index not in given and index not in self._constants and index not in self.graph.inputs
            found.append(array if fresh else array.copy())
            given.add(index)
        return found

    def reset(self) -> None:
        """Sets variables in the pieces back to their initial values."""
        for segment in self.segments:
            segment.reset()

    def close(self) -> None:
        """Frees everything."""
        for segment in self.segments:
            segment.close()
