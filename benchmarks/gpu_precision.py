"""What 16 bits cost and bring on this GPU: error and time of float models, stored and computed in four ways.

    python benchmarks/gpu_precision.py MODEL.tflite… [--samples FOLDER] [--rounds 5]

Ways: float32; packed (two halves in a word, unpacked to float32: what adapters without shader-f16 do);
native (vec4<f16>, where the adapter has the feature); half (native, and products in 16 bits wherever there is
a variant for it); auto (what precision="auto" decides on the samples). The error is the largest difference of
an output from float32's on the same GPU, as a share of its scale; times are medians of whole calls, in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from sanderling.engines.webgpu import precision
from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.half import halved, limits_of
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device, open_device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.runner import Options, WebGPURunner
from sanderling.engines.webgpu.tuned import signature
from sanderling.errors import SanderlingError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Verdict
from sanderling.samples.load import load_samples
from sanderling.tflite import read

SAMPLES = 3


def feeds_of(model: Model, folder: str | None) -> tuple[list[list[Array]], str]:
    """Returns: what is fed, and where it comes from."""
    names = model.input_names()
    try:
        found = load_samples(folder, model, count_synthetic=SAMPLES, limit=SAMPLES)
    except SanderlingError:  # pictures do not suit a model of sounds
        found = load_samples(None, model, count_synthetic=SAMPLES, limit=SAMPLES)
    return [[found[i][name] for name in names] for i in range(len(found))], found.origin


def half_products(model: Model, target: Target) -> Mapping[str, str]:
    """Returns: signature → first variant that multiplies in 16 bits, for every operator that has one."""
    graph = at_shapes(model, [model.main.tensors[i].shape for i in model.main.inputs]).main
    found = {}
    for node in graph.nodes:
        limits = limits_of(graph, node, target.kernels, half=True, wide=target.wide)
        ways = variants(graph, node, limits)
        names = [] if isinstance(ways, Verdict) else [v.name for v in ways if v.name.endswith("_half")]
        if names:
            key = signature(graph, node, half=halved(graph, node, half=True, wide=target.wide))
            found[key] = names[0]
    return found


def ways_of(
    path: Path, model: Model, device: Device, feeds: Sequence[Sequence[Array]]
) -> dict[str, tuple[Target, str]]:
    """Returns: name → what to compile for, and a remark."""
    full, half = target_of(device.adapter), target_of(device.adapter, half=True)
    ways = {"float32": (full, ""), "packed": (replace(half, kernels=replace(half.kernels, f16=False)), "")}
    if half.kernels.f16:
        ways["native"] = half, ""
        ways["half"] = replace(half, tuned=half_products(model, half)), ""
    found = precision.choose(path, model, device, full, feeds)
    ways["auto"] = found.apply(full), found.reason
    return ways


def apart(mine: Sequence[Sequence[Array]], wanted: Sequence[Sequence[Array]]) -> float:
    """Returns: the largest difference as a share of an output's scale over all samples; of integers, the
    share that differ.

    Args:
        mine, wanted: answers, one list of outputs for each sample.
    """
    worst = 0.0
    for ours, theirs in zip(zip(*mine, strict=True), zip(*wanted, strict=True), strict=True):
        a, b = np.stack(ours), np.stack(theirs)
        if b.dtype.kind != "f":
            worst = max(worst, float(np.mean(a != b)) if b.size else 0.0)
            continue
        far = np.abs(a.astype(np.float64) - b)
        worst = max(worst, inf if np.isnan(far).any() else far.max(initial=0) / max(np.abs(b).max(), 1e-6))
    return float(worst)


def measure(path: Path, device: Device, folder: str | None, rounds: int) -> None:
    model = read(path)
    feeds, origin = feeds_of(model, folder)
    ways = ways_of(path, model, device, feeds)
    how = Options(trust=True)
    runners = {n: WebGPURunner(path, model, device, target, how) for n, (target, _) in ways.items()}
    answers: dict[str, list[list[Array]]] = {name: [] for name in runners}
    for name, runner in runners.items():
        for feed in feeds:
            runner.reset()
            answers[name].append(runner.run(feed))
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            start = perf_counter()
            runner.run(feeds[0])
            times[name].append(perf_counter() - start)
    base = median(times["float32"])
    for name in runners:
        error = apart(answers[name], answers["float32"])
        spent = median(times[name])
        remark = ways[name][1] if name == "auto" else ""
        print(f"| {path.stem} | {name} | {error:.2g} | {1e3 * spent:.3g} | {spent / base:.2f} | {remark} |")
    print(f"|  | | | | | fed: {origin} |", flush=True)
    for runner in runners.values():
        runner.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--samples", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    device = open_device()
    print(f"{device.adapter.identity}\n\n| model | way | error | ms | ratio | |\n|---|---|---|---|---|---|")
    for path in given.models:
        try:
            measure(path, device, given.samples, given.rounds)
        except SanderlingError as error:
            print(f"| {path.stem} | | | | | {error} |", flush=True)


if __name__ == "__main__":
    main()
