"""Optimizes a list of models one after the other and measures each winner again in a fresh process.

    python benchmarks/optimize_zoo.py LIST.json -o OUT [--time 3m] [--only NAME]

LIST.json: [{"model": "a.tflite", "samples": "photos/", "options": ["--mean", "0", "--std", "255"]}],
with paths relative to the list. Prints a table and writes OUT/results.json; what is done is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def optimize(entry: dict[str, Any], folder: Path, out: Path, limit: str) -> dict[str, Any]:
    """Runs the command line on one model. Returns: the row of the table."""
    model, samples = folder / entry["model"], folder / entry["samples"]
    options = [str(o) for o in entry.get("options", [])]
    target = out / model.stem
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "sanderling", "optimize", str(model), "--samples", str(samples),
         "--time", limit, "-o", str(target), "--json", *options],
        capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.monotonic() - start
    if not (target / "best.json").exists():
        return {
            "model": model.stem,
            "exit": done.returncode,
            "seconds": seconds,
            "error": done.stderr.strip(),
        }
    report = json.loads((target / "report.json").read_text())
    best = json.loads((target / "best.json").read_text())
    numbers = {o: float(v) for o, v in pairwise(options) if o in ("--mean", "--std")}
    again = subprocess.run(
        [sys.executable, str(HERE / "remeasure.py"), str(model), str(target), str(samples),
         str(numbers.get("--mean", 0.0)), str(numbers.get("--std", 1.0))],
        capture_output=True, text=True,
    )  # fmt: skip
    return {
        "model": model.stem, "exit": done.returncode, "seconds": seconds, "winner": best["name"],
        "candidates": len(report["trials"]), "threads": best["threads"], "size_bytes": best["size_bytes"],
        "baseline_bytes": report["baseline"]["size_bytes"], "latency_ms": best["latency_ms"]["p50"],
        "speedup": best["latency_ms"]["speedup"], "drop": best["fidelity"]["drop"],
        "ci95": best["fidelity"]["ci95"], "metric": best["fidelity"]["metric"], "verdict": report["verdict"],
        "again": json.loads(again.stdout) if again.returncode == 0 else {"error": again.stderr[-300:]},
        "rejected": [f"{t['name']}: {t['reason']}" for t in report["trials"] if t["status"] != "ok"],
    }  # fmt: skip


def main() -> None:
    """Runs the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--time", default="3m")
    parser.add_argument("--only")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / "results.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    for entry in json.loads(given.list.read_text()):
        name = Path(entry["model"]).stem
        if any(row["model"] == name for row in rows) or (given.only and given.only != name):
            continue
        rows.append(optimize(entry, given.list.parent, given.output, given.time))
        file.write_text(json.dumps(rows, indent=1))
        print(json.dumps({k: v for k, v in rows[-1].items() if k not in ("rejected", "verdict")}), flush=True)
    gains = [row["speedup"] for row in rows if "speedup" in row]
    print(f"\n{'model':34} {'winner':42} {'speed-up':>8} {'again':>6} {'drop':>8} {'again':>8} {'s':>4}")
    for row in rows:
        again = row.get("again", {})
        winner = row.get("winner", row.get("error", ""))[:42]
        print(
            f"{row['model']:34.34} {winner:42} {row.get('speedup', 0):8.2f}"
            f" {again.get('speedup', math.nan):6.2f} {row.get('drop', math.nan):8.4f}"
            f" {again.get('drop', math.nan):8.4f} {row['seconds']:4.0f}"
        )
    if gains:
        mean = math.exp(sum(map(math.log, gains)) / len(gains))
        print(f"geometric mean of {len(gains)} speed-ups: {mean:.2f}")


if __name__ == "__main__":
    main()
