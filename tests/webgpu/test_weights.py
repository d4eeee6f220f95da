"""Weights stored in 16, 8 and 4 bits, with float activations: what the GPU holds, and what it computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.graph.constant import pack, real
from sanderling.graph.graph import Model, Node, Sparsity, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType, Verdict
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case, Op
from tests.models import Net
from tests.ops.single import run_litert
from tests.webgpu.making import CLOSE, HALF, compare, compiled, prepared, run_once
from tests.webgpu.test_operators import FOUND, model, native_or_skip

AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
LAYERS = [
    (op, case)
    for op, case in FOUND
    if op.name in AXES and 1 in case.constant and case.inputs[1].dtype == np.float32
]
RANGES = {DType.INT8: 127, DType.INT4: 7, DType.UINT8: 255}


def stored(weights: Tensor, dtype: DType, axis: int | None) -> Tensor:
    """Returns: the weights in integers, one scale and zero point per channel or for all."""
    values = weights.data
    assert values is not None
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
    ends = {"axis": others, "keepdims": axis is not None}
    if dtype is DType.UINT8:  # from the smallest number to the largest
        low, high = np.minimum(values.min(**ends), 0), np.maximum(values.max(**ends), 0)
        scale = np.maximum((high - low) / 255, 1e-6).astype(np.float32)
        zero = np.round(-low / scale)
    else:
        scale = np.maximum(np.abs(values).max(**ends) / RANGES[dtype], 1e-6).astype(np.float32)
        zero = np.zeros_like(scale)
    steps = np.clip(np.round(values / scale) + zero, *((0, 255) if dtype is DType.UINT8 else (-128, 127)))
    quant = Quant(scale.reshape(-1), zero.reshape(-1).astype(np.int64), axis)
    data = pack(steps.astype(np.int8), dtype) if dtype is DType.INT4 else steps.astype(dtype.numpy)
    return Tensor(weights.name, TensorType(weights.shape, dtype, quant), data)


def with_weights(made: Model, weights: Tensor) -> Model:
    graph = made.main
    index = graph.nodes[0].inputs[1]
    return made.with_main(
        replace(graph, tensors=tuple(weights if i == index else t for i, t in enumerate(graph.tensors)))
    )


def prepared_case(
    op: Op, case: Case, dtype: DType, per_channel: bool
) -> tuple[Model, list[Array], Array, Tensor]:
    """Returns: the case with integer weights, what is fed, LiteRT's answer with the same numbers as float32
    weights, and the integers."""
    made, fed = model(op, case)
    weights = stored(
        made.main.tensors[made.main.nodes[0].inputs[1]], dtype, AXES[op.name] if per_channel else None
    )
    plain = Tensor(weights.name, TensorType(weights.shape, DType.FLOAT32), real(weights))
    (wanted,) = run_litert(with_weights(made, plain), fed, reference=True)
    return with_weights(made, weights), fed, wanted, weights


PER_CHANNEL = pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
DTYPES = pytest.mark.parametrize("dtype", list(RANGES), ids=str)
EVERY_LAYER = pytest.mark.parametrize(
    "op, case", LAYERS, ids=[f"{op.name}-{case.name}" for op, case in LAYERS]
)


@PER_CHANNEL
@DTYPES
@EVERY_LAYER
def test_integer_weights(device: Device, op: Op, case: Case, dtype: DType, per_channel: bool) -> None:
    made, fed, wanted, _ = prepared_case(op, case, dtype, per_channel)
    (got,) = run_once(device, made, fed)
    compare(got, wanted, CLOSE)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "native"])
@PER_CHANNEL
@DTYPES
@EVERY_LAYER
def test_integer_weights_in_half_precision(
    device: Device, op: Op, case: Case, dtype: DType, per_channel: bool, packed: bool
) -> None:
    if not packed:
        native_or_skip(device)
    made, fed, wanted, _ = prepared_case(op, case, dtype, per_channel)
    (got,) = run_once(device, made, fed, half=True, packed=packed)
    compare(got, wanted, HALF)


@DTYPES
@pytest.mark.parametrize("name", sorted(AXES))
def test_every_variant_with_integer_weights(device: Device, name: str, dtype: DType) -> None:
    op, case = next((o, c) for o, c in LAYERS if o.name == name)
    made, fed, wanted, _ = prepared_case(op, case, dtype, True)
    for half in (False, *([True] if "shader-f16" in device.adapter.features else [])):
        target = target_of(device.adapter, half=half)
        found = variants(made.main, made.main.nodes[0], target.kernels)
        assert not isinstance(found, Verdict)
        for variant in found:
            (got,) = run_once(device, made, fed, half=half, choose={0: variant.name})
            compare(got, wanted, HALF if half else CLOSE)


@pytest.mark.parametrize("form", ["float16", "sparse"])
@pytest.mark.parametrize("half", [False, True])
def test_float_weights_behind_an_operator(device: Device, form: str, half: bool) -> None:
    """DEQUANTIZE of float16 and DENSIFY, which exporters put before a layer, are folded at loading."""
    net = Net((3, 16), 1).dense(8)
    plain = net.model()
    graph = plain.main
    weights = graph.tensors[graph.nodes[0].inputs[1]]
    assert weights.data is not None
    values = weights.data.astype(np.float16).astype(np.float32)
    if form == "sparse":
        values[np.abs(values) < 0.2] = 0
    count = len(graph.tensors)
    stored_as = replace(weights, name="stored", type=TensorType(weights.shape, DType.FLOAT16))
    stored_as = replace(stored_as, data=values.astype(np.float16))
    if form == "sparse":
        stored_as = sparse(replace(weights, name="stored"), values)
    between = replace(weights, name="between", data=None)
    op = "Dequantize" if form == "float16" else "Densify"
    unpack = Node(op.upper(), (count,), (count + 1,), {}, f"{op}Options")
    layer = replace(graph.nodes[0], inputs=(0, count + 1, graph.nodes[0].inputs[2]))
    tensors = (*graph.tensors, stored_as, between)
    made = prepared(plain.with_main(replace(graph, tensors=tensors, nodes=(unpack, layer))))
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    (wanted,) = run_litert(with_weights(plain, replace(weights, data=values)), [x], reference=True)
    (got,) = run_once(device, made, [x], half=half)
    compare(got, wanted, HALF if half else CLOSE)


def sparse(weights: Tensor, values: Array) -> Tensor:
    """Returns: weights [O, I] with the columns that are not 0 of every row."""
    rows, columns = np.nonzero(values)
    segments = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=values.shape[0]))])
    dims = ((values.shape[0], None, None), (0, segments.astype(np.int32), columns.astype(np.int32)))
    return replace(weights, data=values[rows, columns], sparsity=Sparsity((0, 1), (), dims))


def test_weights_with_a_scale_for_every_block_are_left_to_the_cpu() -> None:
    """What a reader of the reason has to learn: which tensor, and what is the matter with it."""
    op, case = next((o, c) for o, c in LAYERS if o.name == "FULLY_CONNECTED")
    made, _ = model(op, case)
    weights = stored(made.main.tensors[made.main.nodes[0].inputs[1]], DType.INT4, None)
    blocks = Quant(np.empty(0, np.float32), np.empty(0, np.int64), block=(0, 0, 32))
    weights = replace(weights, type=replace(weights.type, quant=blocks))
    graph = with_weights(made, weights).main
    found = variants(graph, graph.nodes[0], Limits())
    assert isinstance(found, Verdict)
    assert f"{weights.name} has a scale for every block of 32" in found.reason


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
