"""Runs an ONNX model by ONNX Runtime; called in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sanderling.errors import ConvertError
from sanderling.graph.types import Array

_sessions: list[Any] = []
# ONNX Runtime's name of an element type → NumPy's, where a model of ours carries another one.
_TYPES = {"tensor(float16)": "float16", "tensor(double)": "float64"}


def load(path: str) -> None:
    """Loads a model, one thread, without rewrites that change how it rounds.

    Raises:
        ConvertError: ONNX Runtime refuses it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConvertError(
            f"ONNX Runtime {onnxruntime.__version__} refuses it: {_words(error)}", where=path
        ) from error
    _sessions[:] = [session]


def run(feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
    """Runs the loaded model. Returns: the outputs of these names; floats of other widths as float32.

    Raises:
        ConvertError: ONNX Runtime fails.
    """
    session = _sessions[0]
    kinds = {port.name: _TYPES.get(port.type) for port in session.get_inputs()}
    given = {
        name: array.astype(kinds[name]) if kinds.get(name) else np.ascontiguousarray(array)
        for name, array in feeds.items()
    }
    try:
        answers = session.run(list(names), given)
    except Exception as error:
        raise ConvertError(f"ONNX Runtime cannot run it: {_words(error)}") from error
    return [each.astype(np.float32) if each.dtype in (np.float16, np.float64) else each for each in answers]


def _words(error: Exception) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first[:300]
