"""A live Keras model: in this process where it runs on JAX, else from a copy in another."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.finish import finish, named
from sanderling.convert.keras.lower import lower
from sanderling.convert.keras.ports import arguments
from sanderling.convert.lowered import Lowered
from sanderling.convert.stand_ins import take_up
from sanderling.graph.types import Array
from sanderling.tflite.read import parse


def convert_model(model: Any, wishes: Wishes) -> Conversion:
    """Converts a live ``keras.Model``, whatever backend Keras runs on.

    Raises:
        ConvertError: it cannot be converted, or (on another backend) cannot be saved.
    """
    import keras

    if keras.config.backend() == "jax":
        return conversion_of(lower(model, wishes.shapes))
    from sanderling.convert.keras.isolated import convert_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        done = convert_file(path, wishes)

    def reference(arrays: Sequence[Array]) -> list[Array]:
        args, kwargs = arguments(model, arrays)
        answer = model(*args, training=False, **kwargs)
        return [np.asarray(keras.ops.convert_to_numpy(each)) for each in keras.tree.flatten(answer)]

    return replace(done, reference=reference)


def conversion_of(lowered: Lowered) -> Conversion:
    """Returns: what every converter hands over, with names and our own rewrites."""
    model = take_up(parse(memoryview(lowered.content)))
    model = finish(named(model, lowered.inputs, lowered.outputs))
    route = (
        f"Keras {version('keras')} → JAX {version('jax')} → StableHLO →"
        f" litert-converter {version('litert-converter')}"
    )
    return Conversion(model, lowered.run, route, lowered.notes)
