"""The library itself: imported quietly, and asked once which execution providers it has here."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from sanderling.engines.litert.log import captured

CPU = "CPUExecutionProvider"
QNN = "QNNExecutionProvider"
ERRORS_ONLY = 3
_QNN_PLUGIN = "onnxruntime_qnn"


@cache
def load() -> Any:
    """Imports ``onnxruntime``, which warns of GPUs that it cannot tell apart.

    Raises:
        ImportError: it is not installed, or its shared library cannot be loaded.
    """
    with captured():
        library = importlib.import_module("onnxruntime")
    library.set_default_logger_severity(ERRORS_ONLY)
    library.disable_telemetry_events()  # on Windows its events are on
    return library


@cache
def providers() -> tuple[str, ...]:
    """Returns: the execution providers that this build has. That one works only a session tells."""
    library = load()
    found = list(library.get_available_providers())
    if QNN not in found and qnn_devices():
        found.append(QNN)
    return tuple(found)


@cache
def qnn_devices() -> tuple[Any, ...]:
    """Returns: the devices of the QNN provider where it is a package of its own; () where it is not there."""
    if importlib.util.find_spec(_QNN_PLUGIN) is None:
        return ()
    library, plugin = load(), importlib.import_module(_QNN_PLUGIN)
    library.register_execution_provider_library(QNN, plugin.get_library_path())
    return tuple(device for device in library.get_ep_devices() if device.ep_name == QNN)


def qnn_backend() -> str:
    """Returns: the path of the library that compiles for Hexagon's tensor processor."""
    path: str = importlib.import_module(_QNN_PLUGIN).get_qnn_htp_path()
    return path


def cause(error: BaseException) -> str:
    """Returns: one line that says why ONNX Runtime failed, without its codes and places in source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    _, _, told = text.partition(" was false. ")  # what follows the condition that does not hold
    return (told or text)[:300].rstrip(".")
