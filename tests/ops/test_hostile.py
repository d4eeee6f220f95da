"""Damaged and hostile calls: every operator answers, or refuses with ``InvalidGraph``, and never anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import MAX_ELEMENTS, Op
from sanderling.tflite.schema import schema
from tests.ops.single import every_op, label

OPS = [pytest.param(op, id=label(op)) for op in every_op()]
DTYPES = [DType.FLOAT32, DType.INT32, DType.INT8, DType.BOOL, DType.INT64, DType.UINT8, DType.FLOAT16]
SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 0, -1]), max_size=5)
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, -1, -2, -4, 7, 2**31 - 1, -(2**31)])


@st.composite
def tensors(draw: st.DrawFn, *, known: bool) -> Tensor | None:
    kind = draw(st.sampled_from(["vector", "any", "any", "absent", "odd"]))
    if kind == "absent":
        return None
    if kind == "odd":
        odd = st.sampled_from([DType.RESOURCE, DType.STRING, DType.BFLOAT16, DType.INT4])
        return Tensor("", TensorType(tuple(draw(SIZES)), draw(odd)))
    if kind == "vector":
        values = draw(st.lists(NUMBERS, max_size=5))
        data = np.array(values, draw(st.sampled_from([np.int32, np.int64])))
        data = data.reshape(()) if len(values) == 1 and draw(st.booleans()) else data
        return Tensor("", TensorType(data.shape, DType(str(data.dtype))), data)
    shape = tuple(abs(size) if known else size for size in draw(SIZES))
    dtype = draw(st.sampled_from(DTYPES))
    quant = Quant.of(0.5, 1) if draw(st.booleans()) else None
    given_data = known or (-1 not in shape and draw(st.booleans()))
    return Tensor("", TensorType(shape, dtype, quant), np.ones(shape, dtype.numpy) if given_data else None)


@st.composite
def attributes(draw: st.DrawFn, op: Op) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in schema().tables[op.options] if op.options else ():
        if field.enum:
            found[field.name] = draw(st.sampled_from(sorted(schema().enums[field.enum])))
        elif field.is_vector:
            found[field.name] = draw(st.none() | st.lists(NUMBERS, max_size=4).map(tuple))
        elif field.kind == "bool":
            found[field.name] = draw(st.booleans())
        elif field.kind.startswith("float"):
            found[field.name] = draw(st.floats(width=32))
        elif "int" in field.kind:
            found[field.name] = draw(NUMBERS)
        if draw(st.integers(0, 4)) == 0:
            found.pop(field.name, None)
    return found


@st.composite
def calls(draw: st.DrawFn, op: Op, *, known: bool) -> tuple[Node, list[Tensor | None], list[Tensor]]:
    operands = draw(st.lists(tensors(known=known), max_size=5))
    declared = draw(st.lists(tensors(known=False).filter(lambda t: t is not None), max_size=4))
    inputs = tuple(-1 if tensor is None else i for i, tensor in enumerate(operands))
    outputs = tuple(range(len(operands), len(operands) + len(declared)))
    node = Node(op.name, inputs, outputs, draw(attributes(op)), draw(st.sampled_from([op.options, ""])))
    return node, operands, [tensor for tensor in declared if tensor is not None]


QUICK = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("op", OPS)
@QUICK
@given(data=st.data())
def test_inference_and_cost_refuse_cleanly(op: Op, data: st.DataObject) -> None:
    node, operands, declared = data.draw(calls(op, known=False))
    try:
        inferred = op.infer(node, operands, declared)
    except InvalidGraph as error:
        assert error.what
        assert error.where == node.op
    else:
        assert all(size >= -1 for kind in inferred for size in kind.shape)
    try:
        cost = op.cost(node, operands, declared)
    except InvalidGraph:
        return
    assert cost.macs >= 0
    assert cost.ops >= 0


@pytest.mark.parametrize("op", [p for p in OPS if p.values[0].reference])
@QUICK
@given(data=st.data())
def test_references_refuse_cleanly(op: Op, data: st.DataObject) -> None:
    node, operands, declared = data.draw(calls(op, known=True))
    arrays: list[Array | None] = [None if t is None else t.data for t in operands]
    types = [None if t is None else t.type for t in operands]
    assert op.reference is not None
    try:
        results = op.reference(node, arrays, types, [tensor.type for tensor in declared])
    except InvalidGraph as error:
        assert error.what
    else:
        assert len(results) == len(declared)


@pytest.mark.parametrize(
    "name, inputs, attrs",
    [
        ("FILL", [np.array([2**14, 2**15], np.int32), np.array(0, np.float32)], {}),
        ("RANGE", [np.array(0, np.int32), np.array(2**29, np.int32), np.array(1, np.int32)], {}),
        ("TILE", [np.ones(4, np.float32), np.array([2**27], np.int32)], {}),
        ("BROADCAST_TO", [np.ones(1, np.float32), np.array([2**29], np.int32)], {}),
        ("PAD", [np.ones(1, np.float32), np.array([[0, 2**29]], np.int32)], {}),
        ("ONE_HOT", [np.zeros(4, np.int32), np.array(2**27, np.int32), *[np.array(1, np.float32)] * 2], {"axis": -1}),
        ("RESIZE_BILINEAR", [np.ones((1, 1, 1, 1), np.float32), np.array([2**15, 2**15], np.int32)], {}),
    ],
)  # fmt: skip
def test_references_refuse_outputs_that_are_too_large(
    name: str, inputs: list[Array], attrs: dict[str, Any]
) -> None:
    op = next(op for op in every_op() if op.name == name)
    assert op.reference is not None
    types = [TensorType(array.shape, DType(str(array.dtype))) for array in inputs]
    node = Node(name, tuple(range(len(inputs))), (len(inputs),), attrs, op.options)
    with pytest.raises(InvalidGraph, match=f"more than {MAX_ELEMENTS} elements"):
        op.reference(node, inputs, types, [TensorType((), DType.FLOAT32)])
