"""A live Keras model: in this process where it runs on JAX, else from a copy in another."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.keras.isolated import convert_file
from sanderling.convert.keras.lower import conversion_of, lower
from sanderling.convert.keras.ports import arguments
from sanderling.graph.types import Array


def convert_model(model: Any, wishes: Wishes) -> Conversion:
    """Converts a live ``keras.Model``, whatever backend Keras runs on.

    Raises:
        ConvertError: it cannot be converted, or (on another backend) cannot be saved.
    """
    import keras

    if keras.config.backend() == "jax":
        return conversion_of(lower(model, wishes.shapes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        done = convert_file(path, wishes)

    def reference(arrays: Sequence[Array]) -> list[Array]:
        args, kwargs = arguments(model, arrays)
        answer = model(*args, training=False, **kwargs)
        return [np.asarray(keras.ops.convert_to_numpy(each)) for each in keras.tree.flatten(answer)]

    return replace(done, reference=reference)
