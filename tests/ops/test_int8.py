"""What ``QuantRule`` says about int8 must be true in LiteRT.

A model quantized by the rule alone runs and is right; where the rule says that there is no kernel, LiteRT
says so too.
"""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.graph.types import Array
from sanderling.ops.op import FLOAT_ONLY, Case, Op
from tests.ops.quantized import QuantizedCase, is_real, quantize_case, real
from tests.ops.single import declared_types, every_case, label, node_of, run_litert, type_of

STEPS = 1.5  # of the output's scale: int8 kernels round once, some of them twice


def is_real_case(op: Op, case: Case) -> bool:
    return any(is_real(a) for i, a in enumerate(case.inputs) if i not in op.quant.passthrough)


REAL = [(op, case) for op, case in every_case() if is_real_case(op, case)]
INTEGER = [pytest.param(o, c, id=f"{o.name}-{label(c)}") for o, c in REAL if o.quant.integer]
FLOAT = [pytest.param(o, c, id=f"{o.name}-{label(c)}") for o, c in REAL if o.quant is FLOAT_ONLY]


def reference_of(op: Op, case: Case, inputs: list[Array | None]) -> list[Array]:
    assert op.reference is not None
    declared = declared_types(op, case)
    types = [None if array is None else type_of(array) for array in inputs]
    return op.reference(node_of(op, case, len(declared)), inputs, types, declared)


def as_int8(op: Op, case: Case) -> QuantizedCase:
    return quantize_case(op, case, reference_of(op, case, list(case.inputs)))


@pytest.mark.parametrize("op, case", INTEGER)
def test_integer_operators_run_in_int8(op: Op, case: Case) -> None:
    small = as_int8(op, case)
    wanted = reference_of(op, case, small.real_inputs)
    got = run_litert(small.model, small.fed, reference=False)
    for mine, theirs, tensor in zip(
        wanted, got, small.model.main.results(small.model.main.nodes[0]), strict=True
    ):
        if tensor.quant is None:
            continue  # positions and comparisons: equal int8 numbers may stand where floats differed
        low, high = (real(np.array(v, np.int8), tensor.quant) for v in (-128, 127))
        step = float(tensor.quant.scale[0])
        np.testing.assert_allclose(
            real(theirs, tensor.quant), np.clip(mine, low, high), atol=STEPS * step, rtol=0
        )


@pytest.mark.parametrize("op, case", FLOAT)
def test_float_operators_have_no_int8_kernel(op: Op, case: Case) -> None:
    small = as_int8(op, case)
    with pytest.raises((RuntimeError, ValueError)):
        run_litert(small.model, small.fed, reference=False)
