"""Every operator's form in PyTorch gives what its reference gives, on every case, and passes gradients on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops.op import LIFTED, Case, Op
from sanderling.ops.registry import find
from tests.ops.single import declared_types, every_case, label, node_of, output_count, type_of

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

CLOSE = 1e-5  # of the largest value
CASES = [pair for pair in every_case() if pair[0].torch]
# Their results are chosen, counted or rounded: a small change of an operand changes nothing.
STEPS = {"CEIL", "FLOOR", "FLOOR_DIV", "ROUND", "SIGN", "ZEROS_LIKE"}
Operands = Sequence[Array | None]


def call(op: Op, case: Case, operands: Operands) -> tuple[Node, list[TensorType | None], list[TensorType]]:
    """Returns: the case's node and the types of its operands and results."""
    node = node_of(op, case, output_count(op, case))
    types = [None if a is None else type_of(a) for a in operands]
    tensors = [
        None if a is None or t is None else Tensor("", t, a) for a, t in zip(operands, types, strict=True)
    ]
    return node, types, op.infer(node, tensors, [Tensor("", kind) for kind in declared_types(op, case)])


def in_torch(
    op: Op, case: Case, operands: Operands, fed: Operands | None = None
) -> tuple[list[Any], list[Any]]:
    """Runs the case in PyTorch.

    Args:
        operands: of the declared shapes.
        fed: what is fed instead, of several samples.

    Returns: results, and the operands as they were fed.
    """
    assert op.torch is not None
    node, types, out = call(op, case, operands)
    inputs = [None if a is None else torch.from_numpy(np.array(a)) for a in (fed or operands)]
    for value in inputs:
        if value is not None and value.is_floating_point():
            value.requires_grad_()
    return op.torch(torch, node, inputs, types, out), inputs


def weighted(result: Any) -> Any:
    """Returns: a sum in which every element counts differently, so that none cancels another."""
    return (result.abs() * torch.linspace(1, 2, result.numel()).reshape(result.shape)).sum()


def assert_close(result: Any, wanted: Array) -> None:
    got = result.detach().numpy()
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    scale = np.abs(wanted).max(initial=1e-6) if wanted.dtype.kind in "fc" else 1
    np.testing.assert_allclose(got, wanted, rtol=0, atol=CLOSE * scale)


@pytest.mark.parametrize("op, case", CASES, ids=label)
def test_it_agrees_with_the_reference_and_passes_gradients(op: Op, case: Case) -> None:
    assert op.reference is not None
    node, types, out = call(op, case, case.inputs)
    expected = op.reference(node, [None if a is None else a.copy() for a in case.inputs], types, out)
    results, inputs = in_torch(op, case, case.inputs)
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        assert_close(result, wanted)
    real = [weighted(result) for result in results if result.requires_grad]
    if real:
        torch.stack(real).sum().backward()
        reached = [v.grad for v in inputs if v is not None and v.grad is not None]
        assert reached
        assert all(torch.isfinite(gradient).all() for gradient in reached)
        assert (
            op.name in STEPS or any(gradient.any() for gradient in reached) or not any(map(np.any, expected))
        )


@pytest.mark.parametrize("op, case", CASES, ids=label)
def test_several_samples_give_what_each_of_them_gives(op: Op, case: Case) -> None:
    """The first operand alone, then every one that a caller could feed, holds three samples."""
    kept = {*case.constant, *case.variables, *op.reads, *op.quant.passthrough}
    fed = [
        i for i, a in enumerate(case.inputs)
        if i not in kept and a is not None and a.ndim and a.dtype.kind in "fb"
    ]  # fmt: skip
    for longer in (fed[:1], fed) if fed else ():  # others work on shapes, indices or constants
        samples = [
            [np.roll(a, shift) if i in longer and a is not None else a for i, a in enumerate(case.inputs)]
            for shift in range(3)
        ]
        together = [
            np.concatenate([sample[i] for sample in samples]) if i in longer else a
            for i, a in enumerate(case.inputs)
        ]
        if op.name != "RANK" and not all(kind.shape for kind in call(op, case, case.inputs)[2]):
            with pytest.raises(UnsupportedOperator, match=op.name):
                in_torch(op, case, case.inputs, together)
            continue
        alone = [in_torch(op, case, sample)[0] for sample in samples]
        for i, result in enumerate(in_torch(op, case, case.inputs, together)[0]):
            same = op.name in ("SHAPE", "RANK")
            wanted = alone[0][i] if same else torch.cat([results[i] for results in alone])
            assert_close(result, wanted.detach().numpy())


def test_operands_that_are_no_samples_are_refused() -> None:
    op = find("ADD")
    assert op is not None
    case = next(case for other, case in CASES if other is op and case.name == "equal")
    x, y = (np.asarray(a) for a in case.inputs)
    for fed in ([x[:, :4], y], [np.concatenate([x, x]), np.concatenate([y, y, y])], [x[0], y]):
        with pytest.raises(UnsupportedOperator, match="ADD"):
            in_torch(op, case, case.inputs, fed)


def test_states_are_operands_and_their_next_values_results() -> None:
    """What a lifted call gives for its states is what the reference leaves in the variables."""
    seen = set()
    for op, case in CASES:
        if not case.variables:
            continue
        assert op.reference is not None
        assert op.torch is not None
        rng = np.random.default_rng(3)
        operands = [
            rng.standard_normal(a.shape).astype(np.float32) if a is not None and i in case.variables else a
            for i, a in enumerate(case.inputs)
        ]
        node, types, out = call(op, case, operands)
        held = [None if a is None else a.copy() for a in operands]
        expected = op.reference(node, held, types, out)
        lifted = Node(node.op, node.inputs, node.outputs, {**node.attrs, LIFTED: True}, node.options)
        states = op.states(lifted)
        nexts = [held[i] for i in states]
        kinds = [*out, *(kind for i in states if (kind := types[i]) is not None)]
        inputs = [None if a is None else torch.from_numpy(a.copy()) for a in operands]
        results = op.torch(torch, lifted, inputs, types, kinds)
        for result, wanted in zip(results, [*expected, *nexts], strict=True):
            assert wanted is not None
            assert_close(result, wanted)
        left = zip(inputs, operands, strict=True)
        assert all(np.array_equal(value.numpy(), array) for value, array in left if array is not None)
        seen.add(op.name)
    assert seen == {
        "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN",
    }  # fmt: skip
