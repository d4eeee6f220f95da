"""Who compares a loaded plan with LiteRT the first time, remembers what was found, and tells people."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.engines.trust import Wrong, telling
from sanderling.engines.webgpu.compiler.half import leading_to, narrow
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.pieces.loaded import Loaded
from sanderling.engines.webgpu.pieces.segment import GpuSegment
from sanderling.engines.webgpu.pieces.verdicts import known_by
from sanderling.engines.webgpu.remember import Memory
from sanderling.engines.webgpu.trust import Check, Foreseen
from sanderling.errors import ModelError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array


class WrongAnswer(UserWarning):
    """The GPU gave a wrong answer for an operator, which runs on the CPU now."""


class Judge:
    """Judges the plans of one model.

    Args:
        name: of the model, for messages.
        target: what they are to be compiled for.
        memory: what is known from earlier runs.
        folder: for LiteRT's files.
        whole: the user's file and what was read from it; None where nobody says that they are the same.
        trust: compare nothing.

    Attributes:
        target: what they are compiled for, wider where 16 bits were found to be too few.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        memory: Memory,
        folder: Path,
        *,
        whole: tuple[Path, Model] | None,
        trust: bool,
    ) -> None:
        self._name, self._memory, self._folder = name, memory, folder
        self.target = target.widened(memory.wide)
        self._whole, self._trust = whole, trust

    def foresee(self, loaded: Loaded, inputs: Sequence[Array]) -> Foreseen | None:
        """Has LiteRT answer while the GPU does, where the graph is one piece that is to be compared."""
        if loaded.verified or loaded.plain is None or self._known(loaded.gpu[0]):
            return None
        if not any(map(telling, inputs)):
            return None  # it is compared on noise
        segment = loaded.gpu[0]
        return Foreseen(lambda: self._check(segment, self._whole), inputs)

    def wrong(
        self, loaded: Loaded, values: Mapping[int, Array], foreseen: Foreseen | None
    ) -> dict[int, Wrong]:
        """Compares the pieces on the GPU with LiteRT, those that were not compared before.

        Args:
            loaded: the plan.
            values: tensor index → value, of all that enters or leaves a piece.
            foreseen: what ``foresee`` gave for this call.

        Returns: what an operator is ``known_by`` → how wrong it is.
        """
        found: dict[int, Wrong] = {}
        for number, segment in loaded.gpu_pieces():
            if self._known(segment):
                continue
            piece = loaded.plan.pieces[number]
            inputs, outputs = ([values[i] for i in ends] for ends in (piece.inputs, piece.outputs))
            try:
                wrong = self._compared(segment, inputs, outputs, foreseen)
            except ModelError:
                continue  # LiteRT has no such operator: there is nothing to compare with
            if not wrong:
                self._memory.programs.append(segment.mark)
            for one in wrong:
                node = loaded.graph.nodes[piece.nodes[one.position]]
                found[known_by(node)] = one
        loaded.verified = not found
        faulty = {key: one.reason for key, one in found.items() if not self._widen(loaded.graph, key, one)}
        if faulty:
            self._tell(loaded, faulty)
        if loaded.gpu_pieces():
            self._memory.save()
        return found

    def _known(self, segment: GpuSegment) -> bool:
        return self._trust or segment.mark in self._memory.programs

    def _check(self, segment: GpuSegment, whole: tuple[Path, Model] | None = None) -> Check:
        return Check(segment.model, self._folder, segment.executor.device, self.target, whole)

    def _widen(self, graph: Graph, key: int, wrong: Wrong) -> bool:
        """Has an operator that is wrong in 16 bits computed in 32, and remembers it. Where it is right alone,
        what it reads was spoilt before: all that leads to it is widened.

        Returns: whether that changes anything: else it is the kernel that is wrong.
        """
        nodes = [next(node for node in graph.nodes if known_by(node) == key)]
        if not wrong.alone:
            nodes = leading_to(graph, nodes[0])
        half, wide = self.target.half, self.target.wide
        names = [name for node in nodes for name in narrow(graph, node, half=half, wide=wide)]
        self._memory.wide |= dict.fromkeys(names, f"in float16 {wrong.reason}")
        self.target = self.target.widened(self._memory.wide)
        return bool(names)

    def _compared(
        self,
        segment: GpuSegment,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        foreseen: Foreseen | None,
    ) -> list[Wrong]:
        if foreseen is not None and foreseen.about(inputs):
            check, expected = foreseen.result()
        else:
            check = self._check(segment)
            expected = check.expected(inputs)
        return check.verdict(inputs, outputs, expected)

    def _tell(self, loaded: Loaded, wrong: Mapping[int, str]) -> None:
        """Remembers wrong operators and warns of them."""
        graph: Graph = loaded.graph
        kinds = {known_by(node): node.kind for node in graph.nodes}
        for key, reason in wrong.items():
            self._memory.wrong[str(key)] = reason
        named = [f"{kinds[k]} {graph.tensors[k].name!r} ({reason})" for k, reason in wrong.items()]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        adapter = loaded.gpu[0].executor.device.adapter
        warnings.warn(
            f"{self._name}: {adapter.name} gives wrong answers for {', '.join(named[:3])}"
            f"{more}: from now on the CPU computes {'it' if len(named) == 1 else 'them'}",
            WrongAnswer, stacklevel=5,
        )  # fmt: skip
