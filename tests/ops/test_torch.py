"""Every operator's form in PyTorch gives what its reference gives, on every case, and passes gradients on."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.op import Case, Op
from tests.ops.single import every_case, label, options_of, type_of

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

CLOSE = 1e-5  # of the largest value


@pytest.mark.parametrize("op, case", [pair for pair in every_case() if pair[0].torch], ids=label)
def test_it_agrees_with_the_reference_and_passes_gradients(op: Op, case: Case) -> None:
    arrays = [None if a is None else np.array(a) for a in case.inputs]
    types = [None if a is None else type_of(a) for a in arrays]
    attrs = options_of(op, dict(case.attrs))
    node = Node(op.name, tuple(range(len(arrays))), (len(arrays),), attrs, op.options)
    operands = [
        None if a is None or t is None else Tensor("", t, a) for a, t in zip(arrays, types, strict=True)
    ]
    declared = [Tensor("", TensorType((), DType(name))) for name in case.declared]
    out = op.infer(node, operands, declared)
    assert op.reference is not None
    assert op.torch is not None
    expected = op.reference(node, [None if a is None else a.copy() for a in arrays], types, out)
    inputs = [None if a is None else torch.from_numpy(a.copy()) for a in arrays]
    for value in inputs:
        if value is not None and value.is_floating_point():
            value.requires_grad_()
    results = op.torch(torch, node, inputs, types, out)
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        got = result.detach().numpy()
        assert got.shape == wanted.shape
        scale = np.abs(wanted).max(initial=1e-6) if wanted.dtype.kind == "f" else 1
        np.testing.assert_allclose(got, wanted, rtol=0, atol=CLOSE * scale)
    real = [result.sum() for result in results if result.requires_grad]
    if real:
        torch.stack(real).sum().backward()
        reached = [v.grad for v in inputs if v is not None and v.grad is not None]
        assert reached
        assert all(torch.isfinite(gradient).all() for gradient in reached)
