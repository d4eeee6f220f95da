"""Random small int8 graphs for property tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.graph import Model
from sanderling.graph.types import DType, Quant, TensorType
from tests.graphs_made import ACTIVATIONS
from tests.models import Net
from tests.passes.rewrites import random, shape_of


def stored(net: Net, kind: str, shape: tuple[int, ...], quant: Quant | None, inputs: tuple[int, ...] = (),
           options: str = "", **attrs: object) -> Net:  # fmt: skip
    """Adds an operator whose result is int8 with a scale, or float32 without."""
    net.op(kind, shape, inputs, options, **attrs)
    dtype = DType.INT8 if quant else DType.FLOAT32
    net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType(shape, dtype, quant))
    return net


def quant_of(net: Net) -> Quant:
    """Returns: the current value's scale."""
    quant = net.tensors[net.last].quant
    assert quant is not None
    return quant


def stored_convolution(net: Net, filters: int, activation: str = "NONE", padding: str = "SAME") -> Net:
    """Adds an int8 convolution with a scale per channel."""
    n, height, width, depth = shape_of(net)
    values = net.rng.integers(-127, 128, (filters, 3, 3, depth)).astype(np.int8)
    scale = (np.abs(random(net, filters)) * 0.01 + 0.002).astype(np.float32)
    weights = net.constant(values, "weights")
    zeros = np.zeros(filters, np.int64)
    kind = TensorType(values.shape, DType.INT8, Quant(scale, zeros, axis=0))
    net.tensors[weights] = replace(net.tensors[weights], type=kind)
    bias = net.constant(net.rng.integers(-500, 500, filters).astype(np.int32), "bias")
    by_channel = Quant(scale * quant_of(net).scale[0], zeros, axis=0)
    net.tensors[bias] = replace(net.tensors[bias], type=TensorType((filters,), DType.INT32, by_channel))
    out = (n, height, width, filters) if padding == "SAME" else (n, height - 2, width - 2, filters)
    return stored(
        net, "CONV_2D", out, Quant.of(0.04, -3), (weights, bias), "Conv2DOptions", padding=padding,
        stride_h=1, stride_w=1, dilation_h_factor=1, dilation_w_factor=1,
        fused_activation_function=activation,
    )  # fmt: skip


def through_floats(net: Net, quant: Quant, *, moved: bool = False) -> Net:
    """Adds DEQUANTIZE and QUANTIZE, a RESHAPE between them where wanted."""
    shape = shape_of(net)
    stored(net, "DEQUANTIZE", shape, None, (), "DequantizeOptions")
    if moved:
        net.reshape(*shape[:-1], 1, shape[-1])
    return stored(net, "QUANTIZE", shape_of(net), quant, (), "QuantizeOptions")


@st.composite
def integers(draw: st.DrawFn) -> Model:
    """Draws a little int8 network on pictures, float outside."""
    net = Net((1, 5, 6, draw(st.integers(1, 3))), draw(st.integers(0, 99)))
    stored(net, "QUANTIZE", shape_of(net), Quant.of(0.03, 4), (), "QuantizeOptions")
    kinds = ["conv", "relu", "pad", "floats", "requantize", "residual", "transpose", "swish"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=5)):
        shape = shape_of(net)
        if kind == "conv":
            stored_convolution(net, draw(st.integers(1, 4)), draw(ACTIVATIONS))
        elif kind == "relu":
            stored(net, draw(st.sampled_from(["RELU", "RELU6"])), shape, quant_of(net))
        elif kind == "pad":
            pads = net.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), "pads")
            wide = (1, shape[1] + 2, shape[2] + 2, shape[3])
            stored(net, "PAD", wide, quant_of(net), (pads,), "PadOptions")
            stored_convolution(net, 2, padding="VALID")
        elif kind == "floats":
            through_floats(net, quant_of(net))
        elif kind == "requantize":
            through_floats(net, Quant.of(0.05, 1))
        elif kind == "residual":
            x = net.last
            stored_convolution(net, shape[-1])
            attrs = {"fused_activation_function": draw(ACTIVATIONS), "pot_scale_int16": False}
            stored(net, "ADD", shape, Quant.of(0.06, 2), (x,), "AddOptions", **attrs)
        elif kind == "transpose":
            quant = quant_of(net)
            for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
                shape = tuple(shape_of(net)[axis] for axis in order)
                operand = net.constant(np.array(order, np.int32), "order")
                stored(net, "TRANSPOSE", shape, quant, (operand,), "TransposeOptions")
        else:
            x, quant = net.last, quant_of(net)
            stored(net, "LOGISTIC", shape, Quant.of(1 / 256, -128))
            stored(net, "MUL", shape, quant, (x,), "MulOptions", fused_activation_function="NONE")
    stored(net, "DEQUANTIZE", shape_of(net), None, (), "DequantizeOptions")
    return net.model()
