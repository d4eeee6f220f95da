"""What is begun before a model is read: opening the device, and compiling the kernels that it used last.

The texts of a model's kernels are kept on disk, per (model, adapter). They are hints and nothing else: a
kernel is looked up by the text that was written for this very program, so one that was compiled for an older
text is never run, and no version has to be compared.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from sanderling import files
from sanderling.engines.webgpu.driver.adapters import Adapter
from sanderling.engines.webgpu.driver.device import Device, open_device
from sanderling.engines.webgpu.driver.pipelines import Kernel
from sanderling.engines.webgpu.remember import hash_of
from sanderling.errors import SanderlingError
from sanderling.settings import settings

FORMAT = 1
MOST = 512  # kernels of a model
_LIMIT = 8 * 2**20  # bytes of a file
_BINDINGS = {"storage", "read-only-storage", "uniform"}
_log = logging.getLogger("sanderling.webgpu")


def begin(path: Path, options: Mapping[str, object]) -> None:
    """Begins in a thread of its own. What goes wrong is met again, and told, by whoever loads the model.

    Args:
        path: the model's file, which may be anything yet.
        options: the engine's, unchecked: ``device`` and ``library`` matter.
    """
    threading.Thread(target=_begin, args=(path, dict(options)), name="sanderling-early").start()


def _begin(path: Path, options: Mapping[str, object]) -> None:
    wanted, library = options.get("device"), options.get("library")
    if not (wanted is None or isinstance(wanted, (str, int))) or not isinstance(library, str | None):
        return
    try:
        device = open_device(wanted, library)
        device.pipelines.soon(recall(path, device.adapter))
    except (SanderlingError, ImportError, OSError, RuntimeError) as error:
        _log.debug("nothing could be begun early: %s", error)


def recall(path: Path, adapter: Adapter) -> list[Kernel]:
    """Returns: the kernels that a model used on an adapter when it was loaded last, as far as is known."""
    try:
        with _file(path, adapter).open("rb") as file:
            text = file.read(_LIMIT + 1)
        value = json.loads(text) if len(text) <= _LIMIT else {}
    except (OSError, ValueError, RecursionError):
        return []
    found = value.get("kernels") if isinstance(value, dict) and value.get("format") == FORMAT else None
    if not isinstance(found, list) or len(found) > MOST:
        return []
    most = adapter.limits["max_storage_buffers_per_shader_stage"]
    return [(row[0], tuple(row[1])) for row in found if _is_kernel(row, most)]


def _is_kernel(row: object, most: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 2
        and isinstance(row[0], str)
        and isinstance(row[1], list)
        and len(row[1]) <= most
        and all(isinstance(kind, str) and kind in _BINDINGS for kind in row[1])
    )


def keep(path: Path, device: Device, used: Iterable[Kernel]) -> None:
    """Keeps what a model uses for the next time. A cache that cannot be written costs only time."""
    kernels = sorted(set(used))
    if len(kernels) > MOST or kernels == sorted(recall(path, device.adapter)):
        return
    file = _file(path, device.adapter)
    try:
        if not kernels:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(file, json.dumps({"format": FORMAT, "kernels": kernels}))
    except OSError as error:
        _log.warning("the kernels cannot be kept in %s (%s)", file, error.strerror)


def _file(path: Path, adapter: Adapter) -> Path:
    key = hashlib.sha256(f"{hash_of(path)}\n{adapter.identity}".encode()).hexdigest()[:32]
    return settings().cache / "webgpu" / f"kernels-{key}.json"
