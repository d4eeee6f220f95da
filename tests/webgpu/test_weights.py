"""Weights stored in 16, 8 and 4 bits, with float activations: what the GPU holds, and what it computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sanderling.engines.webgpu.compile import Target
from sanderling.engines.webgpu.device import Device
from sanderling.graph.constant import pack, real
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.ops.op import Case, Op
from tests.ops.single import run_litert
from tests.webgpu.making import CLOSE, compare, compiled, run_once
from tests.webgpu.test_operators import FOUND, model

AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
LAYERS = [(op, case) for op, case in FOUND if op.name in AXES]
RANGES = {DType.INT8: 127, DType.INT4: 7, DType.UINT8: 127}


def stored(weights: Tensor, dtype: DType, axis: int | None) -> Tensor:
    """Returns: the weights in integers, one scale per channel or for all."""
    values = weights.data
    assert values is not None
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
    scale = np.abs(values).max(axis=others, keepdims=axis is not None) / RANGES[dtype]
    scale = np.maximum(scale, 1e-6).astype(np.float32)
    zero = 128 if dtype is DType.UINT8 else 0
    steps = np.round(values / scale) + zero
    quant = Quant(scale.reshape(-1), np.full(scale.size, zero, np.int64), axis)
    data = pack(steps.astype(np.int8), dtype) if dtype is DType.INT4 else steps.astype(dtype.numpy)
    return Tensor(weights.name, TensorType(weights.shape, dtype, quant), data)


def with_weights(made: Model, weights: Tensor) -> Model:
    graph = made.main
    index = graph.nodes[0].inputs[1]
    return made.with_main(
        replace(graph, tensors=tuple(weights if i == index else t for i, t in enumerate(graph.tensors)))
    )


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("dtype", list(RANGES), ids=str)
@pytest.mark.parametrize("op, case", LAYERS, ids=[f"{op.name}-{case.name}" for op, case in LAYERS])
def test_integer_weights(device: Device, op: Op, case: Case, dtype: DType, per_channel: bool) -> None:
    made, fed = model(op, case)
    float_weights = made.main.tensors[made.main.nodes[0].inputs[1]]
    if not float_weights.is_constant:
        pytest.skip("its weights are computed")
    weights = stored(float_weights, dtype, AXES[op.name] if per_channel else None)
    plain = Tensor(weights.name, float_weights.type, real(weights))
    (wanted,) = run_litert(with_weights(made, plain), fed, reference=True)
    (got,) = run_once(device, with_weights(made, weights), fed)
    compare(got, wanted, CLOSE)


def test_they_take_a_quarter_and_an_eighth_of_the_memory() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((1, 512), (256, 512), (256,))]
    op = next(op for op, _ in LAYERS if op.name == "FULLY_CONNECTED")
    made, _ = model(op, Case("large", arrays, {}, (1, 2)))
    float_weights = made.main.tensors[made.main.nodes[0].inputs[1]]
    full = compiled(made, Target()).weights.size
    half = compiled(made, Target(half=True)).weights.size
    sizes = [
        compiled(with_weights(made, stored(float_weights, dtype, 0)), Target()).weights.size
        for dtype in (DType.INT8, DType.INT4)
    ]
    for got, part in zip((half, *sizes), (2, 4, 8), strict=True):
        assert got < full / part + 8192
