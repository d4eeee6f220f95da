"""Inputs and outputs of a bundle's network as JSON, and back: programs there have no ``.tflite`` to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Signature, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType


def port(name: str, dtype: DType, shape: tuple[int, ...], quant: Quant | None, **more: Any) -> dict[str, Any]:
    """Returns: an input or output as JSON values."""
    told = {"name": name, "dtype": dtype.value, "shape": list(shape), **more}
    if quant is None or quant.scale.size == 0:
        return told
    scales = {"scale": quant.scale.tolist(), "zero_point": quant.zero_point.tolist(), "axis": quant.axis}
    return {**told, **scales}


def ends_of(model: Model) -> dict[str, Any]:
    """Returns: the inputs and outputs of a model."""
    graph = model.main
    sides = {"inputs": (model.input_names(), graph.inputs), "outputs": (model.output_names(), graph.outputs)}
    found = {}
    for side, (names, indices) in sides.items():
        kinds = [graph.tensors[index].type for index in indices]
        found[side] = [
            port(name, kind.dtype, kind.shape, kind.quant) for name, kind in zip(names, kinds, strict=True)
        ]
    return found


def model_of(ends: Mapping[str, Any]) -> Model:
    """Returns: a model of nothing but inputs and outputs, which is all that a pipeline asks of one."""
    both = [*ends["inputs"], *ends["outputs"]]
    tensors = tuple(
        Tensor(each["name"], TensorType(tuple(each["shape"]), DType(each["dtype"]), _quant(each)))
        for each in both
    )
    first = len(ends["inputs"])
    inputs, outputs = tuple(range(first)), tuple(range(first, len(both)))
    given, wanted = (tuple((tensors[i].name, i) for i in side) for side in (inputs, outputs))
    signature = Signature("serving_default", given, wanted)
    return Model((Graph(tensors, (), inputs, outputs),), (signature,))


def real(array: Array, told: Mapping[str, Any]) -> Array:
    """Returns: the real values of an output."""
    quant = _quant(told)
    if quant is None or array.dtype.kind not in "iu":
        return array
    shape = [1] * array.ndim
    if quant.axis is not None and quant.scale.size > 1:
        shape[quant.axis] = -1
    zero = quant.zero_point.astype(np.float32).reshape(shape)
    return np.asarray((array.astype(np.float32) - zero) * quant.scale.reshape(shape))


def _quant(told: Mapping[str, Any]) -> Quant | None:
    if "scale" not in told:
        return None
    scale, zero = np.asarray(told["scale"], np.float32), np.asarray(told["zero_point"], np.int64)
    return Quant(scale, zero, axis=told["axis"])
