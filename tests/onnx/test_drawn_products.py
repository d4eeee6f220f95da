"""Products of matrices, and what recurs, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from tests.onnx.drawing import Numbers, ask, numbers, opsets, shapes
from tests.onnx.test_drawn_elements import part_of

EXAMPLES = settings(max_examples=25)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from([(), (0,), (1,)]))
def test_product(
    folder: Path, data: DataObject, draw: Numbers, opset: int, constants: tuple[int, ...]
) -> None:
    batch = data.draw(shapes(0, 2, 3))
    n, k, m = (data.draw(st.integers(1, 5)) for _ in range(3))
    a, b = draw.real(*part_of(data, batch), n, k), draw.real(*part_of(data, batch), k, m)
    if data.draw(st.integers(0, 3)) == 0:
        a = draw.real(k)
    if data.draw(st.integers(0, 3)) == 0:
        b = draw.real(k)
    ask(data, folder, "MatMul", [a, b], opset, constants=constants, least=1.0)


@EXAMPLES
@given(
    st.data(),
    numbers,
    opsets(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (1,), (1, 2), (0,), (2,)]),
)
def test_gemm(
    folder: Path,
    data: DataObject,
    draw: Numbers,
    opset: int,
    left: bool,
    right: bool,
    constants: tuple[int, ...],
) -> None:
    n, k, m = (data.draw(st.integers(1, 5)) for _ in range(3))
    inputs = [draw.real(k, n) if left else draw.real(n, k), draw.real(m, k) if right else draw.real(k, m)]
    if opset < 11 or data.draw(st.booleans()):
        inputs.append(draw.real(*part_of(data, (n, m))))
    attrs: dict[str, Any] = {"transA": int(left), "transB": int(right)}
    for name in ("alpha", "beta"):
        if data.draw(st.booleans()):
            attrs[name] = data.draw(st.sampled_from([0.5, 2.0]))
    ask(data, folder, "Gemm", inputs, opset, constants=constants, least=1.0, **attrs)


EQUATIONS = (
    "ij,jk->ik", "bij,bjk->bik", "bhid,bhjd->bhij", "bhij,bhjd->bhid", "bij,kj->bik", "i,j->ij",
    "bnd,de->bne", "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd", "abc,cde->abde", "ij,ij->ij", "nchw,oc->nohw",
    "ij->ji", "bij->bi", "i,i->", "...ij,...jk->...ik", "bi,bi->b", "ij,jk", "bij,bjk,bkl->bil",
)  # fmt: skip


@pytest.mark.parametrize("equation", EQUATIONS)
@settings(max_examples=5)
@given(st.data(), numbers)
def test_einsum(folder: Path, equation: str, data: DataObject, draw: Numbers) -> None:
    sizes = {letter: data.draw(st.integers(1, 4)) for letter in sorted(set(equation) - set(",->."))}
    terms = equation.split("->")[0].split(",")
    shapes_of = [[sizes[c] for c in term.replace("...", "")] for term in terms]
    inputs = [
        draw.real(*([2, 3] if "..." in term else []), *each)
        for term, each in zip(terms, shapes_of, strict=True)
    ]
    ask(data, folder, "Einsum", inputs, 12, equation=equation, least=1.0)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from(["forward", "reverse", "bidirectional"]))
def test_recurrent(
    folder: Path, op: str, data: DataObject, draw: Numbers, opset: int, direction: str
) -> None:
    steps, batch, features, hidden = (data.draw(st.integers(1, 4)) for _ in range(4))
    gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 2 if direction == "bidirectional" else 1
    inputs: list[Any] = [
        draw.real(steps, batch, features), draw.real(ways, gates * hidden, features),
        draw.real(ways, gates * hidden, hidden),
    ]  # fmt: skip
    inputs.append(draw.real(ways, 2 * gates * hidden) if data.draw(st.booleans()) else None)
    inputs.append(np.full(batch, steps, np.int32) if data.draw(st.booleans()) else None)
    states = 2 if op == "LSTM" else 1
    given_states = data.draw(st.booleans())
    inputs += [draw.real(ways, batch, hidden) if given_states else None for _ in range(states)]
    constants = {1, 2, 3, 4}
    if op == "LSTM" and data.draw(st.booleans()):
        inputs.append(draw.real(ways, 3 * hidden))
        constants.add(7)
    attrs: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if op == "GRU":
        attrs["linear_before_reset"] = data.draw(st.integers(0, 1))
    if data.draw(st.booleans()):
        own = {"LSTM": ["Sigmoid", "Tanh", "Relu"], "GRU": ["Sigmoid", "Relu"], "RNN": ["Relu"]}[op]
        attrs["activations"] = own * ways
    ask(data, folder, op, inputs, opset, constants=constants, outputs=1 + states, least=1.0, **attrs)
