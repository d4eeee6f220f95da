"""What the machine that this runs on is. Called in the worker of a device, or here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("ai-edge-litert", "numpy")
_CPUINFO, _CPU = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")
_QUIET_GOVERNORS = ("performance", "schedutil", "")
_HOT = 80.0  # degrees Celsius: a Raspberry Pi slows down from here on


def collect() -> dict[str, Any]:
    """Returns: a ``Facts`` as JSON values."""
    return {
        "cpu": _model() or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "system": _system(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "notes": _notes(),
    }


def usable_cores() -> float:
    """Returns: processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return float(len(os.sched_getaffinity(0)))
    return float(os.cpu_count() or 1)


def _model() -> str:
    """Returns: the processor's name; of a board, where the processor does not tell, the board's."""
    board = _text(Path("/proc/device-tree/model")).strip("\0")
    if board:
        return board
    for line in _text(_CPUINFO).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return ""


def _system() -> str:
    for line in _text(Path("/etc/os-release")).splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return f"{value.strip().strip(chr(34))}, {platform.system()} {platform.release()}"
    return f"{platform.system()} {platform.release()}"


def _notes() -> list[str]:
    governor = _text(_CPU / "cpu0" / "cpufreq" / "scaling_governor").strip()
    heat = max((_celsius(zone) for zone in _THERMAL.glob("thermal_zone*/temp")), default=0.0)
    return conditions(governor, heat)


def conditions(governor: str, heat: float) -> list[str]:
    """Returns: what makes figures less trustworthy, in words.

    Args:
        governor: of the processor's frequency, "" where it is not known.
        heat: degrees Celsius, 0 where it is not known.
    """
    notes = []
    if governor not in _QUIET_GOVERNORS:
        notes.append(f"its frequency governor is {governor!r}: times vary; set it to 'performance'")
    if heat >= _HOT:
        notes.append(f"it is {heat:.0f} °C hot: it may be slowed down")
    return notes


def _celsius(file: Path) -> float:
    text = _text(file).strip()
    return int(text) / 1000 if text.lstrip("-").isdigit() else 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # this system does not tell
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
