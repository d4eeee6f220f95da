"""Random small float graphs for property tests: pictures, sequences, recurrent cells.

What is drawn is what converters write: operators, and the spellings of operators that they have not got.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import Net
from tests.passes.rewrites import (
    binary,
    convolution,
    pad,
    random,
    resize,
    shape_of,
    transpose,
    transposed_convolution,
    unary,
)

Block = Callable[[Net, st.DrawFn], object]
ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6"])


def number(net: Net, *values: float, shape: tuple[int, ...] = ()) -> int:
    """Adds a float constant: a number, or a vector."""
    data = np.array(values if len(values) > 1 else values[0], np.float32)
    return net.constant(data.reshape(shape) if shape else data, "number")


def combine(net: Net, kind: str, operand: int, *, first: bool = False) -> Net:
    """Adds MAXIMUM, MINIMUM or POW with another operand."""
    options = "PowOptions" if kind == "POW" else "MaximumMinimumOptions"
    net.op(kind, shape_of(net), (operand,), options)
    if first:
        net.nodes[-1] = replace(net.nodes[-1], inputs=net.nodes[-1].inputs[::-1])
    return net


def reduce(net: Net, kind: str, *axes: int, keep: bool = True) -> Net:
    """Adds a reduction."""
    shape = shape_of(net)
    gone = {axis % len(shape) for axis in axes}
    out = [1 if axis in gone else size for axis, size in enumerate(shape) if keep or axis not in gone]
    operand = net.constant(np.array(axes, np.int32), "axes")
    return net.op(kind, tuple(out), (operand,), "ReducerOptions", keep_dims=keep)


def from_here(net: Net, index: int) -> Net:
    """Goes on from an earlier value."""
    net.last = index
    return net


def hard_swish(net: Net, spelling: int) -> Net:
    """Spells x · relu6(x + 3) / 6."""
    x = net.last
    if spelling == 0:
        unary(binary(net, "ADD", number(net, 3.0)), "RELU6")
        return binary(binary(net, "MUL", x), "MUL", number(net, 1 / 6))
    if spelling == 1:
        binary(binary(net, "ADD", number(net, 3.0), "RELU6", constant_first=True), "DIV", number(net, 6.0))
        return binary(net, "MUL", x, constant_first=True)
    if spelling == 2:
        combine(
            combine(binary(net, "ADD", number(net, 3.0)), "MAXIMUM", number(net, 0.0)),
            "MINIMUM",
            number(net, 6.0),
        )
        return binary(binary(net, "MUL", number(net, 1 / 6)), "MUL", x)
    binary(binary(net, "SUB", number(net, -3.0)), "MUL", number(net, 1 / 6))
    combine(combine(net, "MINIMUM", number(net, 1.0)), "MAXIMUM", number(net, 0.0), first=True)
    return binary(net, "MUL", x)


def gelu(net: Net, spelling: int) -> Net:
    """Spells x Φ(x), with tanh (0, 1) or with a polynomial for erf (2)."""
    x = net.last
    if spelling == 2:
        return _gelu_by_erf(net)
    if spelling == 0:
        combine(net, "POW", number(net, 3.0))
    else:
        binary(binary(net, "MUL", x), "MUL", x)
    binary(binary(net, "MUL", number(net, 0.044715)), "ADD", x)
    unary(binary(net, "MUL", number(net, 0.7978845608)), "TANH")
    half = binary(binary(net, "ADD", number(net, 1.0)), "MUL", number(net, 0.5))
    return binary(half, "MUL", x)


def _gelu_by_erf(net: Net) -> Net:
    """The clamped rational approximation of erf that XLA and Eigen use."""
    x = net.last
    z = binary(net, "MUL", number(net, 0.5**0.5))
    combine(combine(z, "MINIMUM", number(net, 3.832506856900711)), "MAXIMUM", number(net, -3.832506856900711))
    clamped = net.last
    square = binary(net, "MUL", clamped).last
    above = (0.00022905065861350646, 0.0034082910107109506, 0.050955695062380861, 0.18520832239976145,
             1.128379143519084)  # fmt: skip
    below = (-1.1791602954361697e-7, 0.000023547966471313185, 0.0010179625278914885, 0.014070470171167667,
             0.11098505178285362, 0.49746925110067538, 1.0)  # fmt: skip
    sums = []
    for polynomial in (above, below):
        binary(from_here(net, square), "MUL", number(net, polynomial[0]))
        for coefficient in polynomial[1:-1]:
            binary(binary(net, "ADD", number(net, coefficient)), "MUL", square)
        sums.append(binary(net, "ADD", number(net, polynomial[-1])).last)
    binary(binary(from_here(net, sums[0]), "MUL", clamped), "DIV", sums[1])
    binary(binary(net, "ADD", number(net, 1.0)), "MUL", x)
    return binary(net, "MUL", number(net, 0.5))


def prelu(net: Net, spelling: int) -> Net:
    """Spells PRELU or LEAKY_RELU."""
    x, channels = net.last, shape_of(net)[-1]
    if spelling == 0:
        positive = unary(net, "RELU").last
        unary(unary(from_here(net, x), "NEG"), "RELU")
        slope = binary(net, "MUL", net.constant(random(net, channels), "alpha")).last
        return binary(from_here(net, positive), "SUB", slope)
    if spelling == 1:
        binary(net, "MUL", number(net, 0.1))
        return combine(net, "MAXIMUM", x)
    positive = combine(net, "MAXIMUM", number(net, 0.0)).last
    combine(from_here(net, x), "MINIMUM", number(net, 0.0))
    binary(net, "MUL", net.constant(random(net, *(1,) * (len(shape_of(net)) - 1), channels), "alpha"))
    return binary(net, "ADD", positive)


def sigmoid(net: Net) -> Net:
    """Spells 1 / (1 + exp(−x))."""
    unary(unary(net, "NEG"), "EXP")
    return binary(binary(net, "ADD", number(net, 1.0)), "DIV", number(net, 1.0), constant_first=True)


def softmax(net: Net, *, shifted: bool = True, axis: int = -1) -> Net:
    """Spells SOFTMAX."""
    x = net.last
    if shifted:
        greatest = reduce(net, "REDUCE_MAX", axis).last
        binary(from_here(net, x), "SUB", greatest)
    power = unary(net, "EXP").last
    total = reduce(net, "SUM", axis).last
    return binary(from_here(net, power), "DIV", total)


def l2_norm(net: Net, epsilon: float = 1e-12, *, root: str = "RSQRT") -> Net:
    """Spells x / √max(Σ x², ε)."""
    x = net.last
    reduce(unary(net, "SQUARE"), "SUM", -1)
    combine(net, "MAXIMUM", number(net, epsilon))
    total = unary(net, root).last
    return binary(from_here(net, x), "MUL" if root == "RSQRT" else "DIV", total)


def normalization(net: Net, spelling: int, axes: Sequence[int] = (-1,)) -> Net:
    """Spells layer (axes −1) or instance normalization (1, 2)."""
    x, whole, channels = net.last, shape_of(net), shape_of(net)[-1]
    gamma = net.constant(np.abs(random(net, *(1,) * (len(whole) - 1), channels)) + 0.5, "gamma")
    beta = net.constant(random(net, *(1,) * (len(whole) - 1), channels), "beta")
    mean = reduce(net, "MEAN", *axes).last
    if spelling == 0:  # (x − mean) / √(variance + ε) · gamma + beta
        centered = binary(from_here(net, x), "SUB", mean).last
        reduce(binary(net, "MUL", centered), "MEAN", *axes)
        deviation = unary(binary(net, "ADD", number(net, 1e-3)), "SQRT").last
        binary(from_here(net, centered), "DIV", deviation)
        return binary(binary(net, "MUL", gamma), "ADD", beta)
    from_here(net, x).op("SQUARED_DIFFERENCE", whole, (mean,), "SquaredDifferenceOptions")
    reduce(net, "MEAN", *axes)
    unary(binary(net, "ADD", number(net, 1e-3)), "RSQRT")
    plain = {"fused_activation_function": "NONE"}
    scale = net.op("MUL", _broadcast(net, gamma), (gamma,), "MulOptions", **plain).last
    product = binary(from_here(net, x), "MUL", scale).last
    if spelling == 1:  # beta − mean · scale
        from_here(net, mean).op("MUL", _broadcast(net, scale), (scale,), "MulOptions", **plain)
        binary(net, "SUB", beta, constant_first=True)
    else:
        unary(from_here(net, mean), "NEG")
        net.op("MUL", _broadcast(net, scale), (scale,), "MulOptions", **plain)
        binary(net, "ADD", beta)
    return net.op("ADD", whole, (product,), "AddOptions", **plain)


def _broadcast(net: Net, other: int) -> tuple[int, ...]:
    return np.broadcast_shapes(shape_of(net), net.tensors[other].shape)


def split(net: Net, parts: int, axis: int = 3) -> list[int]:
    """Adds a SPLIT. Returns: its outputs."""
    shape = list(shape_of(net))
    shape[axis] //= parts
    operand = net.constant(np.array(axis, np.int32), "axis")
    first = len(net.tensors)
    net.tensors += [Tensor(f"part{first + i}", TensorType(tuple(shape), DType.FLOAT32)) for i in range(parts)]
    outputs = tuple(range(first, first + parts))
    net.nodes.append(Node("SPLIT", (operand, net.last), outputs, {"num_splits": parts}, "SplitOptions"))
    return list(outputs)


def concatenate(net: Net, indices: Sequence[int], axis: int = 3) -> Net:
    """Adds a CONCATENATION."""
    shape = list(net.tensors[indices[0]].shape)
    shape[axis] = sum(net.tensors[i].shape[axis] for i in indices)
    net.last = indices[0]
    return net.op(
        "CONCATENATION", tuple(shape), tuple(indices[1:]), "ConcatenationOptions", axis=axis,
        fused_activation_function="NONE",
    )  # fmt: skip


def grouped(net: Net, parts: int, *, written_out: bool = True, filters: int = 2) -> Net:
    """A convolution in groups: one operator, or SPLIT, one each, CONCATENATION."""
    n, height, width, depth = shape_of(net)
    if not written_out:
        weights = net.constant(random(net, parts * filters, 3, 3, depth // parts), "weights")
        bias = net.constant(random(net, parts * filters), "bias")
        return net.op(
            "CONV_2D", (n, height, width, parts * filters), (weights, bias), "Conv2DOptions", padding="SAME",
            stride_h=1, stride_w=1, dilation_h_factor=1, dilation_w_factor=1,
            fused_activation_function="NONE",
        )  # fmt: skip
    results = [convolution(from_here(net, part), filters, (3, 3)).last for part in split(net, parts)]
    return concatenate(net, results)


def in_batches(net: Net, block: int, *, crop: int = 0, depthwise: bool = False) -> Net:
    """A dilated 3 × 3 convolution as SPACE_TO_BATCH_ND, a plain one, BATCH_TO_SPACE_ND."""
    n, height, width, channels = shape_of(net)
    pads = [[block, block + -size % block] for size in (height, width)]
    crops = [[crop, -size % block] for size in (height, width)]
    sizes = [(size + sum(around)) // block for size, around in zip((height, width), pads, strict=True)]
    blocks = net.constant(np.array([block, block], np.int32), "block")
    net.op(
        "SPACE_TO_BATCH_ND", (n * block * block, *sizes, channels),
        (blocks, net.constant(np.array(pads, np.int32), "pads")), "SpaceToBatchNDOptions",
    )  # fmt: skip
    convolution(net, channels, (3, 3), padding="VALID", depthwise=depthwise)
    out = [(size - 2) * block - sum(cut) for size, cut in zip(sizes, crops, strict=True)]
    return net.op(
        "BATCH_TO_SPACE_ND", (n, *out, channels), (blocks, net.constant(np.array(crops, np.int32), "crops")),
        "BatchToSpaceNDOptions",
    )  # fmt: skip


def shuffle(net: Net, groups: int) -> Net:
    """Shuffles channels between groups: RESHAPE, TRANSPOSE, RESHAPE."""
    n, height, width, channels = shape_of(net)
    net.reshape(n, height, width, groups, channels // groups)
    return transpose(net, 0, 1, 2, 4, 3).reshape(n, height, width, channels)


def pool(net: Net, kind: str, size: int, stride: int = 1, padding: str = "SAME") -> Net:
    """Adds a pool."""
    n, height, width, channels = shape_of(net)
    out = [-(-s // stride) if padding == "SAME" else (s - size) // stride + 1 for s in (height, width)]
    return net.op(
        kind, (n, *out, channels), (), "Pool2DOptions", padding=padding, stride_h=stride, stride_w=stride,
        filter_height=size, filter_width=size, fused_activation_function="NONE",
    )  # fmt: skip


def product(net: Net, units: int, *, adjoint: bool = False, rank: int = 2) -> Net:
    """Adds a BATCH_MATMUL by constant weights."""
    *rows, depth = shape_of(net)
    shape = (units, depth) if adjoint else (depth, units)
    values = random(net, *(1,) * (rank - 2), *shape) / np.float32(depth**0.5)
    return net.op(
        "BATCH_MATMUL", (*rows, units), (net.constant(values, "weights"),), "BatchMatMulOptions", adj_x=False,
        adj_y=adjoint, asymmetric_quantize_inputs=False,
    )  # fmt: skip


def scales(net: Net, draw: st.DrawFn) -> None:
    """Adds a batch normalization as it is written out."""
    channels = shape_of(net)[-1]
    for kind in draw(st.lists(st.sampled_from(["MUL", "ADD", "SUB", "DIV"]), min_size=1, max_size=4)):
        size = draw(st.sampled_from([1, channels]))
        values = np.abs(random(net, size)) * np.float32(0.5) + np.float32(0.5)
        first = kind != "DIV" and draw(st.booleans())
        binary(net, kind, net.constant(values, "scale"), constant_first=first)


def _nchw(net: Net, draw: st.DrawFn) -> None:
    """What a channels-first network becomes: TRANSPOSEs around what works on either layout."""
    transpose(net, 0, 3, 1, 2)
    for kind in draw(st.lists(st.sampled_from(["relu", "scalar", "concat", "pad", "residual"]), max_size=3)):
        if kind == "relu":
            unary(net, "RELU")
        elif kind == "scalar":
            binary(net, "MUL", number(net, 0.7))
        elif kind == "concat":
            concatenate(net, [net.last, net.last], 1)
        elif kind == "pad":
            pad(net, (0, 0), (0, 0), (1, 0), (0, 1))
        else:
            x = net.last
            binary(unary(net, "TANH"), "ADD", x)
    if draw(st.booleans()):
        reduce(net, "MEAN", 2, 3, keep=True)
    transpose(net, 0, 2, 3, 1)


def _residual(net: Net, draw: st.DrawFn) -> None:
    x, channels = net.last, shape_of(net)[-1]
    convolution(net, channels, (1, 1), activation=draw(ACTIVATIONS))
    binary(net, "ADD", x, draw(ACTIVATIONS))


def _twice(net: Net, draw: st.DrawFn) -> None:
    """The same computed twice, then joined."""
    x, kind = net.last, draw(st.sampled_from(["LOGISTIC", "TANH", "ABS"]))
    results = [unary(from_here(net, x), kind).last for _ in range(2)]
    binary(from_here(net, results[0]), "ADD", results[1])


def _pooled(net: Net, draw: st.DrawFn) -> None:
    if draw(st.booleans()):
        unary(net, "RELU")
    if draw(st.booleans()):
        pad(net, (0, 0), (1, 1), (1, 1), (0, 0))
    kind = draw(st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    small = min(shape_of(net)[1:3]) < 3
    pool(net, kind, 1 if small else 3, 1, draw(st.sampled_from(["SAME", "VALID"])))


def _padded(net: Net, draw: st.DrawFn) -> None:
    for _ in range(draw(st.integers(1, 2))):
        pad(net, (0, 0), (1, 0), (0, 1), (0, 0))
    if draw(st.booleans()):
        scales(net, draw)
    convolution(net, 3, (2, 2), padding="VALID", depthwise=draw(st.booleans()))


def _upsampled(net: Net, draw: st.DrawFn) -> None:
    _, height, width, _ = shape_of(net)
    if height > 16 or width > 16:
        unary(net, "TANH")
    elif draw(st.booleans()):
        resize(net, 2 * height, 2 * width, half_pixel_centers=True)
        convolution(net, 2, (1, 1))
    else:
        transposed_convolution(net, 2, (2, 2), (2, 2), (2 * height, 2 * width), "SAME")


def _shuffled(net: Net, draw: st.DrawFn) -> None:
    convolution(net, 4, (1, 1))
    for _ in range(draw(st.integers(1, 3))):
        shuffle(net, draw(st.sampled_from([2, 4])))


def _grouped(net: Net, draw: st.DrawFn) -> None:
    convolution(net, 4, (1, 1))
    grouped(net, draw(st.sampled_from([2, 4])), written_out=draw(st.booleans()))


_PICTURES: tuple[Block, ...] = (
    lambda net, draw: convolution(net, draw(st.integers(1, 5)), (3, 3), activation=draw(ACTIVATIONS)),
    lambda net, draw: convolution(net, 0, (3, 3), stride=(2, 2), depthwise=True),
    lambda net, draw: convolution(net, 2, (1, draw(st.integers(2, 5)))),
    lambda net, draw: hard_swish(net, draw(st.integers(0, 3))),
    lambda net, draw: prelu(net, draw(st.integers(0, 2))),
    lambda net, draw: unary(net, draw(st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH"]))),
    lambda net, draw: normalization(net, draw(st.integers(0, 2)), (1, 2)),
    lambda net, draw: l2_norm(net, root=draw(st.sampled_from(["RSQRT", "SQRT"]))),
    lambda net, draw: in_batches(net, 2, depthwise=draw(st.booleans())),
    lambda net, draw: scales(net, draw),
    _nchw, _residual, _twice, _pooled, _padded, _upsampled, _shuffled, _grouped,
)  # fmt: skip
_SEQUENCES: tuple[Block, ...] = (
    lambda net, draw: normalization(net, draw(st.integers(0, 2))),
    lambda net, draw: product(net, 3, adjoint=draw(st.booleans()), rank=draw(st.integers(2, 3))),
    lambda net, draw: gelu(net, draw(st.integers(0, 2))),
    lambda net, draw: softmax(net, shifted=draw(st.booleans())),
    lambda net, draw: attention(net, draw(st.sampled_from([1, 2]))),
    lambda net, draw: sigmoid(net),
    lambda net, draw: scales(net, draw),
    _twice,
)  # fmt: skip


def attention(net: Net, heads: int) -> Net:
    """Self-attention with a residual."""
    x, (n, steps, width) = net.last, shape_of(net)
    parts = []
    for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
        product(from_here(net, x), 2 * heads).reshape(n, steps, heads, 2)
        parts.append(transpose(net, *order).last)
    attrs = {"adj_x": False, "adj_y": False, "asymmetric_quantize_inputs": False}
    from_here(net, parts[0]).op(
        "BATCH_MATMUL", (n, heads, steps, steps), (parts[1],), "BatchMatMulOptions", **attrs
    )
    softmax(net)
    net.op("BATCH_MATMUL", (n, heads, steps, 2), (parts[2],), "BatchMatMulOptions", **attrs)
    transpose(net, 0, 2, 1, 3).reshape(n, steps, 2 * heads)
    return binary(product(net, width), "ADD", x)


@st.composite
def pictures(draw: st.DrawFn, max_blocks: int = 5) -> Model:
    """Draws a little network on pictures [N, H, W, C]."""
    net = Net(
        (1, draw(st.integers(4, 8)), draw(st.integers(4, 8)), draw(st.integers(1, 4))),
        draw(st.integers(0, 99)),
    )
    for block in draw(st.lists(st.sampled_from(_PICTURES), min_size=1, max_size=max_blocks)):
        block(net, draw)
    return finished(net, draw)


@st.composite
def sequences(draw: st.DrawFn, max_blocks: int = 4) -> Model:
    """Draws a little network on sequences [N, T, C]."""
    net = Net(
        (draw(st.integers(1, 2)), draw(st.integers(2, 5)), draw(st.integers(2, 6))), draw(st.integers(0, 99))
    )
    for block in draw(st.lists(st.sampled_from(_SEQUENCES), min_size=1, max_size=max_blocks)):
        block(net, draw)
    return finished(net, draw)


@st.composite
def recurrent(draw: st.DrawFn) -> Model:
    """Draws a gated cell, unrolled over a few steps that share their weights."""
    size = draw(st.integers(1, 4))
    net = Net((1, size), draw(st.integers(0, 99)))
    gates = net.constant(random(net, 2 * size, 2 * size), "gates")
    bias = net.constant(random(net, 2 * size), "bias")
    state, x = net.last, net.last
    attrs = {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": False}
    for _ in range(draw(st.integers(1, 3))):
        concatenate(net, [x, state], 1)
        net.op("FULLY_CONNECTED", (1, 2 * size), (gates, bias), "FullyConnectedOptions", **attrs)
        gate, candidate = split(net, 2, 1)
        opened = (
            sigmoid(from_here(net, gate)) if draw(st.booleans()) else unary(from_here(net, gate), "LOGISTIC")
        ).last
        kept = binary(from_here(net, state), "MUL", opened).last
        unary(from_here(net, candidate), "TANH")
        state = binary(net, "ADD", kept).last
    return finished(net, draw)


def finished(net: Net, draw: st.DrawFn) -> Model:
    """Returns: the model; now and then a value in between is an output too."""
    outputs = [net.last]
    if draw(st.booleans()) and len(net.nodes) > 1:
        between = draw(st.sampled_from([i for node in net.nodes[:-1] for i in node.outputs]))
        outputs += [between] if between not in outputs else []
    if net.last == 0:
        unary(net, "ABS")
        outputs = [net.last]
    graph = Graph(tuple(net.tensors), tuple(net.nodes), (0,), tuple(outputs), "main")
    named = tuple((f"y{place}", index) for place, index in enumerate(outputs))
    metadata = (("made_for", np.frombuffer(b"a test", np.uint8)),)
    return Model((graph,), (Signature("serving_default", (("x", 0),), named),), metadata, "made for a test")


def floats() -> st.SearchStrategy[Model]:
    """Draws a float model of any kind."""
    return st.one_of(pictures(), sequences(), recurrent())
