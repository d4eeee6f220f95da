"""A piece of a graph as a model of its own, loaded: onto the GPU by our kernels, onto the CPU by LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sanderling.engines import trust
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.pieces.on_cpu import OnCpu
from sanderling.engines.webgpu.pieces.partition import Piece
from sanderling.engines.webgpu.remember import fingerprint
from sanderling.engines.webgpu.shelf import Shelf
from sanderling.errors import CompileError, SanderlingError, UnsupportedOperator
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.passes.pipeline import run

_TIDY = ("fold_constants", "drop_no_ops", "drop_dead_code")


def cut(model: Model, piece: Piece) -> Model:
    """Returns: the piece as a model whose inputs and outputs are the piece's, in their order."""
    return trust.cut(model, trust.Part(piece.nodes, piece.inputs, piece.outputs))


class CpuSegment:
    """A piece that LiteRT runs.

    Args:
        model: what ``cut`` gave.
        folder: where its file is written; it must stay until ``close``.
        name: of the file.
        threads: CPU threads.
    """

    def __init__(self, model: Model, folder: Path, name: str, threads: int) -> None:
        self._path = folder / f"{name}.tflite"
        self._runner = OnCpu(model, self._path, threads=threads)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return self._runner.run(inputs)

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        self._runner.reset()

    def close(self) -> None:
        self._runner.close()
        self._path.unlink(missing_ok=True)


class GpuSegment:
    """A piece that our kernels run.

    Args:
        model: what ``cut`` gave.
        device: the device.
        target: what to compile for.
        shelf: where its program may lie.
        piece: by which it is found there.

    Raises:
        CompileError: it cannot be compiled, or the device refuses a kernel.
    """

    def __init__(
        self,
        model: Model,
        device: Device,
        target: Target,
        shelf: Shelf | None = None,
        piece: Piece | None = None,
    ) -> None:
        self.model = model
        tidy = run(model, _TIDY)[0]
        self.graph = tidy.main  # what the program's dispatches count nodes in

        def compiled() -> Program:
            from sanderling.engines.webgpu.compiler.compile import compile_graph

            names = tidy.input_names(), tidy.output_names()
            return compile_graph(tidy.main, *names, target, soon=device.pipelines.soon)

        kept = shelf or Shelf(None)
        program, self._mark = kept.program(piece, tidy.main, compiled)
        self.executor = Executor(program, device)

    @property
    def mark(self) -> str:
        """The fingerprint of its program."""
        self._mark = self._mark or fingerprint(self.executor.program)
        return self._mark

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        return self.executor.run(inputs)

    def reset(self) -> None:
        """Nothing to do: it keeps nothing."""

    def close(self) -> None:
        self.executor.close()


def blame(model: Model, device: Device, target: Target, error: SanderlingError) -> dict[int, str]:
    """Finds the nodes that stop a piece from being compiled, by compiling each alone.

    Returns: position in the piece → why; all of them where none fails alone.
    """
    found: dict[int, str] = {}
    graph = model.main
    for position, node in enumerate(graph.nodes):
        alone = cut(model, single(graph, position))
        if not node.outputs:
            continue
        try:
            GpuSegment(alone, device, target).close()
        except (CompileError, UnsupportedOperator) as refused:
            found[position] = refused.what
    return found or dict.fromkeys(range(len(graph.nodes)), error.what)


def single(graph: Graph, position: int) -> Piece:
    """Returns: one node as a piece."""
    node = graph.nodes[position]
    entering = tuple(dict.fromkeys(i for i in node.inputs if i >= 0 and not graph.tensors[i].is_constant))
    return Piece("gpu", (position,), entering, node.outputs)
