#!/usr/bin/env python3
"""Runs the model of this folder with OpenVINO: on pictures, sounds, texts or a camera.

python run.py picture.jpg              the answer in words
python run.py folder/ -o answers/      many, drawn into a folder
python run.py --camera                 a camera, frame by frame, until Ctrl-C
python run.py --self-test              the stored examples: does this machine compute right?
python run.py --bench --device GPU     how fast it is on the GPU
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
sys.modules.setdefault("openvino_telemetry", None)  # it would report every import to the network

try:
    import numpy as np
    import openvino as ov
    import PIL  # noqa: F401
except ImportError as error:
    sys.exit(
        f"error: {error.name or error} is missing; run: {sys.executable} -m pip install --no-deps "
        f"--require-hashes -r {HERE / 'requirements.txt'}"
    )

from sanderling.deploy.ends import model_of, real
from sanderling.deploy.program import Program, start
from sanderling.samples.inputs import model_inputs


class Machine:
    """The model, compiled by OpenVINO for a device: stored arrays in, real values out."""

    reason = ""

    def __init__(self, file: Path, graph: Mapping[str, Any], given: argparse.Namespace, threads: int) -> None:
        self.model = model_of(graph)
        self.inputs, self.outputs = model_inputs(self.model), tuple(self.model.output_names())
        self.engine = f"openvino:{given.device.lower()}"
        self.threads, self.seconds, self._graph = threads, 0.0, graph
        self.precision = "f16" if given.device == "NPU" else given.precision  # NPUs have no float32
        settings = {"PERFORMANCE_HINT": "LATENCY"}
        if self.precision != "fastest":
            settings["INFERENCE_PRECISION_HINT"] = self.precision
        if given.device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = threads
        core = ov.Core()
        network = core.read_model(str(file))
        if given.device != "CPU":  # only CPUs take pictures of any size without being slow
            network.reshape({n: port["shape"] for n, port in enumerate(graph["inputs"])})
        self._request = core.compile_model(network, given.device, settings).create_infer_request()

    def stored(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs once. Returns: the outputs as the model stores them."""
        arrays = [np.asarray(feeds[port.name], order="C") for port in self.inputs]  # numbers stay numbers
        begin = time.perf_counter()
        found = self._request.infer(arrays)
        self.seconds = time.perf_counter() - begin
        return [np.array(found[port["from"]]) for port in self._graph["outputs"]]

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [real(*each) for each in zip(self.stored(feeds), self._graph["outputs"], strict=True)]

    def forget(self) -> None:
        """Does nothing: no model that keeps a state is deployed to OpenVINO."""

    def close(self) -> None:
        self._request = None


def load(stem: str, bundle: Mapping[str, Any], given: argparse.Namespace, threads: int) -> Machine:
    """Returns: the model of that name, loaded."""
    return Machine(HERE / f"{stem}.xml", bundle["graph"], given, threads)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what OpenVINO can be told."""
    parser.add_argument("--device", default="CPU", choices=("CPU", "GPU", "NPU"), help="what runs it (CPU)")
    parser.add_argument(
        "--precision", default="f32", choices=("f32", "f16", "fastest"),
        help="what floats are computed in (f32; f16 on an NPU); fastest: bf16 where the CPU has it",
    )  # fmt: skip


if __name__ == "__main__":
    start(Program(HERE, __doc__, load, (".xml", ".bin"), arguments))
