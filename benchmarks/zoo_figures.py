"""Times the zoo's models, one thread, batch 1, and writes what ``sanderling zoo list`` states.

Run: ``python benchmarks/zoo_figures.py [NAME …] [--seconds 3]``. Models that are not named keep their
figures. It fetches what is not here, and refuses to measure while other processes keep the machine busy.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sanderling import zoo
from sanderling.errors import SanderlingError
from sanderling.measure.bench import BenchRow, Wanted, bench
from sanderling.runtime.doctor import examine_cpu
from sanderling.verbs.find import find_model

TARGET = Path(zoo.__file__).parent / "measured" / "cpu.json"
TOGETHER = 4  # models in one race: what a busy moment slows, it slows for all of them
ENGINE, THREADS = "litert", 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each model")
    parser.add_argument("--busy", action="store_true", help="take figures of a busy machine, too")
    arguments = parser.parse_args()
    cpu = examine_cpu()
    if cpu.load is not None and cpu.load > 0.5 * cpu.usable and not arguments.busy:
        print(f"the machine is busy (load {cpu.load:.2f} on {cpu.usable:g} cores)", file=sys.stderr)
        return 1
    stored = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {"figures": {}}
    figures: dict[str, Any] = stored["figures"]
    files = _files(arguments.names or zoo.names())
    names = list(files)
    for start in range(0, len(names), TOGETHER):
        part = names[start : start + TOGETHER]
        for name, row in zip(part, _race([files[name] for name in part], arguments.seconds), strict=True):
            if row.latency is None:
                print(f"{name}: {row.reason}", file=sys.stderr)
                continue
            figures[name] = {
                "p50": float(f"{row.latency.p50:.4g}"),
                "p90": float(f"{row.latency.p90:.4g}"),
                "peak_memory_bytes": row.peak_memory_bytes,
            }
            print(f"{name:36} {row.latency.p50:9.3f} ms  p90 {row.latency.p90:9.3f} ms")
    document = {
        "device": f"one core of {cpu.name}",
        "engine": ENGINE,
        "threads": THREADS,
        "date": datetime.date.today().isoformat(),
        "figures": {name: figures[name] for name in sorted(figures) if name in zoo.names()},
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _files(names: Sequence[str]) -> dict[str, Path]:
    files = {}
    for name in names:
        try:
            files[name] = find_model(name)
        except SanderlingError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return files


def _race(files: Sequence[Path], seconds: float) -> tuple[BenchRow, ...]:
    wanted = Wanted(start=1, answers=False, steady=False)
    seconds *= len(files)
    return bench(files, engines=[ENGINE], threads=[THREADS], seconds=seconds, wanted=wanted).rows


if __name__ == "__main__":
    sys.exit(main())
