"""The same nets by our converters and by others', run side by side in LiteRT with one thread.

Each converter runs in an environment of its own, given by its Python:

    python -m venv /tmp/tf && /tmp/tf/bin/pip install tensorflow-cpu==2.21 keras
    python benchmarks/converters.py --tensorflow /tmp/tf/bin/python [--zoo ../shared/zoo] [--json out.json]

Files are timed interleaved, A B A B …; the figure is the median, and speed is ours over theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
from rich.console import Console
from rich.table import Table

import sanderling as sd

# Runs in TensorFlow's environment: a .keras file → a .tflite with a batch of one.
BY_TENSORFLOW = """
import os, sys, time
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras, tensorflow as tf
model = keras.models.load_model(sys.argv[1], compile=False)
inputs = [keras.Input(batch_shape=(1, *each.shape[1:]), dtype=each.dtype) for each in model.inputs]
fixed = keras.Model(inputs, model(inputs if len(inputs) > 1 else inputs[0]))
began = time.monotonic()
content = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
print("seconds", time.monotonic() - began)
open(sys.argv[2], "wb").write(content)
"""


def nets(zoo: Path | None) -> dict[str, Callable[[], Any]]:
    """Returns: name → what makes or reads a Keras model."""
    import keras
    from keras import layers

    from sanderling.convert.keras.isolated import read

    def sequence(layer: Any) -> Any:
        return keras.Sequential([keras.Input((28, 28)), layer, layers.Dense(10, activation="softmax")])

    found: dict[str, Callable[[], Any]] = {
        "MobileNetV2-224": lambda: keras.applications.MobileNetV2(weights=None),
        "LSTM 28×28→64": lambda: sequence(layers.LSTM(64)),
        "GRU 28×28→64": lambda: sequence(layers.GRU(64)),
    }
    for file in sorted((zoo / "keras").glob("*.h5")) if zoo else []:
        found[file.stem] = lambda file=file: read(file)  # type: ignore[misc]
    return found


def by_tensorflow(python: str, source: Path, out: Path) -> float:
    """Returns: seconds that TensorFlow's converter took, its import left out."""
    done = subprocess.run(
        [python, "-c", BY_TENSORFLOW, str(source), str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"TensorFlow's converter failed on {source.name}:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def interleaved(files: list[Path], seconds: float, shape: tuple[int, ...] | None = None) -> list[float]:
    """Returns: median milliseconds of a call of each, one thread.

    Args:
        shape: of the first input, for files that leave its sizes open.
    """
    from ai_edge_litert.interpreter import Interpreter

    rng = np.random.default_rng(0)
    loaded = []
    for file in files:
        interpreter = Interpreter(str(file), num_threads=1)
        first = interpreter.get_input_details()[0]
        if shape is not None and -1 in first["shape_signature"]:
            interpreter.resize_tensor_input(first["index"], shape)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], rng.random(detail["shape"]).astype(detail["dtype"]))
        for _ in range(5):
            interpreter.invoke()
        loaded.append(interpreter)
    times: list[list[float]] = [[] for _ in files]
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[0]) < 20:
        for interpreter, taken in zip(loaded, times, strict=True):
            began = time.perf_counter()
            interpreter.invoke()
            taken.append(time.perf_counter() - began)
    return [float(np.median(taken)) * 1e3 for taken in times]


def compare(name: str, model: Any, python: str, seconds: float) -> dict[str, Any]:
    """Converts a model in both ways and times the results."""
    with tempfile.TemporaryDirectory() as folder:
        source, ours, theirs = (Path(folder) / each for each in ("net.keras", "ours.tflite", "theirs.tflite"))
        model.save(source)
        made = sd.convert(source, ours)
        took = by_tensorflow(python, source, theirs)
        our_ms, their_ms = interleaved([ours, theirs], seconds)
        return {
            "net": name, "ours_ms": our_ms, "tensorflow_ms": their_ms, "speed": their_ms / our_ms,
            "ours_bytes": ours.stat().st_size, "tensorflow_bytes": theirs.stat().st_size,
            "ours_seconds": made.convert_seconds, "tensorflow_seconds": took,
            "relative_error": made.proof.worst.relative,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--tensorflow", required=True, help="Python of an environment with tensorflow and keras"
    )
    parser.add_argument("--zoo", type=Path, help="a folder with keras/*.h5")
    parser.add_argument("--seconds", type=float, default=5.0, help="timing per net")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table(
        "net", "ours ms", "TensorFlow ms", "speed", "ours kB", "TensorFlow kB", "convert s", "error"
    )
    rows = []
    for name, make in nets(given.zoo).items():
        row = compare(name, make(), given.tensorflow, given.seconds)
        rows.append(row)
        table.add_row(
            name, f"{row['ours_ms']:.4g}", f"{row['tensorflow_ms']:.4g}", f"{row['speed']:.2f}×",
            f"{row['ours_bytes'] / 1e3:.0f}", f"{row['tensorflow_bytes'] / 1e3:.0f}",
            f"{row['ours_seconds']:.1f} / {row['tensorflow_seconds']:.1f}", f"{row['relative_error']:.0e}",
        )  # fmt: skip
        print(name, f"{row['speed']:.2f}", file=sys.stderr)
    Console(width=120).print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
