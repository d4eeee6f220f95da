"""The folder of operators as a whole: complete, consistent with the schema, and cheap to look through."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.ops.op import Op
from sanderling.ops.registry import find, names
from sanderling.tflite.schema import schema
from tests.ops.single import SEED, every_op, label, options_of

OPS = [pytest.param(op, id=label(op)) for op in every_op()]
# They have no values to test with: control flow, variables, and what needs state or quantized operands.
WITHOUT_CASES = {
    "CALL", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SCATTER",
    "ASSIGN_VARIABLE", "CALL_ONCE", "DENSIFY", "IF", "QUANTIZE", "READ_VARIABLE", "VAR_HANDLE", "WHILE",
}  # fmt: skip


def test_unknown_and_custom_operators_have_no_file() -> None:
    assert find("CUSTOM") is None
    assert find("TFLite_Detection_PostProcess") is None
    assert find("op") is None
    assert find("") is None


def test_names_are_builtin_operators() -> None:
    builtin = set(schema().enums["BuiltinOperator"])
    assert names() <= builtin
    assert len(names()) > 110


@pytest.mark.parametrize("op", OPS)
def test_an_operator_is_what_its_file_says(op: Op) -> None:
    assert find(op.name) is op
    if op.options:
        unions = schema().enums["BuiltinOptions"] | schema().enums["BuiltinOptions2"]
        assert op.options in unions
    assert op.quant.integer == (not op.quant.reason)
    assert not set(op.quant.weights) & set(op.quant.passthrough)


@pytest.mark.parametrize("op", OPS)
def test_cases_are_there_and_told_apart(op: Op) -> None:
    if op.name in WITHOUT_CASES:
        assert op.cases is None
        return
    assert op.cases is not None
    assert op.reference is not None
    cases = op.cases(np.random.default_rng(SEED))
    assert len({case.name for case in cases}) == len(cases) > 0
    for case in cases:
        options_of(op, dict(case.attrs))
        assert all(case.inputs[position] is not None for position in case.constant)
        assert set(op.reads) <= {*case.constant, *range(len(case.inputs), 99)}
