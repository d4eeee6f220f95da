#!/usr/bin/env python3
"""Runs the model of this folder on the Hexagon NPU of a Snapdragon, with ONNX Runtime's QNN provider.

python run.py picture.jpg              the answer in words
python run.py folder/ -o answers/      many, drawn into a folder
python run.py --self-test              the stored examples: does this machine compute right?
python run.py --self-test --context    the same with the model compiled beforehand, which starts faster
python run.py --bench                  how fast it is here
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is copied to machines that we do not know
    sys.exit(f"error: this is Python {sys.version.split()[0]}, and 3.11 or newer is needed")

import argparse
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
sys.dont_write_bytecode = True  # the folder may be read-only

try:
    import numpy as np
    import onnxruntime as ort
    import PIL  # noqa: F401
except ImportError as error:
    sys.exit(
        f"error: {error.name or error} is missing; run: {sys.executable} -m pip install --require-hashes -r "
        f"{HERE / 'requirements.txt'}"
    )

from sanderling.deploy.ends import model_of, real
from sanderling.deploy.program import Program, start
from sanderling.samples.inputs import model_inputs

QNN = "QNNExecutionProvider"
EMULATED = platform.machine().lower() in ("x86_64", "amd64")


class Machine:
    """The model in ONNX Runtime: stored arrays in, real values out."""

    reason, precision = "", "f32"

    def __init__(self, file: Path, bundle: Mapping[str, Any], device: str, threads: int) -> None:
        self._ends = bundle["graph"]
        self.model = model_of(self._ends)
        self.inputs, self.outputs = model_inputs(self.model), tuple(self.model.output_names())
        self.engine = f"onnxruntime:{device if device == 'cpu' else 'qnn-emulated' if EMULATED else 'qnn'}"
        self.threads, self.seconds = threads, 0.0
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        if device == "htp":
            self.precision = "f16" if bundle["hexagon"]["floats"] else "f32"
            hexagon(options, bundle["hexagon"]["soc_model"])
            self._session = ort.InferenceSession(str(file), options, enable_fallback=0)
            if QNN not in self._session.get_providers():
                raise SystemExit(
                    "the QNN provider does not start here: is this a Snapdragon with its driver?"
                )
        else:
            self._session = ort.InferenceSession(str(file), options, ["CPUExecutionProvider"])
        self._fed = [port.name for port in self._session.get_inputs()]
        self._asked = [port.name for port in self._session.get_outputs()]

    def stored(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs once. Returns: the outputs as the model stores them."""
        given = dict(zip(self._fed, (np.asarray(feeds[port.name]) for port in self.inputs), strict=True))
        begin = time.perf_counter()
        found = self._session.run(self._asked, given)
        self.seconds = time.perf_counter() - begin
        return [np.asarray(each) for each in found]

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [real(*each) for each in zip(self.stored(feeds), self._ends["outputs"], strict=True)]

    def forget(self) -> None:
        """Does nothing: no model that keeps a state is deployed to the Hexagon."""

    def close(self) -> None:
        self._session = None


def hexagon(options: ort.SessionOptions, chip: int) -> None:
    """Asks for the Hexagon; on x86 for the emulator of one."""
    import onnxruntime_qnn as qnn

    ort.register_execution_provider_library(QNN, qnn.get_library_path())
    found = [each for each in ort.get_ep_devices() if each.ep_name == QNN]
    npus = [each for each in found if each.device.type == ort.OrtHardwareDeviceType.NPU]
    if not found:
        raise SystemExit("the QNN provider finds no device here: is this a Snapdragon with its driver?")
    settings = {"backend_path": qnn.get_qnn_htp_path()}
    settings |= {"soc_model": str(chip)} if EMULATED else {"htp_performance_mode": "burst"}
    options.add_provider_for_devices(npus or found, settings)


def load(stem: str, bundle: Mapping[str, Any], given: argparse.Namespace, threads: int) -> Machine:
    """Returns: the model, loaded."""
    name = f"{stem}_ctx.onnx" if given.context and stem == "model" else f"{stem}.onnx"
    if not (HERE / name).exists():
        raise SystemExit(f"{name} is not in this bundle: it was not compiled when the bundle was made")
    # What finds the parts of a picture is in floating point.
    device = "cpu" if stem == "detector" else given.device
    return Machine(HERE / name, bundle, device, threads)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what ONNX Runtime can be told."""
    parser.add_argument(
        "--device", default="htp", choices=("htp", "cpu"), help="the Hexagon (htp) or the CPU"
    )
    parser.add_argument("--context", action="store_true", help="use the model compiled beforehand")


if __name__ == "__main__":
    start(Program(HERE, __doc__, load, (".onnx", ".bin"), arguments))
