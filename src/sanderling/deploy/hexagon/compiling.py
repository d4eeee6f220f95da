"""Has QNN compile a model, and reads what it takes, and why it leaves the rest."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import as_file
from importlib.resources import files as resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sanderling.deploy.hexagon.choices import Choices
from sanderling.errors import DeployError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.numbered import number, numbered, with_names
from sanderling.onnx.write import export

QNN = "QNNExecutionProvider"
HTP, CPU = "Hexagon", "CPU"
SECONDS = 900.0
_PACKAGE = "sanderling.deploy.hexagon"
_LONGEST_REASON = 300
_FAILED = re.compile(r"Validation FAILED for \d+ nodes")
_NODE = re.compile(r"\s*Operator type: (\S+) Node name: (.*) Node index: \d+")
_REASON = re.compile(r"\s*REASON : (.*)")
_CHECKED = re.compile(
    r"backendValidateOpConfig\(\) failed for node `(.*)` of type `(\w+)` with error code (\d+)"
)
_RAISED = "[ONNXRuntimeError]"
_PASSED_ON = "Failed to add node"  # QNN's own check has told more
_SILENT = "QNN leaves it, and does not say why"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where operators run.

    Attributes:
        rows: for every operator of the main graph, and every node of the ONNX graph on the CPU that belongs
            to none: ``operator``, ``kind``, ``on``, ``reason``.
        versions: of ONNX Runtime and the provider.
    """

    rows: tuple[Mapping[str, str], ...]
    versions: Mapping[str, str]

    @property
    def on_htp(self) -> int:
        """How many operators the Hexagon runs."""
        return sum(row["on"] == HTP for row in self.rows)


def place(python: Path, model: Model, choices: Choices) -> Placement:
    """Finds out which operators the Hexagon takes.

    Args:
        python: of the environment with QNN.
        model: of settled sizes.

    Raises:
        DeployError: QNN cannot compile the model, with its reason.
    """
    with TemporaryDirectory(prefix="sanderling-hexagon-") as name:
        file = Path(name) / "model.onnx"
        file.write_bytes(export(numbered(model)))
        try:
            told, log = _compiled(python, file, choices)
        except DeployError as error:
            raise DeployError(with_names(error.what, model.main), where=model.name) from None
    return Placement(tuple(_rows(model.main, told["assigned"], _reasons(log))), told["versions"])


def make_context(python: Path, file: Path, choices: Choices, context: Path) -> None:
    """Writes an ONNX file whose parts for the Hexagon are compiled, and the binary beside it.

    Raises:
        DeployError: QNN cannot compile the model, with its reason.
    """
    _compiled(python, file, choices, context)


def _compiled(
    python: Path, file: Path, choices: Choices, context: Path | None = None
) -> tuple[dict[str, Any], str]:
    """Returns: what the program in the environment told, and QNN's log."""
    chip = str(choices.of_chip.number)
    with as_file(resources(_PACKAGE) / "files" / "compile.py") as program:
        command = [str(python), "-P", str(program), str(file), chip, *([str(context)] if context else [])]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS,
                cwd=file.parent, env={"PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DeployError(f"QNN is not done after {SECONDS / 60:.0f} minutes of compiling") from None
    if done.returncode:
        raise DeployError(f"QNN cannot compile the model for {choices.told}: {_why(done)}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1])
    return found, done.stdout + done.stderr


def _why(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        return f"it crashed (signal {-done.returncode})"
    failed = [line for line in lines if _RAISED in line]  # the exception, of which the traceback is not
    text = (failed or lines or ["without a word"])[-1]
    return text.rpartition(" : ")[2][:_LONGEST_REASON].rstrip(".")


def _reasons(log: str) -> dict[str, str]:
    """Returns: why QNN does not take a node, by the node's name."""
    checked = {m[1]: f"QNN's check of {m[2]} fails (error {m[3]})" for m in _CHECKED.finditer(log)}
    found: dict[str, str] = {}
    lines = iter(log.splitlines())
    for line in lines:
        if _FAILED.search(line) is None:
            continue
        names = []
        for following in lines:
            if node := _NODE.fullmatch(following):
                names.append(node[2])
            elif reason := _REASON.fullmatch(following):
                told = reason[1].strip().rstrip(".")
                if told == _PASSED_ON:
                    told = next((checked[name] for name in names if name in checked), told)
                found |= dict.fromkeys(names, told[:_LONGEST_REASON])
            else:
                break
    return found


def _rows(graph: Graph, assigned: Any, reasons: Mapping[str, str]) -> Iterator[dict[str, str]]:
    left: dict[int, str] = {}
    strangers = []
    for provider, kind, name in assigned:
        if provider == QNN:
            continue
        owners = list(_owners(graph, name))
        reason = reasons.get(name, "")
        for owner in owners:
            left[owner] = left.get(owner) or reason
        if not owners and number(name) is None:
            strangers.append({"operator": name, "kind": kind, "on": CPU, "reason": reason or _SILENT})
    for position, node in enumerate(graph.nodes):
        name = graph.tensors[node.outputs[0]].name if node.outputs else node.kind
        reason = (left[position] or _SILENT) if position in left else ""
        yield {"operator": name, "kind": node.kind, "on": CPU if position in left else HTP, "reason": reason}
    yield from strangers


def _owners(graph: Graph, name: str) -> Iterator[int]:
    """Yields: the operators that a node of the ONNX graph is part of.

    Nodes are called after what they give, but for the conversion to real numbers, which is called after what
    it reads and may be an operator by itself.
    """
    tensor = number(name)
    if tensor is None:
        return
    converts = f"t{tensor}/real" in name
    for position, node in enumerate(graph.nodes):
        reads = node.kind == "DEQUANTIZE" and tensor in node.inputs
        if reads if converts else tensor in node.outputs:
            yield position
