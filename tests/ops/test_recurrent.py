"""Recurrent layers over several calls: state, hybrid weights, full integers, against LiteRT."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.registry import find as engine
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops._lstm_cases import VARIANTS
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from sanderling.tflite import write
from tests.ops.single import SEED, declared_types, fed_arrays, label, model_of, node_of, type_of

NAMES = ("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM",
         "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM")  # fmt: skip
HYBRID = 2e-2  # of the output's range: rounding of activations to 8 bits may fall to either side of a half


def operators() -> list[Op]:
    return [op for op in map(find, NAMES) if op is not None]


CASES = [
    pytest.param(op, case, id=f"{op.name}-{label(case)}")
    for op in operators()
    if op.cases
    for case in op.cases(np.random.default_rng(SEED))
]


def calls(model: Model, feeds: Sequence[list[Array]]) -> tuple[list[list[Array]], list[list[Array]]]:
    """Returns: what our engine and LiteRT's reference kernels give, call after call."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        write(model, path)
        runner = engine("reference").load(path, model)
        ours = [runner.run(feed) for feed in feeds]
        interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        theirs = []
        for feed in feeds:
            for detail, array in zip(interpreter.get_input_details(), feed, strict=True):
                interpreter.set_tensor(detail["index"], array)
            interpreter.invoke()
            theirs.append(
                [interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()]
            )
    return ours, theirs


def outputs_of(op: Op, case: Case) -> list[TensorType]:
    assert op.reference is not None
    arrays = [a.copy() if a is not None and i in case.variables else a for i, a in enumerate(case.inputs)]
    declared = declared_types(op, case)
    types = [None if a is None else type_of(a) for a in case.inputs]
    return [type_of(a) for a in op.reference(node_of(op, case, len(declared)), arrays, types, declared)]


@pytest.mark.parametrize("op, case", CASES)
def test_state_lives_on_between_calls(op: Op, case: Case) -> None:
    (x,) = fed_arrays(case)
    ours, theirs = calls(model_of(op, case, outputs_of(op, case)), [[x], [x / 2], [-x]])
    for mine, wanted in zip(ours, theirs, strict=True):
        for a, b in zip(mine, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    assert not np.array_equal(ours[0][0] / 2, ours[1][0])


def hybrid(op: Op, case: Case, model: Model) -> Model:
    """Returns: the model with its weights in int8."""
    tensors = list(model.main.tensors)
    place = iter(range(len(tensors)))
    for position, array in enumerate(case.inputs):
        if array is None:
            continue
        index = next(place)
        if position in op.quant.weights and position in case.constant:
            scale = float(np.abs(array).max()) / 127
            stored = np.round(array / np.float32(scale)).astype(np.int8)
            kind = TensorType(array.shape, DType.INT8, Quant.of(scale))
            tensors[index] = replace(tensors[index], type=kind, data=stored)
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


# The BASIC kernel has no hybrid form. Of time-major bidirectional layers LiteRT gets the first step wrong, in
# both directions, by up to a tenth: no form of the arithmetic explains it, and batch-major ones are exact.
NO_HYBRID = {("LSTM", "basic"), ("BIDIRECTIONAL_SEQUENCE_RNN", "time first")}


@pytest.mark.parametrize(
    "op, case", [p for p in CASES if (p.values[0].name, p.values[1].name) not in NO_HYBRID]
)
def test_integer_weights_with_float_activations(op: Op, case: Case) -> None:
    model = hybrid(op, case, model_of(op, case, outputs_of(op, case)))
    feeds = [[x] for x in (*fed_arrays(case), *(a / 3 for a in fed_arrays(case)))]
    try:
        ours, theirs = calls(model, feeds)
    except RuntimeError:
        pytest.skip("LiteRT has no hybrid kernel for this variant")
    for mine, wanted in zip(ours, theirs, strict=True):
        for a, b in zip(mine, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=HYBRID * max(1.0, float(np.abs(b).max())))


def symmetric(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Tensor:
    kind = TensorType(shape, DType.INT8, Quant.of(scale))
    return Tensor("w", kind, rng.integers(-127, 128, shape).astype(np.int8))


def integer_lstm(seed: int, *, coupled: bool, peephole: bool, zero: int, time_major: bool) -> Model:
    """Returns: an int8 LSTM of random weights, as TensorFlow's converter quantizes Keras' layer."""
    rng = np.random.default_rng(seed)
    batch, steps, features, cells = 2, 5, 3, 4
    in_scale, out_scale = 0.015, 0.008
    shape = (steps, batch) if time_major else (batch, steps)
    tensors = [Tensor("x", TensorType((*shape, features), DType.INT8, Quant.of(in_scale, zero)))]
    inputs = [0] + [-1] * 19

    def add(position: int, tensor: Tensor) -> None:
        tensors.append(tensor)
        inputs[position] = len(tensors) - 1

    for gate in range(int(coupled), 4):
        scale = float(rng.uniform(0.004, 0.02))
        add(1 + gate, symmetric(rng, (cells, features), scale))
        add(5 + gate, symmetric(rng, (cells, cells), float(rng.uniform(0.004, 0.02))))
        kind = TensorType((cells,), DType.INT32, Quant.of(scale * in_scale))
        add(12 + gate, Tensor("b", kind, rng.integers(-3000, 3000, cells).astype(np.int32)))
    for position in range(9 + int(coupled), 12) if peephole else ():
        values = rng.integers(-9000, 9000, cells).astype(np.int16)
        add(position, Tensor("p", TensorType((cells,), DType.INT16, Quant.of(3e-5)), values))
    add(18, Tensor("h", TensorType((batch, cells), DType.INT8, Quant.of(out_scale, -7)), is_variable=True))
    add(19, Tensor("c", TensorType((batch, cells), DType.INT16, Quant.of(2.0**-12)), is_variable=True))
    tensors += [Tensor(f"t{i}", TensorType((0,), DType.FLOAT32)) for i in range(4)]
    tensors.append(Tensor("t4", TensorType((0,), DType.INT8, Quant.of(out_scale, -7))))
    last = len(tensors)
    tensors.append(Tensor("y", TensorType((*shape, cells), DType.INT8, Quant.of(out_scale, -7))))
    attrs = {"fused_activation_function": "TANH", "cell_clip": 2.0, "proj_clip": 0.0,
             "time_major": time_major, "asymmetric_quantize_inputs": False,
             "diagonal_recurrent_tensors": False}  # fmt: skip
    node = Node("UNIDIRECTIONAL_SEQUENCE_LSTM", tuple(inputs), (last,), attrs,
                "UnidirectionalSequenceLSTMOptions", intermediates=tuple(range(last - 5, last)))  # fmt: skip
    return Model((Graph(tuple(tensors), (node,), (0,), (last,), "main"),))


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), coupled=st.booleans(), peephole=st.booleans(),
       zero=st.integers(-100, 100), time_major=st.booleans())  # fmt: skip
def test_integer_lstm_is_exact(seed: int, coupled: bool, peephole: bool, zero: int, time_major: bool) -> None:
    model = integer_lstm(seed, coupled=coupled, peephole=peephole, zero=zero, time_major=time_major)
    rng = np.random.default_rng(seed)
    shape = model.main.tensors[0].shape
    feeds = [[rng.integers(-128, 128, shape).astype(np.int8)] for _ in range(2)]
    ours, theirs = calls(model, feeds)
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine[0], wanted[0])


def test_a_state_that_is_no_variable_is_refused() -> None:
    op = find("UNIDIRECTIONAL_SEQUENCE_RNN")
    assert op is not None
    assert op.reference is not None
    assert op.cases is not None
    case = op.cases(np.random.default_rng(0))[0]
    arrays = list(case.inputs)
    state = arrays[4]
    assert state is not None
    state.flags.writeable = False
    types = [None if a is None else type_of(a) for a in arrays]
    with pytest.raises(InvalidGraph, match="its state is no variable"):
        op.reference(node_of(op, case, 1), arrays, types, declared_types(op, case))


def test_variants_cover_every_part() -> None:
    parts = list(VARIANTS.values())
    for part in ("input_gate", "peephole", "projection", "norm"):
        assert {getattr(variant, part) for variant in parts} == {True, False}
