"""Reads, edits and writes a model of 105 MB: how long it takes and how far memory grows.

python benchmarks/large_file.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sanderling import tflite
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType

LAYERS, WIDTH = 25, 1024


def make(path: Path) -> None:
    """Writes a chain of dense layers."""
    rng = np.random.default_rng(0)
    row, square = TensorType((1, WIDTH), DType.FLOAT32), TensorType((WIDTH, WIDTH), DType.FLOAT32)
    tensors, nodes = [Tensor("x", row)], []
    for layer in range(LAYERS):
        weights = rng.standard_normal((WIDTH, WIDTH), np.float32)
        tensors += [Tensor(f"w{layer}", square, weights), Tensor(f"y{layer}", row)]
        operands = (2 * layer, 2 * layer + 1, -1)
        nodes.append(Node("FULLY_CONNECTED", operands, (2 * layer + 2,), {}, "FullyConnectedOptions"))
    tflite.write(Model((Graph(tuple(tensors), tuple(nodes), (0,), (2 * LAYERS,)),)), path)


def peak_mb() -> float:
    """Returns: the largest resident memory of this process so far, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def edit(path: Path) -> None:
    """Renames every tensor and prints what it took."""
    before = peak_mb()
    start = time.perf_counter()
    model = tflite.read(path)
    tensors = tuple(replace(tensor, name=f"{tensor.name}_edited") for tensor in model.main.tensors)
    tflite.write(model.with_main(replace(model.main, tensors=tensors)), path.with_name("edited.tflite"))
    seconds = time.perf_counter() - start
    grown = peak_mb() - before
    print(f"{path.stat().st_size / 1e6:.0f} MB: {seconds:.2f} s, memory grew by {grown:.1f} MB at the peak")


def main() -> None:
    """Makes the file, then edits it in a process of its own."""
    if len(sys.argv) > 1:
        edit(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tflite"
        make(path)
        subprocess.run([sys.executable, __file__, str(path)], check=True)


if __name__ == "__main__":
    main()
