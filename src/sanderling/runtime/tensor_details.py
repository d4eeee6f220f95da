"""Tensors, operators and signatures as the dictionaries of TFLite's Python interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Sparsity, Tensor
from sanderling.graph.types import DType, Quant

Details = dict[str, Any]
Signatures = dict[str, dict[str, dict[str, int]]]

# How LiteRT names in Python what NumPy has no element type for.
_OTHER_TYPES: dict[DType, type[Any]] = {
    DType.STRING: np.bytes_, DType.RESOURCE: np.object_, DType.VARIANT: np.object_,
    DType.FLOAT8_E4M3FN: np.int8, DType.FLOAT8_E5M2: np.int8,
}  # fmt: skip
_DENSE, _SPARSE = 0, 1  # schema.fbs, DimensionType


def describe_tensor(tensor: Tensor, index: int, shape: Sequence[int]) -> Details:
    """Describes one tensor as ``Interpreter.get_tensor_details`` does.

    Args:
        tensor: the tensor.
        index: its position in its graph.
        shape: the shape in force now.

    Returns: name, index, shape, shape_signature, dtype, quantization, quantization_parameters,
        sparsity_parameters.

    Raises:
        ValueError: Python has no element type for it (bfloat16).
    """
    quant = tensor.quant or Quant(np.empty(0, np.float32), np.empty(0, np.int64))
    single = quant.scale.size == 1
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(shape, np.int32),
        "shape_signature": np.array(tensor.shape_signature or shape, np.int32),
        "dtype": _scalar_type(tensor.dtype),
        "quantization": (float(quant.scale[0]), int(quant.zero_point[0])) if single else (0.0, 0),
        "quantization_parameters": {
            "scales": quant.scale.astype(np.float32),
            "zero_points": quant.zero_point.astype(np.int32),
            "quantized_dimension": quant.dimension,
            "block_size": quant.block[2] if quant.block else 0,
        },
        "sparsity_parameters": _describe_sparsity(tensor.sparsity),
    }


def describe_operator(graph: Graph, index: int) -> Details:
    """Describes one operator as ``Interpreter._get_op_details`` does."""
    node: Node = graph.nodes[index]
    return {
        "index": index,
        "op_name": node.kind,
        "inputs": np.array(node.inputs, np.int32),
        "outputs": np.array(node.outputs, np.int32),
        "operand_types": [_scalar_type(graph.tensors[i].dtype) for i in node.inputs if i >= 0],
        "result_types": [_scalar_type(graph.tensors[i].dtype) for i in node.outputs if i >= 0],
    }


def full_signatures(model: Model) -> Signatures:
    """Returns: key → ``inputs`` and ``outputs`` → name → tensor index, names in alphabetical order."""
    return {
        signature.key: {
            "inputs": dict(sorted(signature.inputs)),
            "outputs": dict(sorted(signature.outputs)),
        }
        for signature in model.signatures
    }


def subgraph_of(model: Model, key: str) -> int:
    """Returns: the subgraph that a signature of the model enters."""
    return next(signature.graph for signature in model.signatures if signature.key == key)


def _scalar_type(dtype: DType) -> type[Any]:
    other = _OTHER_TYPES.get(dtype)
    if other is not None:
        return other
    try:
        return dtype.numpy.type
    except TypeError as error:
        raise ValueError(str(error)) from None


def _describe_sparsity(sparsity: Sparsity | None) -> Details:
    if sparsity is None:
        return {}
    dims = [
        {"format": _DENSE, "dense_size": size}
        if segments is None or indices is None
        else {
            "format": _SPARSE,
            "array_segments": np.asarray(segments, np.int32),
            "array_indices": np.asarray(indices, np.int32),
        }
        for size, segments, indices in sparsity.dims
    ]
    told: Details = {"traversal_order": np.array(sparsity.traversal_order, np.int32)}
    if sparsity.block_map:
        told["block_map"] = np.array(sparsity.block_map, np.int32)
    return told | {"dim_metadata": dims}
