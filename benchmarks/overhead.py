"""What Sanderling costs on top of the engine: a call, the import, the command line's help.

Run: ``python benchmarks/overhead.py [--json]``. Exits with 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

CALL_LIMIT_US = 20.0
IMPORT_LIMIT_MS = 150.0
HELP_LIMIT_MS = 400.0
BURST = 50  # calls of one side before the other's turn


@dataclass(frozen=True)
class Row:
    """One measured figure and its limit; ``value`` and ``limit`` in ``unit``."""

    name: str
    value: float
    limit: float
    unit: str
    note: str

    @property
    def ok(self) -> bool:
        return self.value <= self.limit


def tiny_model(path: Path) -> None:
    """Writes a model with one ADD of 16 floats: nearly all of a call is overhead."""
    from sanderling.graph.graph import Graph, Model, Node, Tensor
    from sanderling.graph.types import DType, TensorType
    from sanderling.tflite import write

    kind = TensorType((1, 16), DType.FLOAT32)
    tensors = (Tensor("x", kind), Tensor("one", kind, np.ones((1, 16), np.float32)), Tensor("y", kind))
    add = Node("ADD", (0, 1), (2,), {"fused_activation_function": "NONE"}, "AddOptions")
    write(Model((Graph(tensors, (add,), (0,), (2,)),)), path)


def call_overheads(rounds: int) -> list[Row]:
    """Times a session and our interpreter against the bare interpreter, in alternating bursts."""
    from ai_edge_litert.interpreter import Interpreter

    from sanderling import lite
    from sanderling.runtime.session import Session

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.tflite"
        tiny_model(path)
        x = np.random.default_rng(0).random((1, 16), dtype=np.float32)
        with Session(path) as session:
            calls: dict[str, Callable[[], Any]] = {
                "bare": _classic(Interpreter(model_path=str(path), num_threads=1), x),
                "session": lambda: session(x),
                "lite.Interpreter": _classic(lite.Interpreter(model_path=str(path), num_threads=1), x),
            }
            if not all(np.array_equal(calls["bare"](), call()) for call in calls.values()):
                raise SystemExit("the bare interpreter and what stands on it disagree")
            times = [{name: _burst(call) for name, call in calls.items()} for _ in range(rounds)]
    return [_over_bare(name, times) for name in calls if name != "bare"]


def _classic(interpreter: Any, x: Any) -> Callable[[], Any]:
    """Returns: set, invoke and get as one call."""
    interpreter.allocate_tensors()
    source, sink = (
        details[0]["index"] for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )

    def call() -> Any:
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return interpreter.get_tensor(sink)

    return call


def _over_bare(name: str, times: list[dict[str, float]]) -> Row:
    base, ours = median(t["bare"] for t in times), median(t[name] for t in times)
    extra = median(t[name] - t["bare"] for t in times)
    note = f"{name} {ours:.2f} µs, bare interpreter {base:.2f} µs, ratio {ours / base:.2f}"
    return Row(f"call of {name}, over the bare interpreter", extra, CALL_LIMIT_US, "µs", note)


def _burst(call: Callable[[], object]) -> float:
    """Returns: microseconds per call."""
    start = perf_counter_ns()
    for _ in range(BURST):
        call()
    return (perf_counter_ns() - start) / BURST / 1e3


def process_times(rounds: int) -> list[Row]:
    """Times fresh processes: the import over an empty program, and the help of the command line."""
    empty, importing, helping = [], [], []
    for _ in range(rounds):
        empty.append(_process(["-c", "pass"]))
        importing.append(_process(["-c", "import sanderling"]))
        if importlib.util.find_spec("sanderling.__main__"):
            helping.append(_process(["-m", "sanderling", "--help"]))
    base = median(empty)
    note = f"an empty program takes {base:.0f} ms"
    rows = [Row("import sanderling", median(importing) - base, IMPORT_LIMIT_MS, "ms", f"without it; {note}")]
    if helping:
        rows.append(Row("sanderling --help", median(helping), HELP_LIMIT_MS, "ms", f"all of it; {note}"))
    return rows


def _process(arguments: list[str]) -> float:
    """Returns: milliseconds that a Python process takes."""
    start = perf_counter_ns()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (perf_counter_ns() - start) / 1e6


def main() -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--rounds", type=int, default=200, help="bursts per side (default: %(default)s)")
    options = parser.parse_args()
    rows = [*call_overheads(options.rounds), *process_times(max(3, options.rounds // 20))]
    if options.json:
        print(json.dumps([{**asdict(row), "ok": row.ok} for row in rows], indent=2))
    else:
        for row in rows:
            verdict = "ok" if row.ok else "TOO SLOW"
            print(
                f"{row.name:<53}{row.value:8.1f} {row.unit} (limit {row.limit:.0f}) {verdict:<9} {row.note}"
            )
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
