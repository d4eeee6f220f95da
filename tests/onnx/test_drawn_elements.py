"""Functions of single elements, arithmetic, comparisons, reductions and normalizations, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from tests.onnx.drawing import Numbers, ask, numbers, opsets, shapes

FEW = settings(max_examples=6)
EXAMPLES = settings(max_examples=25)
# Operator → first opset, and the attributes that are drawn.
FUNCTIONS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    **{name: (9, {}) for name in (
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Erf", "Exp",
        "Floor", "Identity", "IsNaN", "Log", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sign", "Sin", "Sinh",
        "Softplus", "Softsign", "Sqrt", "Tan", "Tanh",
    )},
    "Round": (11, {}), "HardSwish": (14, {}), "Mish": (18, {}), "IsInf": (10, {}),
    "Celu": (12, {"alpha": st.floats(0.25, 3)}), "Elu": (9, {"alpha": st.floats(0.25, 3)}),
    "LeakyRelu": (9, {"alpha": st.floats(-1, 1)}), "ThresholdedRelu": (10, {"alpha": st.floats(-1, 1)}),
    "Selu": (9, {"alpha": st.floats(0.5, 2), "gamma": st.floats(0.5, 2)}),
    "HardSigmoid": (9, {"alpha": st.floats(0.1, 1), "beta": st.floats(0, 1)}),
    "Shrink": (9, {"lambd": st.floats(0, 1), "bias": st.floats(-1, 1)}),
    "Gelu": (20, {"approximate": st.sampled_from(["none", "tanh"])}),
}  # fmt: skip
POSITIVE = ("Log", "Sqrt")
RANGES = {"Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-0.9, 0.9), "Acosh": (1.2, 9), "Tan": (-1, 1)}
# These are made of others, whose rounding they magnify.
LOOSER = {"Asinh": 1e-4, "Sinh": 1e-4, "Acosh": 3e-5}


@pytest.mark.parametrize("op", FUNCTIONS)
@FEW
@given(st.data(), numbers, shapes(0))
def test_function(folder: Path, op: str, data: DataObject, draw: Numbers, shape: tuple[int, ...]) -> None:
    first, attrs = FUNCTIONS[op]
    low, high = RANGES.get(op, (0.02, 5) if op in POSITIVE else (-5, 5))
    x = draw.real(*shape, low=low, high=high)
    stated = {name: float(np.float32(v)) if isinstance(v := data.draw(each), float) else v
              for name, each in attrs.items() if data.draw(st.booleans())}  # fmt: skip
    ask(data, folder, op, [x], data.draw(opsets(first)), tolerance=LOOSER.get(op, 1e-5), least=0.1, **stated)


@EXAMPLES
@given(st.data(), numbers, shapes(), st.sampled_from(["attr", "known", "low", "high", "run"]))
def test_clip(folder: Path, data: DataObject, draw: Numbers, shape: tuple[int, ...], how: str) -> None:
    low, high = data.draw(st.sampled_from([(0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (-0.5, 0.75)]))
    x = draw.real(*shape, low=-8, high=8)
    if how == "attr":
        ask(data, folder, "Clip", [x], data.draw(opsets(9, 10)), min=low, max=high)
        return
    bounds = [None if how == "high" else np.float32(low), None if how == "low" else np.float32(high)]
    constants = () if how == "run" else (1, 2)
    ask(data, folder, "Clip", [x, *bounds], data.draw(opsets(12)), constants=constants)


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1), st.booleans())
def test_prelu(
    folder: Path, data: DataObject, draw: Numbers, opset: int, shape: tuple[int, ...], known: bool
) -> None:
    slope = draw.real(*part_of(data, shape))
    ask(data, folder, "PRelu", [draw.real(*shape), slope], opset, constants=(1,) if known else ())


def part_of(data: DataObject, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns: a shape that is broadcast to the given one."""
    kept = shape[data.draw(st.integers(0, len(shape))) :]
    return tuple(size if data.draw(st.booleans()) else 1 for size in kept)


ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Mean", "Sum", "Mod")
COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")


@EXAMPLES
@given(
    st.data(), numbers, st.sampled_from((*ARITHMETIC, *COMPARISONS)), opsets(16), shapes(0),
    st.sampled_from(["float32", "int32", "int64"]), st.sampled_from([(), (0,), (1,)]),
)  # fmt: skip
def test_pairs(
    folder: Path, data: DataObject, draw: Numbers, op: str, opset: int, shape: tuple[int, ...], dtype: str,
    constants: tuple[int, ...],
) -> None:  # fmt: skip
    attrs: dict[str, int] = {}
    if op in ("Mean", "Sum"):
        dtype = "float32"
    if op == "Pow":
        dtype, constants = ("float32", (1,)) if dtype != "int64" else (dtype, (1,))
    if op == "Mod":
        attrs["fmod"] = 1 if dtype == "float32" else data.draw(st.integers(0, 1))
    other = () if op == "Pow" else part_of(data, shape)
    if dtype == "float32":
        a, b = draw.real(*shape, low=0.5 if op == "Pow" else -2), draw.real(*other, low=0.3)
    else:
        a = draw.whole(*shape, low=-9, high=9, dtype=dtype)
        b = draw.whole(*other, low=1, high=5, dtype=dtype) * (
            1 if op == "Pow" else data.draw(st.sampled_from([1, -1]))
        )
    operands = [a, b.astype(dtype)]
    if op not in ("Pow", "Div", "Mod", "Sub") and data.draw(st.booleans()) and not constants:
        operands.reverse()
    ask(data, folder, op, operands, opset, constants=constants, **attrs)


@EXAMPLES
@given(st.data(), numbers, st.sampled_from(["And", "Or", "Xor", "Not", "Where"]), opsets(), shapes(1))
def test_logic(
    folder: Path, data: DataObject, draw: Numbers, op: str, opset: int, shape: tuple[int, ...]
) -> None:
    def truth(*sizes: int) -> np.ndarray:
        return draw.whole(*sizes, low=0, high=2).astype(bool)

    if op == "Where":
        inputs = [truth(*part_of(data, shape)), draw.real(*shape), draw.real(*part_of(data, shape))]
    else:
        inputs = [truth(*shape), truth(*part_of(data, shape))][: 1 if op == "Not" else 2]
    ask(data, folder, op, inputs, opset)


@EXAMPLES
@given(
    st.data(),
    numbers,
    opsets(),
    shapes(1),
    st.sampled_from(["float32", "int32", "int64", "uint8", "bool"]),
    st.sampled_from(["float32", "int32", "int64", "bool"]),
)
def test_cast(
    folder: Path, data: DataObject, draw: Numbers, opset: int, shape: tuple[int, ...], a: str, b: str
) -> None:
    from onnx import helper

    x = (
        draw.real(*shape)
        if a == "float32"
        else draw.whole(*shape, low=0, high=2 if a == "bool" else 99, dtype=a)
    )
    ask(data, folder, "Cast", [x], opset, to=helper.np_dtype_to_tensor_dtype(np.dtype(b)))


REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


@pytest.mark.parametrize("op", REDUCTIONS)
@settings(max_examples=10)
@given(st.data(), numbers, opsets(), shapes(1))
def test_reduction(
    folder: Path, op: str, data: DataObject, draw: Numbers, opset: int, shape: tuple[int, ...]
) -> None:
    x = draw.real(*shape, low=0.1 if op in ("ReduceLogSum", "ReduceProd") else -2)
    attrs: dict[str, Any] = {}
    if data.draw(st.booleans()):
        attrs["keepdims"] = data.draw(st.integers(0, 1))
    axes = data.draw(st.none() | st.sets(st.integers(-len(shape), -1), min_size=1).map(sorted))
    operand = opset >= (13 if op == "ReduceSum" else 18)
    if axes is not None and not operand:
        attrs["axes"] = [
            axis + len(shape) if data.draw(st.booleans()) and opset < 11 else axis for axis in axes
        ]
        if opset < 11:
            attrs["axes"] = [axis % len(shape) for axis in axes]
    if axes is None and operand and data.draw(st.booleans()):
        attrs["noop_with_empty_axes"] = 0
    inputs = [x] if axes is None or not operand else [x, np.array(axes, np.int64)]
    ask(data, folder, op, inputs, opset, constants=(1,), least=1.0, **attrs)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from(["Softmax", "LogSoftmax", "Hardmax"]), shapes(1))
def test_softmax(
    folder: Path, data: DataObject, draw: Numbers, opset: int, op: str, shape: tuple[int, ...]
) -> None:
    axis = data.draw(st.integers(0 if opset < 11 else -len(shape), len(shape) - 1))
    ask(data, folder, op, [draw.real(*shape)], opset, least=1.0, axis=axis)


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(2, 5))
def test_batch_normalization(
    folder: Path, data: DataObject, draw: Numbers, opset: int, shape: tuple[int, ...]
) -> None:
    c = shape[1]
    statistics = [draw.real(c), draw.real(c), draw.real(c), draw.real(c, low=0.1)]
    epsilon = data.draw(st.sampled_from([1e-5, 1e-3]))
    ask(data, folder, "BatchNormalization", [draw.real(*shape), *statistics], opset, constants=(1, 2, 3, 4),
        epsilon=epsilon)  # fmt: skip


@EXAMPLES
@given(st.data(), numbers, st.sampled_from(["Instance", "Group", "Layer", "LRN", "Lp"]), st.booleans())
def test_normalization(folder: Path, data: DataObject, draw: Numbers, kind: str, known: bool) -> None:
    shape = (data.draw(st.integers(1, 2)), 4, *data.draw(shapes(2 if kind == "LRN" else 1, 2)))
    x, both_factors = draw.real(*shape), (1, 2) if known else ()
    if kind == "Instance":
        ask(data, folder, "InstanceNormalization", [x, draw.real(4), draw.real(4)], data.draw(opsets()),
            constants=both_factors, tolerance=1e-4, least=1.0)  # fmt: skip
    elif kind == "Group":
        groups = data.draw(st.sampled_from([1, 2, 4]))
        ask(data, folder, "GroupNormalization", [x, draw.real(4), draw.real(4)], 21, constants=both_factors,
            num_groups=groups, tolerance=1e-4, least=1.0)  # fmt: skip
    elif kind == "Layer":
        axis = data.draw(st.integers(-len(shape), -1))
        factors = [draw.real(*shape[axis:]), draw.real(*shape[axis:])][: data.draw(st.integers(1, 2))]
        ask(data, folder, "LayerNormalization", [x, *factors], data.draw(opsets(17)), axis=axis,
            constants=both_factors, tolerance=1e-4, least=1.0)  # fmt: skip
    elif kind == "LRN":
        ask(
            data,
            folder,
            "LRN",
            [x],
            data.draw(opsets()),
            size=data.draw(st.sampled_from([1, 3, 5])),
            alpha=0.01,
            beta=data.draw(st.sampled_from([0.5, 0.75])),
            bias=data.draw(st.sampled_from([1.0, 2.0])),
            tolerance=3e-5,
        )
    else:
        ask(data, folder, "LpNormalization", [x], data.draw(opsets()), p=data.draw(st.sampled_from([1, 2])),
            axis=data.draw(st.integers(0, len(shape) - 1)))  # fmt: skip
