"""Damaged and hostile calls: every operator answers or refuses with ``InvalidGraph``, never anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import MAX_ELEMENTS, Case, Op
from sanderling.tflite.schema import schema
from tests.ops.single import SEED, declared_types, every_op, label, operands_of, options_of

OPS = [pytest.param(op, id=label(op)) for op in every_op()]
ONE = np.array(1, np.float32)
Call = tuple[Node, list[Tensor | None], list[Tensor]]
CALLS = 120  # per operator, the same in every run
DTYPES = [DType.FLOAT32, DType.INT32, DType.INT8, DType.BOOL, DType.INT64, DType.UINT8, DType.FLOAT16]
ODD = [DType.RESOURCE, DType.STRING, DType.BFLOAT16, DType.INT4]
SIZES = [1, 1, 2, 2, 3, 4, 0, -1]
NUMBERS = [0, 1, 1, 2, 2, 3, 4, -1, -2, -4, 7, 2**31 - 1, -(2**31)]
REALS = [0.0, 1.0, -2.5, 1e38, float("inf"), float("nan")]


def tensor(dice: Random, *, known: bool) -> Tensor | None:
    match dice.choice(["vector", "vector", "any", "any", "any", "absent", "odd"]):
        case "absent":
            return None
        case "odd":
            return Tensor("", TensorType(shape(dice), dice.choice(ODD)))
        case "vector":
            values = [dice.choice(NUMBERS) for _ in range(dice.randrange(6))]
            data = np.array(values, dice.choice([np.int32, np.int64]))
            data = data.reshape(()) if len(values) == 1 and dice.random() < 0.5 else data
            return Tensor("", TensorType(data.shape, DType(str(data.dtype))), data)
    sizes = tuple(abs(size) for size in shape(dice)) if known else shape(dice)
    dtype, quant = dice.choice(DTYPES), Quant.of(0.5, 1) if dice.random() < 0.3 else None
    full = known or (-1 not in sizes and dice.random() < 0.5)
    return Tensor("", TensorType(sizes, dtype, quant), np.ones(sizes, dtype.numpy) if full else None)


def shape(dice: Random) -> tuple[int, ...]:
    return tuple(dice.choice(SIZES) for _ in range(dice.choice([0, 1, 2, 3, 4, 4, 4, 5])))


def attributes(dice: Random, op: Op) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in schema().tables[op.options] if op.options else ():
        if field.enum:
            found[field.name] = dice.choice(sorted(schema().enums[field.enum]))
        elif field.is_vector:
            found[field.name] = dice.choice([None, tuple(dice.choices(NUMBERS, k=dice.randrange(5)))])
        elif field.kind == "bool":
            found[field.name] = dice.random() < 0.5
        elif field.kind.startswith("float"):
            found[field.name] = dice.choice(REALS)
        elif "int" in field.kind:
            found[field.name] = dice.choice(NUMBERS)
        if dice.random() < 0.2:
            found.pop(field.name, None)
    return found


def calls(op: Op, *, known: bool) -> Iterator[Call]:
    """Yields: calls made up from nothing and, in turn, the operator's own cases with damage done to them."""
    cases = op.cases(np.random.default_rng(SEED)) if op.cases else []
    for number in range(CALLS):
        dice = Random(f"{op.name} {number}")
        options = dice.choice([op.options, op.options, ""])
        if cases and number % 2:
            yield damaged(op, dice.choice(cases), dice, known=known)
            continue
        operands = [tensor(dice, known=known) for _ in range(dice.randrange(6))]
        declared = [t for t in (tensor(dice, known=False) for _ in range(dice.choice([0, 1, 1, 1, 3]))) if t]
        yield call(op, operands, declared, attributes(dice, op), options)


def call(op: Op, operands: list[Tensor | None], declared: list[Tensor], attrs: Any, options: str) -> Call:
    inputs = tuple(-1 if t is None else i for i, t in enumerate(operands))
    outputs = tuple(range(len(operands), len(operands) + len(declared)))
    return Node(op.name, inputs, outputs, attrs, options), operands, declared


def damaged(op: Op, case: Case, dice: Random, *, known: bool) -> Call:
    every = range(len(case.inputs)) if known else dice.choice([case.constant, range(len(case.inputs))])
    operands = operands_of(case, constant=every)
    attrs = options_of(op, dict(case.attrs))
    declared = [Tensor("", kind) for kind in declared_types(op, case)]
    for _ in range(dice.choice([1, 1, 2])):
        match dice.choice(["operand", "operand", "attribute", "attribute", "missing", "outputs"]):
            case "operand":
                operands[dice.randrange(len(operands))] = tensor(dice, known=known)
            case "attribute" if attrs:
                name = dice.choice(sorted(attrs))
                attrs |= {k: v for k, v in attributes(dice, op).items() if k == name}
            case "missing":
                operands = operands[: dice.randrange(len(operands) + 1)] or [None]
            case "outputs":
                declared = declared[1:] if dice.random() < 0.5 else declared * 2
    return call(op, operands, declared, attrs, op.options)


def answer(call: Callable[[], Any]) -> Any:
    """Returns: what the call gives, None where it refuses with a sentence."""
    try:
        return call()
    except InvalidGraph as error:
        sentence = str(error)
    assert len(sentence) > 10
    return None


@pytest.mark.parametrize("op", OPS)
def test_inference_and_cost_refuse_cleanly(op: Op) -> None:
    for node, operands, declared in calls(op, known=False):
        inferred = answer(lambda: op.infer(node, operands, declared))  # noqa: B023, called at once
        assert all(size >= -1 for kind in inferred or () for size in kind.shape)
        cost = answer(lambda: op.cost(node, operands, declared))  # noqa: B023
        assert cost is None or min(cost.macs, cost.ops) >= 0


@pytest.mark.parametrize("op", [p for p in OPS if p.values[0].reference])
def test_references_refuse_cleanly(op: Op) -> None:
    reference = op.reference
    assert reference is not None
    for node, operands, declared in calls(op, known=True):
        arrays: list[Array | None] = [None if t is None else t.data for t in operands]
        types = [None if t is None else t.type for t in operands]
        results = answer(lambda: reference(node, arrays, types, [t.type for t in declared]))  # noqa: B023
        assert results is None or len(results) == len(declared)


@pytest.mark.parametrize(
    "name, inputs, attrs",
    [
        ("FILL", [np.array([2**14, 2**15], np.int32), np.array(0, np.float32)], {}),
        ("RANGE", [np.array(0, np.int32), np.array(2**29, np.int32), np.array(1, np.int32)], {}),
        ("TILE", [np.ones(4, np.float32), np.array([2**27], np.int32)], {}),
        ("BROADCAST_TO", [np.ones(1, np.float32), np.array([2**29], np.int32)], {}),
        ("PAD", [np.ones(1, np.float32), np.array([[0, 2**29]], np.int32)], {}),
        ("ONE_HOT", [np.zeros(4, np.int32), np.array(2**27, np.int32), ONE, ONE], {"axis": -1}),
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
