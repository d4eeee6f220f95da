"""Arm's Vela: compiles a model for an Ethos-U, says what it leaves to the processor beside it, and estimates.

Vela runs in a process of its own, on a copy of the model whose names are plain: a model's names are anybody's
text, and Vela's report is told apart by lines.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from sanderling.errors import DeployError, MissingExtra, UsageError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.numbered import numbered, with_names
from sanderling.tflite import read, write

NPUS = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
USUAL = "ethos-u55-128"
CUSTOM_CODE = "ethos-u"  # of the operator that stands for what the NPU runs
NPU, CPU = "NPU", "CPU"
SECONDS = 600.0
_KIB = 1024
_REFUSED = re.compile(r"Warning \([\w ]+\) operator: (\w+), ofm: '([^']*)'")
_LONGEST_REASON = 300
_NAMELESS = "Vela leaves it there, and does not say why"


@dataclass(frozen=True, slots=True)
class Setup:
    """What is compiled for.

    Attributes:
        npu: one of ``NPUS``.
        system: a ``System_Config`` of Vela's: clock, widths and latencies of the memories; "" for Vela's own
            choice.
        memory: a ``Memory_Mode`` of Vela's: what lies in which memory; "" for Vela's own choice.
        smallest: memory counts, not time.
    """

    npu: str = USUAL
    system: str = ""
    memory: str = ""
    smallest: bool = False

    def __post_init__(self) -> None:
        if self.npu not in NPUS:
            raise UsageError(
                f"there is no NPU {self.npu!r}", where="npu", hint=f"it is one of: {', '.join(NPUS)}"
            )

    def arguments(self) -> list[str]:
        """Returns: options of Vela's."""
        given = {"accelerator-config": self.npu, "system-config": self.system, "memory-mode": self.memory}
        found = [text for name, value in given.items() if value for text in (f"--{name}", value)]
        return [*found, "--optimise", "Size" if self.smallest else "Performance"]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an operator runs.

    Attributes:
        position: of the operator in the main graph of the model.
        name: of its first output.
        kind: the operator.
        on: ``NPU`` or ``CPU``.
        reason: why it is not on the NPU.
    """

    position: int
    name: str
    kind: str
    on: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What Vela made, with its estimates of it. Nothing here was measured.

    Attributes:
        content: the ``.tflite`` for the NPU.
        layers: what Vela estimates layer by layer, as CSV.
        placed: where the operators of the main graph run, in its order.
        setup: what it is for, with the names that Vela chose.
        version: Vela's.
        clock_hz: of the NPU.
        cycles: of the NPU for a call, memory included.
        ms: time of a call on the NPU; what runs on the processor beside it is not in it.
        memory_bytes: by kind of memory, how much is taken: ``SRAM``, ``DRAM``, ``on-chip flash``,
            ``off-chip flash``.
        macs: multiplications and additions of a call on the NPU.
    """

    content: bytes
    layers: str
    placed: tuple[Placed, ...]
    setup: Setup
    version: str
    clock_hz: float
    cycles: int
    ms: float
    memory_bytes: Mapping[str, int]
    macs: int

    @property
    def on_npu(self) -> int:
        """How many operators the NPU runs."""
        return sum(row.on == NPU for row in self.placed)


def require() -> None:
    """Makes sure that Vela is installed.

    Raises:
        MissingExtra: it is not.
    """
    if find_spec("ethosu") is None:
        raise MissingExtra("compiling for Ethos-U", "npu")


def compile_for(model: Model, setup: Setup, *, seconds: float = SECONDS) -> Compiled:
    """Compiles a model.

    Args:
        model: a verified one whose sizes are known, but for a batch, which becomes what the file says.
        setup: for what.
        seconds: after so long it is given up.

    Raises:
        MissingExtra: Vela is not installed.
        UsageError: Vela has no such system configuration or memory mode.
        DeployError: Vela refuses the model, with its reason, or takes too long.
    """
    require()
    plain = numbered(model)
    with TemporaryDirectory(prefix="sanderling-vela-") as name:
        folder = Path(name)
        write(plain, folder / "model.tflite")
        try:
            said = _run(folder, setup, seconds)
        except DeployError as error:
            raise DeployError(with_names(error.what, model.main), where=model.name) from None
        return _found(folder, plain, model, setup, said)


def _run(folder: Path, setup: Setup, seconds: float) -> str:
    """Returns: what Vela says."""
    command = [
        sys.executable, "-P", "-m", "ethosu.vela", "model.tflite", "--output-dir", "out", *setup.arguments(),
        "--verbose-performance",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise DeployError(f"Vela is not done after {seconds:.0f} s, and was stopped") from None
    if done.returncode:
        _refused(done, setup)
    return done.stdout + done.stderr


def _refused(done: subprocess.CompletedProcess[str], setup: Setup) -> None:
    """Raises what Vela said when it gave up: the last line that speaks of an error, and what follows."""
    lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    last = max((n for n, line in enumerate(lines) if "error" in line.lower()), default=len(lines) - 1)
    told = [line.strip("-,. ") for line in lines[last:] if not line.startswith("Failed to parse")]
    reason = "; ".join(told)[:_LONGEST_REASON] or "without a word"
    for given, what in ((setup.system, "system"), (setup.memory, "memory")):
        if given and given in reason:
            raise UsageError(f"Vela does not take {given!r}: {reason}", where=what)
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise DeployError(f"Vela cannot compile the model ({ended}): {reason}")


def _found(folder: Path, plain: Model, model: Model, setup: Setup, said: str) -> Compiled:
    out = folder / "out"
    file, layers = out / "model_vela.tflite", out / "model_per-layer.csv"
    summary = next(iter(out.glob("model_summary_*.csv")), None)
    if not file.exists() or summary is None:
        raise DeployError("Vela ended well, and wrote no model")
    with summary.open(newline="") as stream:
        row = next(csv.DictReader(stream))
    compiled = read(file)
    return Compiled(
        file.read_bytes(),
        layers.read_text() if layers.exists() else "",
        _placed(plain.main, model.main, compiled.main, _reasons(said)),
        replace(setup, system=row["system_config"], memory=row["memory_mode"]),
        version(),
        float(row["core_clock"]),
        int(float(row["cycles_total"])),
        1e3 * float(row["inference_time"]),
        {
            told: round(float(row[key]) * _KIB)
            for told, key in (
                ("SRAM", "sram_memory_used"), ("DRAM", "dram_memory_used"),
                ("on-chip flash", "on_chip_flash_memory_used"),
                ("off-chip flash", "off_chip_flash_memory_used"),
            )
            if float(row[key])
        },
        int(float(row["nn_macs"])),
    )  # fmt: skip


def version() -> str:
    """Returns: Vela's version."""
    from importlib.metadata import version as installed

    return installed("ethos-u-vela")


def _reasons(said: str) -> dict[str, str]:
    """Returns: why Vela left an operator to the processor, by the name of its output; by its kind where it
    has none."""
    found: dict[str, str] = {}
    lines = iter(said.splitlines())
    for line in lines:
        match = _REFUSED.match(line)
        if match is None:
            continue
        told = []
        for following in lines:
            if not following.strip():
                break
            told.append(following.strip().removeprefix("Reason: "))
        reason = "; ".join(told)[:_LONGEST_REASON].rstrip(".")
        found.setdefault(match[2], reason)
        found.setdefault(f"{match[1]} ", reason)
    return found


def _placed(plain: Graph, given: Graph, compiled: Graph, reasons: Mapping[str, str]) -> tuple[Placed, ...]:
    """Tells where operators run: what is still there beside the NPU's own is left to the processor."""
    left = {compiled.tensors[i].name for node in compiled.nodes if not _is_npu(node) for i in node.outputs}
    kinds = {node.kind for node in compiled.nodes if not _is_npu(node) and not node.outputs}
    rows = []
    for position, (node, own) in enumerate(zip(plain.nodes, given.nodes, strict=True)):
        names = [plain.tensors[i].name for i in node.outputs]
        on_cpu = any(name in left for name in names) if names else node.kind in kinds
        told = [reasons[key] for key in (*names, f"{node.kind} ") if key in reasons]
        name = given.tensors[own.outputs[0]].name if own.outputs else own.kind
        reason = with_names(told[0], given) if told else _NAMELESS
        rows.append(Placed(position, name, own.kind, CPU if on_cpu else NPU, reason if on_cpu else ""))
    return tuple(rows)


def _is_npu(node: Node) -> bool:
    return node.custom_code == CUSTOM_CODE
