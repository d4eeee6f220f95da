"""A folder of pictures into a table, beside ``run`` over the same folder: benchmarks/results/predict.json.

    python benchmarks/predict.py [--model NAME]… [--folder FOLDER] [--rounds N]

Each way answers the whole folder, then the next one does, in turns that begin with another way each time.
All of it counts: reading, preparing, the model, the table. Without a folder 400 JPEGs of 640×480 are made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sanderling as sd
from sanderling import files
from sanderling.devices.local import LOCAL
from sanderling.verbs.find import find_zoo_model

RESULTS = Path(__file__).parent / "results" / "predict.json"
MODELS = ("efficientnet_lite0", "rock_paper_scissors")
MADE = 400


def main() -> int:
    """Measures, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", action="append", help="a zoo model or a file; may be repeated")
    parser.add_argument("--folder", type=Path, help="of pictures; may be shared/data/imagenet600")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    done: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or made(Path(scratch) / "pictures")
        for name in given.model or MODELS:
            path = Path(name) if Path(name).exists() else find_zoo_model(name)
            done[path.stem] = measured(path, folder, given.rounds, Path(scratch) / f"{path.stem}.parquet")
            files.write_text(RESULTS, json.dumps(done, indent=2) + "\n")
    return 0


def made(folder: Path) -> Path:
    """Returns: a folder of pictures of coloured noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(MADE):
        small = rng.integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(small).resize((640, 480)).save(folder / f"{number:04}.jpg", quality=90)
    return folder


def measured(path: Path, folder: Path, rounds: int, out: Path) -> dict[str, Any]:
    """Returns: samples a second of each way, the gain over ``run`` on one thread, and the plan."""
    cores = len(os.sched_getaffinity(0))
    plans: dict[str, str] = {}

    def one_by_one(threads: int) -> int:
        return sum(1 for _ in sd.run(path, str(folder), engine="litert", threads=threads))

    def table(name: str, cores: int | None) -> int:
        found = sd.predict(path, folder, out, engine="litert", threads=cores, again=True)
        plans[name] = found.reason
        return found.samples

    ways: dict[str, Callable[[], int]] = {
        "run, 1 thread": lambda: one_by_one(1),
        f"run, {cores} threads": lambda: one_by_one(cores),
        "predict, 1 processor": lambda: table("one", 1),
        f"predict, {cores} processors": lambda: table("all", None),
    }
    names, seconds, count = list(ways), {name: list[float]() for name in ways}, 0
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begin = time.perf_counter()
            count = ways[name]()
            seconds[name].append(time.perf_counter() - begin)
            print(f"{path.stem} {turn + 1}/{rounds} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    first = seconds[names[0]]
    found = {
        name: {
            "per_second": count / statistics.median(taken),
            "gain": statistics.median(a / b for a, b in zip(first, taken, strict=True)),
        }
        for name, taken in seconds.items()
    }
    return {
        "samples": count, "rounds": rounds, "ways": found, "plan": plans["all"], "cores": cores,
        "machine": LOCAL.facts().cpu, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
