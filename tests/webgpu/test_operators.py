"""Every case of every operator that has GPU kernels, against LiteRT's reference kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array, DType, TensorType, Verdict
from sanderling.ops._operands import vector
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from tests.models import Net
from tests.ops.single import (
    declared_types,
    every_case,
    fed_arrays,
    label,
    model_of,
    node_of,
    run_litert,
    type_of,
)
from tests.webgpu.making import CLOSE, HALF, compare, compiled, run_once

# Of LiteRT's kernel sets only the default one has them, or has them right.
NO_REFERENCE = {
    "CEIL", "ELU", "LOCAL_RESPONSE_NORMALIZATION", "ROUND", "SEGMENT_SUM", "STABLEHLO_AND",
    "STABLEHLO_SHIFT_LEFT",
}  # fmt: skip
FOUND = [(op, case) for op, case in every_case() if op.gpu is not None]
CASES = [pytest.param(op, case, id=f"{op.name}-{label(case)}") for op, case in FOUND]
# Cases that the GPU leaves to the CPU, each with what its reason must say.
DECLINED = {("BITCAST", "narrower"): "uint8", ("BITCAST", "wider"): "int16"}


def model(op: Op, case: Case) -> tuple[Model, list[Array]]:
    """The case as a model, and what is fed."""
    assert op.reference is not None
    declared = declared_types(op, case)
    types = [None if array is None else type_of(array) for array in case.inputs]
    arrays = [a.copy() if a is not None and i in case.variables else a for i, a in enumerate(case.inputs)]
    ours = op.reference(node_of(op, case, len(declared)), arrays, types, declared)
    return model_of(op, case, [type_of(array) for array in ours]), fed_arrays(case)


def real_numbers(op: Op, case: Case) -> bool:
    """Returns: whether a case is of floats and runs on the GPU: others are the same in any precision."""
    floats = any(array is not None and array.dtype.kind == "f" for array in case.inputs)
    return floats and (op.name, case.name) not in DECLINED


@pytest.mark.parametrize("op, case", CASES)
def test_a_case_agrees_with_litert(device: Device, op: Op, case: Case) -> None:
    made, fed = model(op, case)
    reason = DECLINED.get((op.name, case.name))
    if reason is not None:
        found = variants(made.main, made.main.nodes[0], Limits())
        assert isinstance(found, Verdict)
        assert reason in found.reason
        return
    theirs = run_litert(made, fed, reference=op.name not in NO_REFERENCE)
    for mine, wanted in zip(run_once(device, made, fed), theirs, strict=True):
        compare(mine, wanted, CLOSE)


def native_or_skip(device: Device) -> None:
    if "shader-f16" not in device.adapter.features:
        pytest.skip(f"{device.adapter.name} has no shader-f16")


@pytest.mark.parametrize("native", [False, True], ids=["packed", "native"])
@pytest.mark.parametrize("op, case", [p for p in CASES if real_numbers(*p.values)])
def test_a_case_in_half_precision(device: Device, op: Op, case: Case, native: bool) -> None:
    if native:
        native_or_skip(device)
    made, fed = model(op, case)
    theirs = run_litert(made, fed, reference=op.name not in NO_REFERENCE)
    for mine, wanted in zip(run_once(device, made, fed, half=True, packed=not native), theirs, strict=True):
        large = np.abs(wanted) > 65504 if wanted.dtype.kind == "f" else np.zeros(wanted.shape, np.bool_)
        assert (np.abs(mine[large]) == 65504).all()  # which precision "auto" notices
        compare(mine[~large], wanted[~large], HALF)


VARIED = [
    ("CONV_2D", "grouped"), ("DEPTHWISE_CONV_2D", "same"), ("SOFTMAX", ""), ("MEAN", ""), ("REDUCE_MAX", ""),
    ("FULLY_CONNECTED", ""),
]  # fmt: skip


@pytest.mark.parametrize("name, case", VARIED)
def test_every_variant_gives_the_same_answer(device: Device, name: str, case: str) -> None:
    made, fed = model(*next((o, c) for o, c in FOUND if o.name == name and case in c.name))
    every_variant(device, made, fed)


@pytest.mark.parametrize("name, case", VARIED)
def test_every_variant_in_half_precision(device: Device, name: str, case: str) -> None:
    native_or_skip(device)
    made, fed = model(*next((o, c) for o, c in FOUND if o.name == name and case in c.name))
    every_variant(device, made, fed, half=True)


def every_variant(device: Device, made: Model, fed: list[Array], *, half: bool = False) -> None:
    """Runs all that this device and a GPU of many cores would choose from."""
    (wanted,) = run_litert(made, fed, reference=True)
    limits = replace(device.adapter.kernel_limits(), f16=half)
    for allowed in (limits, replace(limits, software=False, uniform_bytes=0, threads=65536)):
        target = replace(target_of(device.adapter, half=half), kernels=allowed)
        found = variants(made.main, made.main.nodes[0], allowed)
        assert not isinstance(found, Verdict)
        for variant in found:
            program = compiled(made, target, choose={0: variant.name})
            in_half = any("alias X4 = vec4<f16>;" in text for text in program.shaders)
            assert in_half == variant.name.endswith("_half")
            executor = Executor(program, device)
            compare(executor.run(fed)[0], wanted, HALF if half else CLOSE)
            executor.close()


@pytest.mark.parametrize(
    "height, channels, filters, size",
    [(5, 9, 70, 3), (1, 130, 5, 1), (4, 64, 96, 1), (3, 4, 17, 2), (12, 18, 70, 1), (24, 9, 67, 3)],
)
@pytest.mark.parametrize("half", [False, True], ids=["full", "native"])
def test_every_tile_of_a_convolution(
    device: Device, height: int, channels: int, filters: int, size: int, half: bool
) -> None:
    if half:
        native_or_skip(device)
    net = Net((2, height, 6, channels), 3).conv(filters, size=size)
    fed = [np.random.default_rng(2).standard_normal((2, height, 6, channels)).astype(np.float32)]
    every_variant(device, net.model(), fed, half=half)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("rows, inner, columns", [(70, 9, 65), (3, 40, 130), (65, 17, 3)])
def test_every_product_of_computed_matrices(
    device: Device, rows: int, inner: int, columns: int, adjoint: bool
) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 3, rows, inner)), rng.standard_normal((3, inner, columns))
    pair = [x.astype(np.float32), (y.swapaxes(1, 2) if adjoint else y).astype(np.float32)]
    op = find("BATCH_MATMUL")
    assert op is not None
    every_variant(device, *model(op, Case("tiles", pair, {"adj_x": False, "adj_y": adjoint})))


@pytest.mark.parametrize("how", ["SOFTMAX", "MEAN", "MAX", "CHANNELS"])
def test_sums_that_a_workgroup_shares(device: Device, how: str) -> None:
    net = Net((2, 9, 8, 90), 3)
    if how == "SOFTMAX":
        net = net.op("SOFTMAX", (2, 9, 8, 90), (), "SoftmaxOptions", beta=1.0)
    else:
        axes = np.array([3] if how == "CHANNELS" else [1, 2], np.int32)
        shape = (2, 9, 8, 1) if how == "CHANNELS" else (2, 1, 1, 90)
        operands = (net.constant(axes, "axes"),)
        net = net.op(
            "REDUCE_MAX" if how == "MAX" else "MEAN", shape, operands, "ReducerOptions", keep_dims=True
        )
    fed = [np.random.default_rng(2).standard_normal((2, 9, 8, 90)).astype(np.float32)]
    found = variants(net.model().main, net.model().main.nodes[0], Limits(threads=65536))
    assert not isinstance(found, Verdict)
    assert [variant.name for variant in found] == ["wide", "plain"]
    every_variant(device, net.model(), fed)


@pytest.mark.parametrize("first", [(2, 1, 2, 1, 3), (1, 3, 1, 5, 1), (3, 1, 5, 1), (2, 1, 1, 1, 1), (3,)])
def test_five_axes_that_broadcast(device: Device, first: tuple[int, ...]) -> None:
    """Also where only one of the two outermost is stretched, which a kernel walks as one."""
    rng = np.random.default_rng(1)
    pair = [rng.standard_normal(s).astype(np.float32) for s in (first, (2, 3, 2, 5, 3))]
    op = next(op for op, _ in FOUND if op.name == "SUB")
    for arrays in (pair, pair[::-1]):
        made, fed = model(op, Case("rank 5", arrays))
        compare(run_once(device, made, fed)[0], arrays[0] - arrays[1], CLOSE)


def test_what_a_slice_cuts_off_is_no_part_of_the_image(device: Device) -> None:
    """A convolution that pads by itself may read a PAD's operand, but never a slice's."""
    net = Net((1, 7, 8, 3), 3)
    graph = net.op("SLICE", (1, 5, 6, 3), (), "SliceOptions").conv(5).model().main
    bounds = [
        Tensor(n, TensorType((4,), DType.INT32), vector(v)) for n, v in (("b", [0] * 4), ("s", [1, 5, 6, 3]))
    ]
    count, first = len(graph.tensors), graph.nodes[0]
    nodes = (replace(first, inputs=(first.inputs[0], count, count + 1)), *graph.nodes[1:])
    made = Model((replace(graph, tensors=(*graph.tensors, *bounds), nodes=nodes),))
    x = np.random.default_rng(0).standard_normal((1, 7, 8, 3)).astype(np.float32)
    (wanted,) = run_litert(made, [x], reference=True)
    compare(run_once(device, made, [x])[0], wanted, CLOSE)
