"""Every case of every operator: inference and reference against LiteRT's own kernels."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.graph.graph import Tensor
from sanderling.graph.types import Array
from sanderling.ops.op import Case, Op
from tests.ops.single import (
    declared_types,
    every_case,
    fed_arrays,
    label,
    model_of,
    node_of,
    operands_of,
    run_litert,
    type_of,
)

CLOSE = 1e-5  # of the output's scale
# LiteRT's reference kernels lack most of these, and sum one channel too few in LOCAL_RESPONSE_NORMALIZATION.
NO_REFERENCE = {"CEIL", "ELU", "LOCAL_RESPONSE_NORMALIZATION", "ROUND", "SEGMENT_SUM",
                "STABLEHLO_AND", "STABLEHLO_SHIFT_LEFT"}  # fmt: skip
SIZES_FROM_VALUES = {"WHERE", "BROADCAST_ARGS", "UNIQUE"}
CASES = [pytest.param(op, case, id=f"{op.name}-{label(case)}") for op, case in every_case()]


def reference_of(op: Op, case: Case) -> list[Array]:
    assert op.reference is not None
    declared = declared_types(op, case)
    types = [None if array is None else type_of(array) for array in case.inputs]
    # The state is written to: every call starts from that of the case.
    arrays = [a.copy() if a is not None and i in case.variables else a for i, a in enumerate(case.inputs)]
    return op.reference(node_of(op, case, len(declared)), arrays, types, declared)


@pytest.mark.parametrize("op, case", CASES)
def test_reference_agrees_with_litert(op: Op, case: Case) -> None:
    ours = reference_of(op, case)
    model = model_of(op, case, [type_of(array) for array in ours])
    fed = fed_arrays(case)
    for builtin_reference in (False,) if op.name in NO_REFERENCE else (True, False):
        theirs = run_litert(model, fed, reference=builtin_reference)
        assert len(theirs) == len(ours)
        for mine, wanted in zip(ours, theirs, strict=True):
            assert mine.dtype == wanted.dtype
            assert mine.shape == wanted.shape
            compare(mine, wanted)


def compare(mine: Array, wanted: Array) -> None:
    if mine.dtype.kind not in "fc":
        np.testing.assert_array_equal(mine, wanted)
        return
    scale = float(np.max(np.abs(wanted), initial=1e-6, where=np.isfinite(wanted)))
    np.testing.assert_allclose(mine, wanted, rtol=0, atol=CLOSE * scale)


@pytest.mark.parametrize("op, case", CASES)
def test_inference_needs_only_the_constants(op: Op, case: Case) -> None:
    """What LiteRT allocates before it runs, inference must know as well: all sizes, unless values decide."""
    ours = reference_of(op, case)
    declared = declared_types(op, case)
    node = node_of(op, case, len(declared))
    inferred = op.infer(node, operands_of(case), [Tensor("", kind) for kind in declared])
    for kind, array in zip(inferred, ours, strict=True):
        assert kind.dtype.numpy == array.dtype
        assert len(kind.shape) == array.ndim
        if op.name not in SIZES_FROM_VALUES:
            assert kind.shape == array.shape
