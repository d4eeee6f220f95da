"""Every case of every operator that has GPU kernels, on every adapter, in 32 and 16 bits, against LiteRT.

    python benchmarks/gpu_conformance.py [--driver ICD.json …] [--json FILE] [--write docs/gpu-conformance.md]

Each adapter and precision has a process of its own. Without ``--driver`` those are the software adapters that
are installed (SwiftShader, lavapipe) or, where there are none, whatever GPU the machine has. A case is an
operator with its settings, in floats, in each kind of integers, and with weights stored in 8 and 16 bits.
Exits with 1 if an answer is further from LiteRT's than its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sanderling.engines.webgpu.driver.device import open_device
from tests.conformance.exceptions import has_kernel
from tests.conformance.tolerances import CLOSE, HALF
from tests.conformance.variants import Variant, every_variant
from tests.webgpu.conftest import LAVAPIPE, SWIFTSHADER
from tests.webgpu.judging import FLOATS, STEPS, judged

RULES = f"""
Every case of every operator that has GPU kernels, against LiteRT's reference kernels. A float may be
{CLOSE.relative:.0e} of its output's scale away ({HALF.relative:.0e} where it is stored in 16 bits),
a quantized integer one step, any other integer nothing. Where weights have 8 bits and inputs are floats,
LiteRT gets the same weights as floats.
"""
COLUMNS = (
    "adapter", "stored as", "operators", "cases", "passed", "failed", "declined", "worst float", "worst step",
    "s",
)  # fmt: skip


def variants() -> list[Variant]:
    """Returns: the cases of operators with GPU kernels that LiteRT runs as well."""
    return [
        v for v in every_variant() if v.op.gpu is not None and has_kernel(v.kind, v.op.name, v.id)
    ]  # fmt: skip


def work(half: bool) -> dict[str, Any]:
    """Runs everything on this process's adapter. Returns: JSON."""
    device, begin = open_device(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = [judged(device, variant, Path(folder), half=half) for variant in variants()]
    return {
        "adapter": device.adapter.name, "driver": device.adapter.driver,
        "precision": "float16" if half else "float32", "seconds": round(time.perf_counter() - begin, 1),
        "rows": [asdict(row) for row in rows],
    }  # fmt: skip


def spawned(driver: str, half: bool) -> dict[str, Any]:
    """Runs ``work`` in a process of its own, with a driver. Returns: JSON.

    Raises:
        SystemExit: it ended badly.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    if driver:
        environment["VK_DRIVER_FILES"] = driver
    done = subprocess.run(
        [sys.executable, __file__, "--work", "float16" if half else "float32"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the process for {driver or 'this GPU'} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def worst(rows: Sequence[dict[str, Any]], unit: str) -> dict[str, Any] | None:
    """Returns: the row with the largest error in this unit."""
    return max((r for r in rows if r["unit"] == unit), key=lambda r: r["error"], default=None)


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Returns: the page, in Markdown."""
    drivers = sorted({(run["adapter"], run["driver"]) for run in runs})
    failed = sorted({
        f"- {run['adapter']}, {run['precision']}: `{row['operator']}` {row['case']} ({row['kind']}):"
        f" {row['error']:.2g} {row['unit']}, {row['reason']}"
        for run in runs for row in run["rows"] if row["status"] == "failed"
    })  # fmt: skip
    lines = [
        "# GPU conformance", "",
        f"Made by `benchmarks/gpu_conformance.py --write`; do not edit. {date.today().isoformat()}.", RULES,
        f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}",
        *map(line, runs), "",
        *(f"- {adapter}: {driver}" for adapter, driver in drivers), "",
        "## Declined", "", "What runs on the CPU, and why.", "",
        "| operator | in | reason |", "|---|---|---|", *declined(runs),
    ]  # fmt: skip
    return "\n".join(lines + (["", "## Failed", "", *failed] if failed else [])) + "\n"


def line(run: dict[str, Any]) -> str:
    """Returns: the table's row for an adapter and a precision."""
    ran = [row for row in run["rows"] if row["status"] != "declined"]
    told = []
    for unit, form in ((FLOATS, "{:.1e}"), (STEPS, "{:.0f}")):
        row = worst(ran, unit)
        told.append(f"{form.format(row['error'])} `{row['operator']}`" if row and row["error"] else "0")
    count = Counter(row["status"] for row in run["rows"])
    operators = len({row["operator"] for row in ran})
    name = run["adapter"].split(" (")[0]
    numbers = (operators, len(run["rows"]), count["passed"], count["failed"], count["declined"])
    return f"| {' | '.join(map(str, (name, run['precision'], *numbers, *told, round(run['seconds']))))} |"


def declined(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Returns: a line per operator and reason; kinds of integers with one reason share a line."""
    kinds: dict[tuple[str, str], dict[str, str]] = {}
    for run in runs:
        for row in run["rows"]:
            if row["status"] == "declined":
                told = re.sub(r" \(it writes .*\)$|\[[\dx]+\]|^[A-Z_\d]+: ", "", row["reason"]).split(";")[0]
                alike = re.sub(r"u?int\d+", "integer", told)
                kinds.setdefault((row["operator"], alike), {}).setdefault(row["kind"], told)
    return [
        f"| `{operator}` | {', '.join(sorted(found))} | {found[min(found)]} |"
        for (operator, _), found in sorted(kinds.items())
    ]


def main() -> None:
    """Runs what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--driver", action="append", default=[], help="a Vulkan driver's JSON file")
    parser.add_argument("--json", type=Path, help="write every case there")
    parser.add_argument("--write", type=Path, help="write the table there")
    parser.add_argument("--work", choices=("float32", "float16"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        sys.stdout.write(json.dumps(work(given.work == "float16")))
        return
    drivers = given.driver or [str(file) for file in (SWIFTSHADER, LAVAPIPE) if file.exists()] or [""]
    runs = [spawned(driver, half) for driver in drivers for half in (False, True)]
    if given.json:
        given.json.write_text(json.dumps(runs, indent=1))
    page = table(runs)
    if given.write:
        given.write.write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    sys.exit(any(row["status"] == "failed" for run in runs for row in run["rows"]))


if __name__ == "__main__":
    main()
