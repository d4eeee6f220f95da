"""Runs and times what the tools make: .tflite in LiteRT, OpenVINO's IR in OpenVINO, ONNX in ONNX Runtime.

All in one process on one thread, so that calls can be timed by turns with the float model in LiteRT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recovery.scores import Judge
from sanderling.graph.types import Array
from sanderling.measure.latency import contender
from sanderling.measure.serving import load_file
from sanderling.timing.race import Contender, race, ratio

Feed = Mapping[str, Array]
SECONDS = 8.0  # of timing an entry
PRECISION = 0.02
TIMED_FEEDS = 4


class Ready:
    """A model that is loaded.

    Args:
        path: ``.tflite``, ``.xml`` or ``.onnx``.
        engine: of ours, for a ``.tflite``; others run in what they are made for.

    Attributes:
        engine: what runs it.
    """

    def __init__(self, path: Path, engine: str = "litert") -> None:
        self.engine, self._contend = _LOADERS[path.suffix](path, engine)

    def contender(self, feeds: list[Feed]) -> Contender:
        """Returns: the model's calls, to be timed; ``run`` takes and gives arrays in the file's order."""
        return self._contend(feeds)

    def outputs(self, feed: Feed) -> list[Array]:
        """Returns: the answer to one feed, as the engine gives it."""
        call = self.contender([feed])
        return list(call.run(call.feeds[0]))  # type: ignore[call-overload]

    def answers(self, feeds: Iterable[Feed], judge: Judge) -> Array:
        """Returns: what the judge keeps of the answers, [samples, …]."""
        return np.stack([judge.keep(self.outputs(feed)) for feed in feeds])


def speedup(float_model: Path, candidate: Path, feeds: list[Feed], engine: str) -> dict[str, Any]:
    """Times a model against the float model in LiteRT, by turns.

    Returns: ``speedup`` (median of float's time over its own), its 95 % interval, and both medians in ms.
    """
    racing = [Ready(float_model).contender(feeds), Ready(candidate, engine).contender(feeds)]
    race(racing, seconds=SECONDS, target=PRECISION)
    low, middle, high = ratio(racing[1], racing[0])
    float_ms, own_ms = (float(np.median(each.times)) for each in racing)
    return {
        "speedup": middle, "speedup_ci95": [low, high], "float_ms": float_ms, "latency_ms": own_ms,
    }  # fmt: skip


def _own(path: Path, engine: str) -> tuple[str, Callable[[list[Feed]], Contender]]:
    loaded = load_file(path, engine, 1)
    ports = loaded.runner.inputs

    def contend(feeds: list[Feed]) -> Contender:
        positional = [dict(zip([p.name for p in ports], feed.values(), strict=True)) for feed in feeds]
        return contender(loaded, positional)

    return {"litert": "LiteRT", "openvino": "OpenVINO"}[engine], contend


def _openvino(path: Path, _: str) -> tuple[str, Callable[[list[Feed]], Contender]]:
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(str(path), "CPU", exact)
    request = compiled.create_infer_request()
    places = [request.get_input_tensor(i).data for i in range(len(compiled.inputs))]

    def run(arrays: list[Array]) -> list[Array]:
        for place, array in zip(places, arrays, strict=True):
            place[...] = array
        request.infer()
        return [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]

    return "OpenVINO", lambda feeds: Contender(run, [list(feed.values()) for feed in feeds])


def _onnxruntime(path: Path, _: str) -> tuple[str, Callable[[list[Feed]], Contender]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]

    def run(arrays: list[Array]) -> list[Array]:
        answers: list[Array] = session.run(None, dict(zip(names, arrays, strict=True)))
        return answers

    return "ONNX Runtime", lambda feeds: Contender(run, [list(feed.values()) for feed in feeds])


_LOADERS = {".tflite": _own, ".xml": _openvino, ".onnx": _onnxruntime}
