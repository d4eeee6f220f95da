#!/usr/bin/env python3
"""Runs the model of this folder: on pictures, sounds, sentences, arrays or a camera.

python run.py picture.jpg              the answer in words
python run.py folder/ -o answers/      many, drawn into a folder
python run.py --camera                 a camera, picture by picture, until Ctrl-C
python run.py --self-test              the stored examples: does this machine compute right?
python run.py --bench                  how fast it is here
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is copied to machines that we do not know
    sys.exit(f"error: this is Python {sys.version.split()[0]}, and 3.11 or newer is needed")

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
sys.dont_write_bytecode = True  # the folder may be read-only

try:
    import ai_edge_litert.interpreter  # noqa: F401
    import numpy as np
    import PIL  # noqa: F401
except ImportError as error:
    sys.exit(
        f"error: {error.name or error} is missing; run: {sys.executable} -m pip install --require-hashes -r "
        f"{HERE / 'requirements.txt'}"
    )

from sanderling.deploy.program import Program, start
from sanderling.engines.litert.runner import LiteRTRunner
from sanderling.runtime.ports import dequantize
from sanderling.samples.inputs import model_inputs
from sanderling.tflite import read


class Machine:
    """The model in LiteRT: stored arrays in, real values out."""

    engine, reason, precision = "litert", "", "f32"

    def __init__(self, file: Path, threads: int) -> None:
        self.model = read(file)
        self.inputs = model_inputs(self.model)
        self.threads, self.seconds = threads, 0.0
        self._runner = LiteRTRunner(file, self.model, threads=threads)
        self.outputs = tuple(port.name for port in self._runner.outputs)

    def stored(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs once. Returns: the outputs as the model stores them."""
        begin = time.perf_counter()
        found = self._runner.run([np.asarray(feeds[port.name]) for port in self._runner.inputs])
        self.seconds = time.perf_counter() - begin
        return found

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        arrays = self.stored(feeds)
        return [dequantize(array, port) for array, port in zip(arrays, self._runner.outputs, strict=True)]

    def forget(self) -> None:
        self._runner.reset()

    def close(self) -> None:
        self._runner.close()


def load(stem: str, bundle: Mapping[str, Any], given: argparse.Namespace, threads: int) -> Machine:
    """Returns: the model of that name, loaded."""
    return Machine(HERE / f"{stem}.tflite", threads)


if __name__ == "__main__":
    start(Program(HERE, __doc__, load, (".tflite",)))
