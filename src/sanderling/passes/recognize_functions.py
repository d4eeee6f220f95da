"""Puts one operator in the place of several that compute the same function of one value.

Converters write out what they have no operator for: x · relu6(x + 3) / 6 in a dozen spellings, GELU with tanh
or with a polynomial for erf, relu(x) − alpha · relu(−x), minimum(maximum(x, 0), 6). Spellings are endless, so
the functions themselves are compared: a part of the graph that computes one value from one other value,
element by element, is evaluated at many x and replaced if a builtin operator gives the same at all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find
from sanderling.passes._cones import (
    ELEMENTWISE,
    MAX_VALUES,
    Cone,
    answers,
    channels,
    cones,
    constants,
    points,
)
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass

# Relative to the result, or to x where it is below 1: what float32 loses in a polynomial for erf. Far out a
# factor that rounds to 0 in one spelling rounds to an ulp of 1 in another.
TOLERANCE = 4e-6
_ULP = float(np.finfo(np.float32).eps)
_FAR = 20.0  # beyond it a spelling may overflow where the operator does not
_IDENTITY = "RESHAPE"
# A single operator is only replaced by one that others can take in, or that is cheaper.
_SIMPLER = frozenset({_IDENTITY, "RELU", "RELU6", "RELU_N1_TO_1", "SQUARE", "SQRT", "RSQRT"})
_SPARE = frozenset({"PRELU", "LEAKY_RELU"})  # operators with a parameter that may hide a simpler one


@dataclass(frozen=True, slots=True)
class _Function:
    """A builtin operator of one value, ``alpha`` being a second operand where it has one."""

    op: str
    options: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)
    alpha: Array | None = None


# RELU_0_TO_1 is none of them: XNNPACK does not take it, MAXIMUM and MINIMUM are faster.
_FUNCTIONS = (
    _Function("RELU"), _Function("RELU6"), _Function("RELU_N1_TO_1"), _Function("HARD_SWISH"),
    _Function("GELU", "GeluOptions", {"approximate": False}),
    _Function("GELU", "GeluOptions", {"approximate": True}),
    _Function("LOGISTIC"), _Function("TANH"), _Function("ELU"), _Function("ABS", "AbsOptions"),
    _Function("SQUARE", "SquareOptions"), _Function("SQRT"), _Function("RSQRT"), _Function("LOG"),
    _Function("EXP", "ExpOptions"), _Function("NEG", "NegOptions"),
)  # fmt: skip


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, ELEMENTWISE)


def _rewrite(editor: Editor, node: Node) -> str | None:
    for cone in cones(editor, node):
        told = constants(editor, cone)
        if len(cone.nodes) == 1 and not told and node.op not in _SPARE:
            return None
        found = _recognized(editor, cone, told)
        if found is None:
            continue
        name = editor.name(node)
        spelled = f"{len(cone.nodes)} operators" if len(cone.nodes) > 1 else node.op
        if found.op == _IDENTITY:
            editor.forward(cone.source, node.outputs[0])
            return f"{spelled} at {name!r} did nothing"
        inputs = [cone.source]
        if found.alpha is not None:
            inputs.append(editor.constant(found.alpha, f"{name}/alpha"))
        editor.emit(found.op, inputs, node.outputs[0], found.options, found.attrs)
        return f"{spelled} became {found.op} {name!r}"
    return None


def _recognized(editor: Editor, cone: Cone, told: list[Array]) -> _Function | None:
    rank = len(editor.shapes[cone.source])
    wide = channels(told, rank)
    if wide is None:
        return None
    few = np.array([-7, -2.5, -1, -0.3, 0, 0.4, 1, 2, 5, 8], np.float32)
    wanted = _evaluated(editor, cone, few, wide)
    if wanted is None:
        return None
    candidates = [f for f in _candidates(cone, wanted, wide, rank) if _same(f, few, wanted)]
    every = points(told)
    if not candidates or every.size * max(int(np.prod(wide)), 1) > MAX_VALUES:
        return None
    wanted = _evaluated(editor, cone, every, wide)
    return next((f for f in candidates if wanted is not None and _same(f, every, wanted)), None)


def _evaluated(editor: Editor, cone: Cone, x: Array, wide: Shape) -> Array | None:
    return answers(editor, cone, _spread(x, wide))


def _spread(x: Array, wide: Shape) -> Array:
    """Returns: x [points] as [points, *wide]."""
    return np.broadcast_to(x.reshape(-1, *(1,) * len(wide)), (x.size, *wide))


def _candidates(cone: Cone, few: Array, wide: Shape, rank: int) -> Iterator[_Function]:
    single = len(cone.nodes) == 1
    identity = _Function(_IDENTITY)
    for function in (identity, *_FUNCTIONS):
        if not single or (function.op in _SIMPLER and cone.nodes[0].op != function.op):
            yield function
    slope = -few[2]  # f(−1) = −alpha
    if single or rank < 2 or not np.isfinite(slope).all():
        return
    if np.ptp(slope) == 0:
        yield _Function("LEAKY_RELU", "LeakyReluOptions", {"alpha": float(slope.flat[0])})
    else:
        alpha = slope.reshape((1,) * (rank - 1 - slope.ndim) + slope.shape) if slope.ndim < rank else slope
        if alpha.ndim == rank and alpha.shape[0] == 1:
            alpha = alpha[0]
        if alpha.ndim == rank - 1:
            yield _Function("PRELU", alpha=np.ascontiguousarray(alpha, np.float32))


def _same(function: _Function, x: Array, wanted: Array) -> bool:
    got = _computed(function, _spread(x, wanted.shape[1:]))
    if got is None or got.shape != wanted.shape:
        return False
    at = _spread(np.abs(x), wanted.shape[1:])
    with np.errstate(all="ignore"):
        bound = TOLERANCE * np.maximum(np.abs(got), np.minimum(at, 1)) + _ULP * at
        near = np.abs(got.astype(np.float64) - wanted) <= bound
    both = (np.isnan(got) & np.isnan(wanted)) | (got == wanted)
    overflown = ~np.isfinite(wanted) & (at > _FAR) & np.isfinite(got)
    return bool((near | both | overflown).all())


def _computed(function: _Function, x: Array) -> Array | None:
    if function.op == _IDENTITY:
        return x
    if function.op == "PRELU":
        assert function.alpha is not None
        front = max(function.alpha.ndim - (x.ndim - 1), 0)
        if any(size != 1 for size in function.alpha.shape[:front]):
            return None  # slopes that differ along an axis which the points do not have
        alpha = function.alpha.reshape(function.alpha.shape[front:])
        return np.where(x >= 0, x, x * alpha)
    op = find(function.op)
    if op is None or op.reference is None:
        return None
    kind = TensorType(x.shape, DType.FLOAT32)
    node = Node(function.op, (0,), (1,), function.attrs, function.options)
    try:
        return op.reference(node, [np.ascontiguousarray(x)], [kind], [kind])[0]
    except InvalidGraph:
        return None


PASS = Pass("recognize_functions", "one operator for several that compute the same function", apply)
