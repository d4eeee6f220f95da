"""Operators with drawn settings: shapes, strides, paddings, axes, broadcasts, masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find, names
from tests.conformance.exceptions import has_kernel
from tests.conformance.variants import FLOAT, Variant, kinds_of
from tests.ops.quantized import INT16
from tests.webgpu import drawn_layers as layers
from tests.webgpu import drawn_moves as moves
from tests.webgpu import drawn_recurrent as recurrent
from tests.webgpu.drawn_layers import ACTIVATION, Drawn, drawn_shape, ints, normal

Family = Callable[[st.DrawFn, np.random.Generator], Drawn]
_BINARY = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "GREATER", "LESS_EQUAL", "EQUAL",
    "FLOOR_DIV", "FLOOR_MOD",
)  # fmt: skip
_DIVIDING = ("DIV", "FLOOR_DIV", "FLOOR_MOD")
_FUSED = ("ADD", "SUB", "MUL", "DIV")
_UNARY = (
    "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG",
    "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
_ABOVE_ZERO = ("LOG", "RSQRT", "SQRT")
_ROWS = ("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "CUMSUM", "ARG_MAX", "ARG_MIN", "TOPK_V2")


def binary(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 0, 5)
    cut = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, len(shape))) :]
    name = draw(st.sampled_from(_BINARY))
    pair = [normal(rng, *shape), normal(rng, *cut)]
    if name in _DIVIDING:
        pair[1] = np.asarray(np.copysign(np.abs(pair[1]) + np.float32(0.5), pair[1]))
    elif draw(st.booleans()):
        pair.reverse()
    attrs = {"fused_activation_function": draw(ACTIVATION)} if name in _FUSED else {}
    return name, Case("drawn", pair, attrs, constant=draw(st.sampled_from([(), (), (1,)])))


def unary(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    name, x = draw(st.sampled_from(_UNARY)), 3 * normal(rng, *drawn_shape(draw, 0, 5))
    if name in _ABOVE_ZERO:
        x = np.abs(x) + np.float32(0.1)
    if name == "GELU":  # LiteRT is itself inexact far below zero, which the scale of larger numbers hides
        x = np.maximum(x, -1) if x.size < 2 else np.append(x.reshape(-1)[1:], np.float32(3)).reshape(x.shape)
    attrs = {"LEAKY_RELU": {"alpha": 0.3}, "GELU": {"approximate": draw(st.booleans())}}.get(name, {})
    return name, Case("drawn", [np.asarray(x)], attrs)


def reduction(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 1, 5)
    axes = [axis for axis in range(len(shape)) if draw(st.booleans())] or [0]
    name = draw(st.sampled_from(["SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"]))
    keep = {"keep_dims": draw(st.booleans())}
    return name, Case("drawn", [normal(rng, *shape), ints(*axes)], keep, constant=(1,))


def rows(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    name = draw(st.sampled_from(_ROWS))
    x = 3 * normal(rng, *drawn_shape(draw, 1, 4))
    axis = np.array(draw(st.integers(0, x.ndim - 1)), np.int32)
    if name == "SOFTMAX":
        return name, Case("drawn", [x], {"beta": draw(st.sampled_from([1.0, 0.5, 2.0]))})
    if name == "CUMSUM":
        attrs = {"reverse": draw(st.booleans()), "exclusive": draw(st.booleans())}
        return name, Case("drawn", [x, axis], attrs, constant=(1,))
    if name in ("ARG_MAX", "ARG_MIN"):
        attrs = {"output_type": draw(st.sampled_from(["int32", "int64"]))}
        return name, Case("drawn", [x, axis], attrs, constant=(1,))
    if name == "TOPK_V2":
        count = np.array(draw(st.integers(1, x.shape[-1])), np.int32)
        return name, Case("drawn", [x, count], {}, constant=(1,))
    return name, Case("drawn", [x])


def listed(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """An operator's own cases, with other numbers: so that no operator is left out."""
    op = draw(st.sampled_from(ON_GPU))
    assert op.cases is not None
    return op.name, draw(st.sampled_from(list(op.cases(rng))))


ON_GPU = [op for op in map(find, sorted(names())) if op is not None and op.gpu is not None and op.cases]
FAMILIES: dict[str, Family] = {
    function.__name__: function
    for function in (
        layers.convolution, layers.grouped, layers.depthwise, layers.transposed, layers.pool, layers.dense,
        layers.product, layers.volume, moves.strided, moves.sliced, moves.gather, moves.gather_nd,
        moves.padded, moves.permuted, moves.repeated, moves.joined, moves.parted, moves.blocks, moves.resized,
        moves.chosen, moves.shaped, binary, unary, reduction, rows, listed, recurrent.lstm,
        recurrent.plain_recurrent, recurrent.boxes, recurrent.slices,
    )
}  # fmt: skip


@st.composite
def operators(draw: st.DrawFn, family: str) -> Variant:
    """An operator of a family, as it is or in a kind of integers that LiteRT has kernels for."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    name, case = FAMILIES[family](draw, rng)
    op = find(name)
    assert op is not None
    kinds = [kind for kind in kinds_of(op, case) if has_kernel(kind, name, "") and _sound(kind, op, case)]
    return Variant(draw(st.sampled_from([FLOAT, *kinds])), op, case)


def _sound(kind: str, op: Op, case: Case) -> bool:
    """Returns: whether LiteRT's answer is one: of a product of two int16 operands it reads the int64 bias as
    int32, so that every second element gets none."""
    return not (op.name == "FULLY_CONNECTED" and kind == INT16.name and 1 not in case.constant)
