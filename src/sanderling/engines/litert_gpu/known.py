"""Which GPU was found, kept on disk: looking for one takes a process of its own and a third of a second.

It is looked for again when the library, the drivers' manifests, the devices or the variables that the Vulkan
loader reads have changed, and where there was none, after a day.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from glob import glob
from pathlib import Path

from sanderling import files
from sanderling.settings import settings

_DAY = 86_400.0  # seconds
_LIMIT = 2**16  # bytes of a file
_FOLDERS = ("/etc", "/usr/share", "/usr/local/share", "/usr/local/etc", "~/.local/share", "~/.config")
_VARIABLES = ("VK_", "XDG_DATA_", "XDG_CONFIG_", "CUDA_VISIBLE_DEVICES")
_DEVICES = ("/dev/dri/*", "/dev/nvidia*", "/dev/dxg", "/dev/mali*", "/dev/kgsl*")
_log = logging.getLogger("sanderling.litert_gpu")


def place(version: str) -> Path:
    """Returns: the file for this machine as it is now.

    Args:
        version: of the library that looks.
    """
    variables = sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(("VK_", "XDG_", "CUDA_VISIBLE"))
    )
    manifests = [path for folder in _FOLDERS for path in glob(os.path.expanduser(f"{folder}/vulkan/icd.d/*"))]
    named = [part for name, value in variables if name.startswith("VK_") for part in value.split(os.pathsep)]
    stamps = sorted((path, _stamp(path)) for path in {*manifests, *named})
    devices = sorted(path for pattern in _DEVICES for path in glob(pattern))
    parts = [version, platform.platform(), variables, stamps, devices]
    key = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return settings().cache / "litert_gpu" / f"{key}.json"


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def recall(path: Path) -> dict[str, str] | None:
    """Returns: what was kept; None where nothing of use was."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_LIMIT))
        found = {str(name): str(value[name]) for name in ("name", "kind", "reason")}
        if found["reason"] and not 0 <= time.time() - float(value["time"]) < _DAY:
            return None
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def keep(path: Path, **found: str) -> None:
    """Writes what was found. A cache that cannot be written costs only time, and is told in the log."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps({"time": time.time(), **found}))
    except OSError as error:
        _log.warning("the GPU that was found cannot be kept in %s (%s)", path, error.strerror)
