"""Many inputs at once, beside one session after the other: makes the table of docs/guide/many-at-once.md.

    python benchmarks/parallel.py [--model NAME]… [--images N] [--rounds N]

Each way answers all images, then the next one does, and so on in turns that begin with another way each time;
a figure is the median over the turns of one session's time over its own. Loading a model and choosing a plan
count. The images are noise, decoded beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import Session, files
from sanderling.devices.local import LOCAL
from sanderling.runtime.loading import read_model
from sanderling.runtime.parallel.pipeline import Pipeline
from sanderling.verbs.find import find_zoo_model

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "parallel.json"
PAGE = ROOT / "docs" / "guide" / "many-at-once.md"
MODELS = ("efficientnet_lite0", "face_landmark", "selfie_segmentation", "digits")
DISTINCT_BYTES = 100_000_000  # of images, so that no cache holds them
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"
Way = Callable[[Iterable[Any]], Any]


def main() -> int:
    """Measures, and writes the figures and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", action="append", help="a zoo model or a file; may be repeated")
    parser.add_argument("--images", type=int, default=2000, help="how many each way answers (2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns (3)")
    given = parser.parse_args()
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in given.model or MODELS:
        path = Path(name) if Path(name).exists() else find_zoo_model(name)
        print(f"{path.stem}: {given.images} images, {given.rounds} turns", file=sys.stderr)
        done[path.stem] = measured(path, given.images, given.rounds)
        files.write_text(RESULTS, json.dumps(done, indent=2) + "\n")
    write_page(done)
    return 0


def measured(path: Path, count: int, rounds: int) -> dict[str, Any]:
    """Returns: what each way gains over one session on one thread, and what the stages gain."""
    cores = len(os.sched_getaffinity(0))
    plans: dict[str, str] = {}
    with (
        Session(path, engine="litert", threads=1) as one,
        Session(path, engine="litert", threads=cores) as all_,
    ):
        images = _images(one.inputs[0].type.shape)

        def through(**wanted: Any) -> Way:
            def way(stream: Iterable[Any]) -> None:
                mapped = one.map(stream, **wanted)
                _drain(mapped)
                plans["auto" if not wanted else str(wanted)] = mapped.reason

            return way

        ways: dict[str, Way] = {
            "one session, 1 thread": lambda stream: _drain(map(one, stream)),
            f"one session, {cores} threads": lambda stream: _drain(map(all_, stream)),
            "map, plan chosen by measuring": through(),
            f"map, {cores} replicas in threads": through(replicas=cores, where="threads"),
            f"map, {cores} replicas in processes": through(replicas=cores, where="processes"),
        }
        found = _by_turns(ways, images, count, rounds)
    return {
        "images": count, "rounds": rounds, "cores": cores, "ways": found, "chosen": plans["auto"],
        "pipeline": _staged(path, images, max(50, count // 10), rounds), "machine": LOCAL.facts().cpu,
        "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def _staged(path: Path, images: list[Any], count: int, rounds: int) -> dict[str, Any]:
    """Returns: two stages of one thread each, side by side, over the same stages in turn."""
    how = {"threads": 1, "precision": "auto", "options": {}}
    pipeline = Pipeline(read_model(path), ("litert", "litert"), how, sample=[images[0]])
    try:
        found = _by_turns(
            {
                "in turn": lambda stream: _drain(pipeline.in_turn([x]) for x in stream),
                "side by side": lambda stream: _drain(pipeline([x] for x in stream)),
            },
            images, count, rounds,
        )  # fmt: skip
    finally:
        pipeline.close()
    return {"ms": [1e3 * each for each in pipeline.seconds], "gain": found["side by side"]["gain"]}


def _by_turns(
    ways: dict[str, Way], images: list[Any], count: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Returns: seconds of each way, and the first one's over them, the median over the turns."""
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for way in ways.values():
        way(_stream(images, 16))
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begin = time.perf_counter()
            ways[name](_stream(images, count))
            seconds[name].append(time.perf_counter() - begin)
            print(f"  {turn + 1}/{rounds} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    first = seconds[names[0]]
    return {
        name: {
            "seconds": statistics.median(taken),
            "gain": statistics.median(a / b for a, b in zip(first, taken, strict=True)),
        }
        for name, taken in seconds.items()
    }


def _images(shape: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(0)
    size = 4 * int(np.prod(shape))
    return [rng.random(shape, np.float32) for _ in range(max(8, min(500, DISTINCT_BYTES // size)))]


def _stream(images: list[Any], count: int) -> Iterator[Any]:
    return islice(cycle(images), count)


def _drain(answers: Iterable[Any]) -> None:
    for _ in answers:
        pass


def write_page(done: dict[str, Any]) -> None:
    """Writes the table into the guide."""
    first = next(iter(done.values()))
    cores = first["cores"]
    lines = [
        f"| model | {cores} threads | map | the plan it chose | {cores} replicas, threads | {cores} replicas,"
        " processes | two stages |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for name, each in done.items():
        gains = [f"{way['gain']:.2f}×" for way in each["ways"].values()][1:]
        plan = each["chosen"].partition(" is the fastest")[0]
        stages = f"{each['pipeline']['gain']:.2f}×"
        lines.append(f"| {name} | {gains[0]} | {gains[1]} | {plan} | {gains[2]} | {gains[3]} | {stages} |")
    lines.append("")
    lines.append(
        f"{first['images']} images, times faster than one session on one thread (two stages: than the same"
        f" stages in turn); {first['machine']}, {cores} cores, {first['date']}."
    )
    text = PAGE.read_text()
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    files.write_text(PAGE, head + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + tail)


if __name__ == "__main__":
    sys.exit(main())
