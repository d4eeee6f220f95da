"""PyTorch networks, converted by us, by bare litert-torch, and (if given) by another converter, side by side.

Run: ``python benchmarks/torch_conversion.py [NAME…] [--peer NAME=FILE.tflite …] [--seconds 6]``. All files of
a network are timed in turns by LiteRT on one thread. Exits with 1 where ours is slower than 0.95× a peer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

WORTH = 0.95
BURST = 5  # calls of one file before the next one's turn


def files_of(name: str, folder: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Converts one architecture both ways. Returns: the files, and what is to be told of ours."""
    from sanderling import architectures
    from sanderling.convert.conversion import Wishes
    from sanderling.convert.quiet import quiet
    from sanderling.convert.torch import CONVERTER
    from sanderling.tflite import write

    network = architectures.build(name).eval()
    began = perf_counter()
    done = CONVERTER.convert(network, Wishes(layout="nhwc", example=network.example))
    ours, bare = folder / f"{name}.tflite", folder / f"{name}-bare.tflite"
    told = {"seconds": perf_counter() - began}
    write(done.model, ours)
    kinds = [node.op for node in done.model.main.nodes]
    told |= {"operators": len(kinds), "transposes": kinds.count("TRANSPOSE")}
    with quiet():
        import litert_torch

        litert_torch.progress.config.show_progress = False
        litert_torch.convert(network, network.example).export(str(bare))
    return {"ours": ours, "litert-torch": bare}, told


def latencies(files: dict[str, Path], seconds: float) -> dict[str, float]:
    """Returns: the median time of a call in ms, one thread, files in turns."""
    from ai_edge_litert.interpreter import Interpreter

    runners = {}
    for label, path in files.items():
        runner = Interpreter(model_path=str(path), num_threads=1)
        runner.allocate_tensors()
        for each in runner.get_input_details():
            whole = np.issubdtype(each["dtype"], np.integer)
            values = np.ones(each["shape"]) if whole else np.random.default_rng(0).random(each["shape"])
            runner.set_tensor(each["index"], values.astype(each["dtype"]))
        runners[label] = runner
    times: dict[str, list[float]] = {label: [] for label in runners}
    until = perf_counter() + seconds
    while perf_counter() < until:
        for label, runner in runners.items():
            for _ in range(BURST):
                began = perf_counter()
                runner.invoke()
                times[label].append((perf_counter() - began) * 1e3)
    return {label: median(each) for label, each in times.items()}


def main() -> None:
    from sanderling import architectures

    parser = argparse.ArgumentParser(description="PyTorch networks by several converters.")
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    peers = dict(each.split("=", 1) for each in options.peer)
    slow = False
    for name in options.names or architectures.names():
        with tempfile.TemporaryDirectory() as folder:
            files, told = files_of(name, Path(folder))
            if name in peers:
                files["peer"] = Path(peers[name])
            found = latencies(files, options.seconds)
        ratios = {label: found[label] / found["ours"] for label in found if label != "ours"}
        slow |= any(ratio < WORTH for ratio in ratios.values())
        rest = ", ".join(f"{ratio:.2f}x {label}" for label, ratio in ratios.items())
        print(
            f"{name:20} {found['ours']:8.3f} ms  {rest:40} {told['operators']:4} operators,"
            f" {told['transposes']} TRANSPOSE, converted in {told['seconds']:.1f} s",
            flush=True,
        )
    sys.exit(slow)


if __name__ == "__main__":
    main()
