"""What the tests of the rewriting passes share: layers, and LiteRT's answers before and after."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sanderling import passes
from sanderling.graph.graph import Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.graph.verify import verify
from tests.models import Net, save

TOLERANCE = 1e-5  # of the output's scale


def shape_of(net: Net) -> tuple[int, ...]:
    return net.tensors[net.last].shape


def random(net: Net, *shape: int) -> np.ndarray:
    return net.rng.standard_normal(shape).astype(np.float32)


def convolution(
    net: Net, filters: int, kernel: tuple[int, int], *, stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1), padding: str = "SAME", activation: str = "NONE",
    depthwise: bool = False,
) -> Net:  # fmt: skip
    """Adds a convolution with a kernel (height, width); ``filters`` is ignored by a depthwise one."""
    n, *size, c = shape_of(net)
    out = [
        -(-s // step) if padding == "SAME" else (s - (k - 1) * d - 1) // step + 1
        for s, k, step, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    filters = c if depthwise else filters
    weights = random(net, 1, *kernel, c) if depthwise else random(net, filters, *kernel, c)
    operands = (net.constant(weights, "weights"), net.constant(random(net, filters), "bias"))
    attrs: dict[str, object] = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1],
        "dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1],
        "fused_activation_function": activation,
    }  # fmt: skip
    if depthwise:
        attrs["depth_multiplier"] = 1
    kind, options = (
        ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    )
    return net.op(kind, (n, *out, filters), operands, options, **attrs)


def pad(net: Net, *pads: tuple[int, int]) -> Net:
    shape = tuple(s + sum(p) for s, p in zip(shape_of(net), pads, strict=True))
    return net.op("PAD", shape, (net.constant(np.array(pads, np.int32), "pads"),), "PadOptions")


def transpose(net: Net, *order: int) -> Net:
    shape = tuple(shape_of(net)[axis] for axis in order)
    operand = net.constant(np.array(order, np.int32), "order")
    return net.op("TRANSPOSE", shape, (operand,), "TransposeOptions")


def resize(net: Net, height: int, width: int, *, nearest: bool = False, **attrs: bool) -> Net:
    n, _, _, c = shape_of(net)
    kind = "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR"
    options = "ResizeNearestNeighborOptions" if nearest else "ResizeBilinearOptions"
    size = net.constant(np.array([height, width], np.int32), "size")
    return net.op(kind, (n, height, width, c), (size,), options, **attrs)


def unary(net: Net, kind: str) -> Net:
    return net.op(kind, shape_of(net))


def binary(
    net: Net, kind: str, operand: int, activation: str = "NONE", *, constant_first: bool = False
) -> Net:
    """Adds an elementwise operator of the current value and a tensor that broadcasts to it."""
    options = {"ADD": "AddOptions", "MUL": "MulOptions", "SUB": "SubOptions", "DIV": "DivOptions"}[kind]
    net.op(kind, shape_of(net), (operand,), options, fused_activation_function=activation)
    if constant_first:
        net.nodes[-1] = replace(net.nodes[-1], inputs=net.nodes[-1].inputs[::-1])
    return net


def transposed_convolution(
    net: Net, filters: int, kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int],
    padding: str, activation: str = "NONE", *, bias: bool = True,
) -> Net:  # fmt: skip
    """Adds a TRANSPOSE_CONV whose output has (height, width) ``size``."""
    n, _, _, c = shape_of(net)
    shape = (n, *size, filters)
    target = net.constant(np.array(shape, np.int32), "shape")
    weights = net.constant(random(net, filters, *kernel, c), "weights")
    offsets = (net.constant(random(net, filters), "bias"),) if bias else ()
    source = net.last
    net.tensors.append(Tensor(f"up{len(net.nodes)}", TensorType(shape, DType.FLOAT32)))
    net.last = len(net.tensors) - 1
    attrs = {
        "padding": padding, "stride_h": stride[0], "stride_w": stride[1],
        "fused_activation_function": activation,
    }  # fmt: skip
    inputs = (target, weights, source, *offsets)
    net.nodes.append(Node("TRANSPOSE_CONV", inputs, (net.last,), attrs, "TransposeConvOptions", version=4))
    return net


def resizable(model: Model) -> Model:
    """Returns: the model whose every computed value has an open batch in its signature."""
    tensors = tuple(
        t if t.is_constant or not t.shape else replace(t, shape_signature=(-1, *t.shape[1:]))
        for t in model.main.tensors
    )
    return model.with_main(replace(model.main, tensors=tensors))


def run(model: Model, batch: int | None = None, seed: int = 0) -> list[np.ndarray]:
    """Runs a model on LiteRT with random inputs, resized to ``batch`` where that is given."""
    return _run(model, batch, seed, builtin=False)


def run_builtin(model: Model, batch: int | None = None, seed: int = 0) -> list[np.ndarray]:
    """Runs a model on LiteRT's own kernels, without XNNPACK."""
    return _run(model, batch, seed, builtin=True)


def _run(model: Model, batch: int | None, seed: int, *, builtin: bool) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    rng = np.random.default_rng(seed)
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin else OpResolverType.AUTO
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder) / "m.tflite")
        interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
        if batch:
            for detail in interpreter.get_input_details():
                interpreter.resize_tensor_input(detail["index"], (batch, *detail["shape"][1:]))
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(
                detail["index"], rng.standard_normal(detail["shape"]).astype(detail["dtype"])
            )
        interpreter.invoke()
        return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def rewritten(model: Model, names: Sequence[str], *batches: int) -> tuple[Model, list[str]]:
    """Runs passes and compares. Returns: the rewritten model, and what was done."""
    result, notes = passes.run(model, names)
    same_answers(model, result, *batches)
    return result, notes


def same_answers(model: Model, result: Model, *batches: int) -> None:
    """Compares LiteRT's answers before and after, also at other ``batches``."""
    verify(result)
    assert result.input_names() == model.input_names()
    assert result.output_names() == model.output_names()
    for batch in (None, *batches):
        for before, after in zip(run(model, batch), run(result, batch), strict=True):
            assert before.shape == after.shape
            scale = max(float(np.abs(before).max(initial=0)), 1e-6)
            np.testing.assert_allclose(after, before, rtol=0, atol=TOLERANCE * scale)


def kinds(model: Model) -> list[str]:
    return [node.kind for node in model.main.nodes]
