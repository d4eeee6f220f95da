"""Our quantizer beside litert-quantizer: drop, time, size and conversions on a list of models.

    python benchmarks/quantizers.py LIST.json -o TABLE.md [--only NAME] [--calibrate 64] [--compare 128]

LIST.json: [{"model": "a.tflite", "samples": "photos/", "options": ["--mean", "0", "--std", "255"]}], with
paths relative to the list. Both quantize to int8 with min-max ranges from the same samples, inputs and
outputs stay float; both are compared with the float model on other samples. Times are ratios of medians of
interleaved calls, one thread, with the 95 % interval; below 1 ours is slower.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peer_litert_quantizer import quantize_static

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.measure.fidelity import compare
from sanderling.measure.latency import interleave_many
from sanderling.measure.results import Fidelity, Latency
from sanderling.measure.serving import load
from sanderling.samples.load import load_samples
from sanderling.samples.samples import Samples
from sanderling.tasks.guess import guess_task
from sanderling.tasks.task import Task
from sanderling.tflite import read

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
HEAD = (
    "| model | metric | drop theirs % | drop ours % | ours over float | theirs over float | ours over theirs "
    "| KB theirs | KB ours | Q/DQ theirs | Q/DQ ours |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Made:
    """One quantized model, and how it did."""

    path: Path
    fidelity: Fidelity
    latency: Latency

    @property
    def conversions(self) -> int:
        return sum(node.op in CONVERSIONS for node in read(self.path).main.nodes)


def options_of(words: Sequence[str]) -> dict[str, float]:
    """Returns: ``--mean 0 --std 255`` as arguments of ``load_samples``."""
    pairs = zip(words[::2], words[1::2], strict=True)
    return {name.removeprefix("--"): float(value) for name, value in pairs}


def outputs_on(path: Path, samples: Samples, positions: Sequence[int]) -> list[list[Array]]:
    """Returns: a model's outputs for every sample, run in LiteRT as a user would."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for position in positions:
        feed = samples[position]
        for detail, value in zip(interpreter.get_input_details(), feed.values(), strict=True):
            if tuple(detail["shape"]) != value.shape:
                interpreter.resize_tensor_input(detail["index"], value.shape)
                interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), feed.values(), strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        found.append([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
    return found


def raced(paths: Sequence[Path], feeds: Sequence[list[Array]], seconds: float) -> list[Latency]:
    """Returns: each model's times beside the first one's."""
    handles = [load(str(path))["handle"] for path in paths]
    return [Latency.from_json(row) for row in interleave_many(handles, feeds, seconds=seconds, target=0.01)]


def examine(
    entry: dict[str, Any], folder: Path, scratch: Path, calibrate: int, against: int, seconds: float
) -> tuple[Task, Made, Made, Latency]:
    """Returns: the task, theirs, ours, and ours timed beside theirs."""
    source = folder / entry["model"]
    model: Model = read(source)
    samples = load_samples(folder / entry["samples"], model, **options_of(entry.get("options", [])))  # type: ignore[arg-type]
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    held, shown = order[:calibrate], order[calibrate : calibrate + against]
    feeds = [dict(samples[i]) for i in held]
    theirs, ours = scratch / "theirs.tflite", scratch / "ours.tflite"
    quantize_static(model, feeds, theirs)
    recipe = Recipe("static", (Step("static_int8", {**entry.get("settings", {})}),))
    apply(recipe, source, ours, calibration=save_feeds(feeds, scratch / "feeds"))
    wanted = outputs_on(source, samples, shown)
    task = guess_task(model, wanted[:16])
    fidelities = [compare(task, wanted, outputs_on(p, samples, shown)) for p in (theirs, ours)]
    timed = [list(feed.values()) for feed in feeds[:4]]
    latencies = raced([source, theirs, ours], timed, seconds)
    beside = raced([theirs, ours], timed, seconds)[1]
    made = [Made(p, f, t) for p, f, t in zip((theirs, ours), fidelities, latencies[1:], strict=True)]
    return task, made[0], made[1], beside


def row(name: str, task: Task, theirs: Made, ours: Made, beside: Latency) -> str:
    """Returns: one line of the table."""

    def drop(made: Made) -> str:
        low, high = made.fidelity.ci95
        failed = f" {made.fidelity.failure}" if made.fidelity.failure else ""
        return f"{100 * made.fidelity.drop:.2f} [{100 * low:.2f}, {100 * high:.2f}]{failed}"

    def times(latency: Latency) -> str:
        return f"{latency.speedup:.2f}× [{latency.speedup_ci95[0]:.2f}, {latency.speedup_ci95[1]:.2f}]"

    sizes = [f"{made.path.stat().st_size / 1000:.0f}" for made in (theirs, ours)]
    cells = [
        name, task.metric, drop(theirs), drop(ours), times(ours.latency), times(theirs.latency),
        times(beside), *sizes, str(theirs.conversions), str(ours.conversions),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", action="append")
    parser.add_argument("--calibrate", type=int, default=64)
    parser.add_argument("--compare", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=6.0)
    given = parser.parse_args()
    lines = [HEAD]
    for entry in json.loads(given.list.read_text()):
        name = Path(entry["model"]).stem
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = examine(
                entry, given.list.parent, Path(scratch), given.calibrate, given.compare, given.seconds
            )
            lines.append(row(name, *found))
        print(lines[-1], end="", flush=True)
        given.output.write_text("".join(lines))


if __name__ == "__main__":
    main()
