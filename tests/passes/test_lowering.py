"""Operators taken apart for an engine that lacks them compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import DType
from sanderling.graph.verify import verify
from sanderling.ops.op import Case, Op
from sanderling.passes.lower_for import lowerings, remaining
from tests.graphs_made import floats
from tests.models import Net
from tests.ops.single import every_case, label, node_of, operands_of
from tests.passes.rewrites import convolution, kinds, run, same_answers, unary
from tests.passes.test_properties import same

LOWERED = {one.lowers: one for one in lowerings()}
TOLERANCE = 3e-6  # of the output's scale: polynomials for erf, sums in another order
CASES = [(op, case) for op, case in every_case() if op.name in LOWERED]


def model_of(op: Op, case: Case) -> Model | None:
    """Returns: a model of one operator on float32; None for other types."""
    operands = [tensor for tensor in operands_of(case) if tensor is not None]
    if any(t.dtype is not DType.FLOAT32 and not t.is_constant for t in operands):
        return None
    node = node_of(op, case, 1)
    inferred = op.infer(node, operands_of(case), [])
    tensors = (*operands, *(Tensor(f"out{i}", kind) for i, kind in enumerate(inferred)))
    inputs = tuple(i for i, tensor in enumerate(operands) if not tensor.is_constant)
    return Model((Graph(tensors, (node,), inputs, (len(operands),), "main"),))


@pytest.mark.parametrize("op, case", CASES, ids=label)
def test_every_case_is_the_same_without_its_operator(op: Op, case: Case) -> None:
    model = model_of(op, case)
    if model is None:
        pytest.skip("no float32")
    result, notes = passes.lower_for(model, [op.name])
    verify(result)
    assert result.output_names() == model.output_names()
    if not notes:
        assert remaining(model, [op.name])[op.name].reason
        pytest.skip("declined")
    assert op.name not in kinds(result)
    assert set(kinds(result)) <= set(LOWERED[op.name].needs)
    (before,), (after,) = run(model), run(result)
    scale = max(float(np.abs(before[np.isfinite(before)]).max(initial=0)), 1e-6)
    np.testing.assert_allclose(after, before, rtol=0, atol=TOLERANCE * scale)


def test_an_operator_is_lowered_as_far_as_needed() -> None:
    net = unary(convolution(Net((1, 4, 5, 2)), 3, (1, 1)), "TANH")
    model = unary(net, "HARD_SWISH").model()
    result, notes = passes.lower_for(model, ["TANH", "LOGISTIC", "HARD_SWISH"])
    assert kinds(result) == ["CONV_2D", "MUL", "MUL", "EXP", "ADD", "DIV", "MUL", "SUB", "ADD", "MUL", "MUL"]
    assert passes.counted(notes)["lower_tanh"] == 1
    same_answers(model, result)
    assert not remaining(result, ["TANH", "LOGISTIC", "HARD_SWISH"])


def test_what_would_not_help_is_left() -> None:
    """TANH would need LOGISTIC, which would need EXP: without that nothing is gained."""
    model = unary(Net((1, 4)), "TANH").model()
    lacking = ["TANH", "LOGISTIC", "EXP"]
    result, notes = passes.lower_for(model, lacking)
    assert result is model
    assert notes == []
    assert remaining(model, lacking)["TANH"].reason.startswith("this TANH cannot be taken apart")
    assert remaining(model, ["TANH", "CONV_2D"]).keys() == {"TANH"}


def test_two_operators_that_stand_for_each_other_do_not_loop() -> None:
    model = unary(unary(unary(Net((1, 4)), "ABS"), "SQRT"), "RSQRT").model()
    result, _ = passes.lower_for(model, ["SQRT", "RSQRT"])
    assert kinds(result) == ["ABS", "POW", "POW", "DIV"]
    assert passes.lower_for(model, ["SQRT", "RSQRT", "POW"])[0] is model
    assert passes.lower_for(model, ["SQRT"], without=["lower_sqrt"])[0] is model


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(floats(), st.sets(st.sampled_from(sorted(LOWERED)), min_size=1, max_size=12))
def test_random_graphs_are_lowered(model: Model, lacking: set[str]) -> None:
    assume(all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 1e6 for a in run(model)))
    result, _ = passes.lower_for(model, lacking)
    verify(result)
    for name, verdict in remaining(result, lacking).items():
        assert name in kinds(model) or verdict.reason
    same(model, result, exact=False)
