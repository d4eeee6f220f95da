"""How long from the start of a process to a model's first answer? Ours beside LiteRT's accelerator.

    python benchmarks/cold_start.py MODEL.tflite… [--rounds 7] [--library wgpu,dawn] [--json OUT]

Every figure is a process of its own, the runtimes in turns, A B C A B C, on the adapter that the environment
gives. ``first`` has an empty ``SANDERLING_CACHE``, as on a new machine; ``again`` has the one that an earlier
process left. The driver's own cache, if it keeps one, is there for all. Inputs are drawn once and read by all
from one file; every first answer is compared with LiteRT's CPU kernels when the clock has stopped. Where
other work is running, the seconds of all processors are steadier than the clock's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

BOUND = 1e-3  # of an output's scale: rounding, in whatever order a runtime sums


def worker(peer: str, model: str, inputs: str, answer: str) -> None:
    """Makes one first answer, and tells when it was there."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a native library prints must not reach the protocol
    import numpy as np
    from gpu import litert_gpu, ours

    with np.load(inputs) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    found = (ours if peer == "ours" else litert_gpu)(model, "")(arrays)
    told.write(json.dumps({"s": time.time() - float(os.environ["STARTED"]), "cpu_s": time.process_time()}))
    told.close()
    np.savez(answer, *found)


class Bench:
    """Processes that each answer once, about one model."""

    def __init__(self, model: Path, folder: Path) -> None:
        import numpy as np
        from gpu import inputs_for, litert_cpu

        self.model, self.folder = model, folder
        arrays = inputs_for(str(model))
        np.savez(folder / "inputs.npz", *arrays)
        self.wanted = litert_cpu(str(model), "")(arrays)

    def once(self, peer: str, cache: Path, library: str = "") -> tuple[float, float, float]:
        """Returns: seconds to the first answer, those of all processors, and the answer's error as a share of
        the output's scale.

        Raises:
            RuntimeError: the process gave no answer.
        """
        import numpy as np
        from gpu import worst

        answer = self.folder / "answer.npz"
        command = [sys.executable, __file__, "--worker", peer, str(self.model)]
        environment = {**os.environ, "SANDERLING_CACHE": str(cache), "STARTED": str(time.time())}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pip has compiled what is installed, ours as well
        if library:
            environment["SANDERLING_WEBGPU"] = library
        done = subprocess.run(
            [*command, str(self.folder / "inputs.npz"), str(answer)],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{peer}: {done.stderr[-300:]}")
        with np.load(answer) as file:
            found = [file[f"arr_{i}"] for i in range(len(file.files))]
        times = json.loads(done.stdout)
        return float(times["s"]), float(times["cpu_s"]), worst(self.wanted, found)


def measure(model: Path, rounds: int, libraries: list[str]) -> dict[str, dict[str, Any]]:
    """Returns: a row per runtime: seconds of every round, their median, the worst error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(model, folder)
        rows: dict[str, dict[str, Any]] = {}

        def note(kind: str, peer: str, cache: Path, library: str = "") -> None:
            seconds, cpu, error = bench.once(peer, cache, library)
            row = rows.setdefault(kind, {"seconds": [], "cpu_seconds": [], "error": 0.0})
            row["seconds"].append(round(seconds, 4))
            row["cpu_seconds"].append(round(cpu, 4))
            row["error"] = max(row["error"], error) if math.isfinite(error) else math.inf

        bench.once("litert_gpu", folder)  # the files are in memory now, for all
        for library in libraries:
            bench.once("ours", folder / f"kept{library}", library)
        for number in range(rounds):
            note("litert_gpu", "litert_gpu", folder)
            for library in libraries:
                told = f" {library}" if library else ""
                note(f"ours first{told}", "ours", folder / f"new{library}{number}", library)
                note(f"ours again{told}", "ours", folder / f"kept{library}", library)
    for row in rows.values():
        row |= {"p50_s": median(row["seconds"]), "least_s": min(row["seconds"])}
        row["cpu_p50_s"] = median(row["cpu_seconds"])
    return rows


def main() -> None:
    """Runs the comparison."""
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:6])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--library", default="", help="wgpu, dawn, or both with a comma")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = {}
    print(f"{'model':34} {'runtime':18} {'s':>7} {'least':>7} {'CPU s':>7} {'LiteRT ÷':>9} {'error':>9}")
    for model in given.models:
        rows = results[model.stem] = measure(model, given.rounds, given.library.split(","))
        for kind, row in rows.items():
            ratio = rows["litert_gpu"]["p50_s"] / row["p50_s"]
            flag = "" if row["error"] <= BOUND else "  WRONG"
            print(
                f"{model.stem:34.34} {kind:18} {row['p50_s']:7.3f} {row['least_s']:7.3f}"
                f" {row['cpu_p50_s']:7.3f} {ratio:9.2f} {row['error']:9.1e}{flag}",
                flush=True,
            )
        if given.json:
            given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
