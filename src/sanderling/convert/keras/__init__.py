"""Keras 3: ``.keras`` and ``.h5`` files and live models, by JAX and StableHLO, without TensorFlow."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from sanderling.convert.conversion import Conversion, Converter, Wishes
from sanderling.errors import ConvertError, MissingExtra

ENDINGS = (".keras", ".h5", ".hdf5")
PACKAGES = ("keras", "jax", "litert-converter")


def reads(path: Path) -> bool:
    """Returns: whether a file ends like Keras's."""
    return path.suffix.lower() in ENDINGS and path.is_file()


def takes(source: object) -> bool:
    """Returns: whether an object is a Keras model, without importing Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(source, keras.Model)


def convert(source: object, wishes: Wishes) -> Conversion:
    """Converts a file, in a process of its own, or a live model.

    Raises:
        ConvertError, FormatError: it cannot be read or converted, or reading it would run code of its author.
        MissingExtra: Keras, JAX or litert-converter is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("keras", "jax", "litert_converter")):
        raise MissingExtra("converting Keras models", "keras")
    if isinstance(source, str | Path):
        return _convert_file(Path(source), wishes)
    from sanderling.convert.keras.live import convert_model

    return convert_model(source, wishes)


def _convert_file(path: Path, wishes: Wishes) -> Conversion:
    """Converts a file without TensorFlow; what that cannot take, by TensorFlow where it is installed."""
    from sanderling.convert.keras.isolated import convert_file

    try:
        return convert_file(path, wishes)
    except ConvertError as error:
        if importlib.util.find_spec("tensorflow") is None:
            raise
        from sanderling.convert.saved_model import by_tensorflow

        try:
            done = by_tensorflow("load_keras", path, wishes)
        except ConvertError:
            raise error from None  # the usual way's reason is the one to act on
        return replace(done, notes=(*done.notes, f"by TensorFlow's converter, since {error.what}"))


CONVERTER = Converter(
    "keras", "a Keras model (.keras, .h5)", "keras", reads, takes, convert, PACKAGES, ENDINGS
)  # fmt: skip
