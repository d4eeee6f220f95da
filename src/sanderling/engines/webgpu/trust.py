"""Trust on first use: a piece's answer on the GPU beside LiteRT's (see ``engines/trust.py``)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from sanderling.engines import trust
from sanderling.engines.webgpu.compiler.half import narrow
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.pieces.on_cpu import OnCpu
from sanderling.engines.webgpu.pieces.segment import GpuSegment
from sanderling.errors import CompileError, UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array


class Check(trust.Check):
    """Compares one piece with LiteRT.

    Args:
        model: the piece as a model.
        folder: for its file.
        device, target: what the GPU's answers come from.
        whole: the user's file and what was read from it, where the piece is all of it.
    """

    def __init__(
        self,
        model: Model,
        folder: Path,
        device: Device,
        target: Target,
        whole: tuple[Path, Model] | None = None,
    ) -> None:
        graph = model.main
        half = [bool(narrow(graph, n, half=target.half, wide=target.wide)) for n in graph.nodes]
        super().__init__(model, folder, half, whole)
        self._device, self._target = device, target

    def answers(self, part: trust.Part, inputs: Sequence[Array]) -> list[Array] | None:
        """Runs some of the piece's operators on the GPU, compiled by themselves."""
        try:
            segment = GpuSegment(trust.cut(self._model, part), self._device, self._target)
        except (CompileError, UnsupportedOperator):
            return None
        try:
            return segment.run(inputs)
        finally:
            segment.close()

    def oracle(self, model: Model, path: Path, options: Mapping[str, object]) -> trust.Oracle:
        """Returns: a piece in LiteRT, fed with the states of its lifted calls."""
        return OnCpu(model, path, options=options)


class Foreseen:
    """A check whose expected answers are computed in a thread of its own, while the GPU computes its own.

    Args:
        make: makes the check.
        inputs: of the piece.
    """

    def __init__(self, make: Callable[[], Check], inputs: Sequence[Array]) -> None:
        self.inputs = list(inputs)
        self._found: Future[tuple[Check, list[Array]]] = Future()
        threading.Thread(target=self._work, args=(make,), name="sanderling-trust").start()

    def _work(self, make: Callable[[], Check]) -> None:
        try:
            check = make()
            self._found.set_result((check, check.expected(self.inputs)))
        except BaseException as error:  # noqa: BLE001 - whoever asks gets it
            self._found.set_exception(error)

    def about(self, inputs: Sequence[Array]) -> bool:
        """Returns: whether these are the inputs that it was made for."""
        return len(inputs) == len(self.inputs) and all(
            a is b for a, b in zip(inputs, self.inputs, strict=True)
        )

    def result(self) -> tuple[Check, list[Array]]:
        """Returns: the check, and what it expects.

        Raises:
            ModelError: LiteRT cannot run the piece.
        """
        return self._found.result()
