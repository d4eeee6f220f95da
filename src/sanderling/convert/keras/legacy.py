"""Files of Keras 1 and 2, which state settings that Keras 3 no longer knows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sanderling.convert.keras.archive import HDF5

# Setting → the value that says nothing: Keras 3 has no such setting because it always means this.
_GONE: dict[str, dict[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1},
    "DepthwiseConv1D": {"groups": 1},
    "SeparableConv2D": {"groups": 1},
    "SeparableConv1D": {"groups": 1},
    "Conv1DTranspose": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "Conv3DTranspose": {"groups": 1},
    "LSTM": {"time_major": False, "implementation": None},
    "GRU": {"time_major": False, "implementation": None},
    "SimpleRNN": {"time_major": False, "implementation": None},
    "Bidirectional": {"time_major": False},
}


def mended(path: Path, folder: Path) -> Path:
    """Returns: the file, or where it is an old one a copy in ``folder`` without settings that are gone."""
    with path.open("rb") as file:
        if file.read(8) != HDF5:
            return path
    import h5py

    with h5py.File(path, "r") as opened:
        config = json.loads(opened.attrs["model_config"])
    changed = False
    for layer in _layers(config):
        settings = layer["config"]
        for name, meaningless in _GONE.get(layer["class_name"], {}).items():
            if name in settings and (meaningless is None or settings[name] == meaningless):
                del settings[name]
                changed = True
    if not changed:
        return path
    copy = folder / path.name
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as opened:
        opened.attrs["model_config"] = json.dumps(config)
    return copy


def _layers(value: Any) -> Iterator[dict[str, Any]]:
    """Yields: every object of a class with settings, nested ones too."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if isinstance(found.get("config"), dict) and isinstance(found.get("class_name"), str):
                yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
