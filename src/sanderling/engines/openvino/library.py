"""The library itself: imported without its telemetry, and asked once what this machine has."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

_TELEMETRY = "openvino_telemetry"


def load() -> Any:
    """Imports ``openvino``, which by itself would report every import to Google Analytics.

    It does without where the package that reports cannot be found, so that is what it is shown. Whoever has
    imported it before us has decided otherwise, and keeps what they have.

    Raises:
        ImportError: it is not installed.
        OSError, RuntimeError: its shared libraries cannot be loaded.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    kept = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # what ``import`` takes for "not there"
    try:
        return importlib.import_module("openvino")
    finally:
        if kept is None:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = kept


@cache
def core() -> Any:
    """Returns: the one ``openvino.Core`` of this process, which finds plugins and devices once."""
    return load().Core()


@cache
def devices() -> tuple[str, ...]:
    """Returns: the kinds of devices here: ``CPU``, ``GPU``, ``NPU``. Several GPUs are GPU.0, GPU.1 …."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in core().available_devices))


def capabilities(device: str) -> tuple[str, ...]:
    """Returns: what a device computes with: ``FP32``, ``BF16``, ``INT8`` …."""
    return tuple(core().get_property(device, "OPTIMIZATION_CAPABILITIES"))


def cause(error: BaseException) -> str:
    """Returns: one line that says why OpenVINO failed, without its places in source files."""
    told: list[str] = []
    for text in str(error).splitlines():
        line = text.strip().rstrip(".:")
        noise = ("Exception from ", "Check '", "FrontEnd API failed", "Converting input model", "[CPU]")
        if line and not line.startswith(noise) and not any(line in earlier for earlier in told):
            told.append(line)
    return "; ".join(told[:3]) or str(error).strip() or type(error).__name__
