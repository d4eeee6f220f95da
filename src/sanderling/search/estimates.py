"""Times and memory of an NPU that is not here: what its compiler estimates. Nothing of it is measured."""

from __future__ import annotations

from pathlib import Path

from sanderling.errors import DeployError
from sanderling.measure import vela
from sanderling.measure.results import Latency
from sanderling.tflite import read

# They move numbers or keep them, and take the processor beside the NPU next to nothing.
_FREE = frozenset({"QUANTIZE", "DEQUANTIZE", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})


class Estimates:
    """Compiles candidates with Vela, each once.

    Args:
        npu: for which: one of ``vela.NPUS``.

    Raises:
        MissingExtra: Vela is not installed.
    """

    def __init__(self, npu: str) -> None:
        vela.require()
        self._setup = vela.Setup(npu)
        self._known: dict[Path, vela.Compiled] = {}
        self._first: vela.Compiled | None = None

    @property
    def source(self) -> str:
        """What estimates, and for what."""
        chosen = "" if self._first is None else f", {self._first.setup.system}, {self._first.setup.memory}"
        return f"Vela {vela.version()} for {self._setup.npu}{chosen}"

    @property
    def identity(self) -> str:
        """What estimates of another search must have in common with these."""
        return f"vela {vela.version()} {self._setup.npu}"

    def latency(self, file: Path) -> Latency:
        """Returns: the estimated time of a call, beside that of the first candidate.

        Raises:
            DeployError: Vela refuses the model, or leaves operators to the processor, whose time it does not
                estimate, that the first candidate has on the NPU.
        """
        made = self._compiled(file)
        first = self._first = self._first or made
        left, usual = _left(made), _left(first)
        for kind, reason in left.items():
            if kind not in usual:
                raise DeployError(
                    f"leaves {kind} to the processor ({reason}), whose time Vela does not estimate"
                )
        gain = first.ms / made.ms if made.ms else 1.0
        return Latency(made.ms, made.ms, 0, gain, (gain, gain), first.ms)

    def memory_bytes(self, file: Path) -> int:
        """Returns: the SRAM that a call is estimated to take."""
        return self._compiled(file).memory_bytes.get("SRAM", 0)

    def remark(self, file: Path) -> str:
        """Returns: which operators are not on the NPU, "" where all are."""
        made = self._compiled(file)
        left = [row for row in made.placed if row.on == vela.CPU]
        if not left:
            return ""
        kinds = ", ".join(dict.fromkeys(row.kind for row in left))
        return f"{len(left)} of {len(made.placed)} operators stay on the processor: {kinds}"

    def _compiled(self, file: Path) -> vela.Compiled:
        if file not in self._known:
            made = vela.compile_for(read(file), self._setup)
            if not made.on_npu:
                first = made.placed[0]
                raise DeployError(
                    f"Vela leaves every operator to the processor: {first.kind}: {first.reason}"
                )
            self._known[file] = made
        return self._known[file]


def _left(made: vela.Compiled) -> dict[str, str]:
    """Returns: the kinds of operators that are left to the processor and take time there, and why."""
    return {row.kind: row.reason for row in made.placed if row.on == vela.CPU and row.kind not in _FREE}
