"""Models made up by Hypothesis come back from a file as they went in; made-up bytes are refused in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from sanderling import tflite
from sanderling.errors import ModelError
from sanderling.graph.equal import difference
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Signature, Sparsity, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.graph.verify import verify
from sanderling.runtime.analyze import analyze
from sanderling.tflite.schema import Field, schema
from tests.models import classifier, save

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
int32s = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(width=32, allow_nan=False)
INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}


@st.composite
def arrays(draw: st.DrawFn, dtype: str, size: int) -> np.ndarray:
    """An array whose numbers may be anything, in a memory of its own."""
    width = np.dtype(dtype).itemsize
    raw = draw(st.binary(min_size=size * width, max_size=size * width))
    array = np.frombuffer(raw, dtype).copy()
    return array if array.dtype.kind != "f" else np.nan_to_num(array)


@st.composite
def quants(draw: st.DrawFn) -> Quant | None:
    kind = draw(st.sampled_from(["none", "tensor", "channel", "range", "block"]))
    if kind == "none":
        return None
    count = {"tensor": 1, "channel": draw(st.integers(2, 5))}.get(kind, 0)
    low, high = draw(arrays("float32", draw(st.integers(0, 2)))), draw(arrays("float32", 1))
    dimension = draw(st.integers(0, 3))
    return Quant(
        draw(arrays("float32", count)),
        draw(arrays("int64", count)),
        dimension if count > 1 else None,
        low,
        high,
        (draw(st.integers(0, 3)), draw(st.integers(-1, 3)), draw(int32s)) if kind == "block" else None,
        dimension,
    )


@st.composite
def sparsities(draw: st.DrawFn) -> Sparsity:
    order = tuple(draw(st.lists(int32s, min_size=1, max_size=3)))
    dims = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(int32s)
        if draw(st.booleans()):
            dims.append((size, None, None))
            continue
        kinds = st.sampled_from(["int32", "uint16", "uint8"])
        pair = (draw(arrays(draw(kinds), draw(st.integers(1, 3)))) for _ in range(2))
        dims.append((size, *pair))
    return Sparsity(order, tuple(draw(st.lists(int32s, max_size=2))), tuple(dims))


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    dtype = draw(st.sampled_from(DType))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    kind = TensorType(shape, dtype, draw(quants()))
    data: Any = None
    sparsity = draw(sparsities()) if draw(st.integers(0, 4)) == 0 else None
    if draw(st.booleans()):
        plain = sparsity is None and dtype.bits >= 8 and "float8" not in dtype and dtype != DType.BFLOAT16
        data = draw(arrays("uint8", kind.nbytes if plain else draw(st.integers(1, 9))))
        data = data.view(dtype.numpy).reshape(shape) if plain and kind.nbytes else data
        data = None if not data.size else data
    signature = tuple(draw(st.integers(-1, 9)) for _ in shape) if draw(st.booleans()) else ()
    return Tensor(draw(names), kind, data, draw(st.booleans()), signature, sparsity, draw(st.booleans()))


def _value(field: Field) -> st.SearchStrategy[Any]:
    """Values of one option, as reading gives them."""
    if field.enum:
        return st.sampled_from(sorted(schema().enums[field.enum]))
    if field.kind == "bool":
        return st.booleans()
    if field.kind in INTEGERS:
        sign, bits = INTEGERS[field.kind]
        return st.integers(0, 2**bits - 1) if sign else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if field.kind.startswith("float"):
        return floats
    if field.kind == "string":
        return st.none() | names
    if field.is_vector and field.element in INTEGERS:
        low, high = (0, 127)
        return st.none() | st.lists(st.integers(low, high), max_size=3).map(tuple)
    if field.kind == "[string]":
        return st.none() | st.lists(names, max_size=3)
    return st.none()  # tables within options


def _options() -> list[str]:
    enums = schema().enums
    every = sorted({*enums["BuiltinOptions"], *enums["BuiltinOptions2"]} - {"NONE"})
    return [name for name in every if not any(f.is_union for f in schema().tables[name])]


@st.composite
def nodes(draw: st.DrawFn, count: int) -> Node:
    operands = st.lists(st.integers(-1, count - 1), max_size=4).map(tuple)
    results = st.lists(st.integers(0, count - 1), max_size=3).map(tuple)
    more = {"intermediates": draw(operands), "mutating": tuple(draw(st.lists(st.booleans(), max_size=2)))}
    version = draw(st.integers(1, 30))
    if draw(st.integers(0, 4)) == 0:
        code, options = draw(names), draw(st.binary(max_size=9))
        return Node(CUSTOM, draw(operands), draw(results), {}, "", code, options, version, **more)
    op = draw(st.sampled_from(sorted(set(schema().enums["BuiltinOperator"]) - {CUSTOM})))
    if draw(st.booleans()):
        return Node(op, draw(operands), draw(results), version=version, **more)
    table = draw(st.sampled_from(_options()))
    attrs = {field.name: draw(_value(field)) for field in schema().tables[table]}
    return Node(op, draw(operands), draw(results), attrs, table, version=version, **more)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    values = draw(st.lists(tensors(), min_size=1, max_size=5))
    ports = st.lists(st.integers(0, len(values) - 1), max_size=3).map(tuple)
    operators = draw(st.lists(nodes(len(values)), max_size=4))
    return Graph(tuple(values), tuple(operators), draw(ports), draw(ports), draw(names))


@st.composite
def models(draw: st.DrawFn) -> Model:
    parts = draw(st.lists(graphs(), min_size=1, max_size=3))
    pairs = st.lists(st.tuples(names, st.integers(0, 9)), max_size=3).map(tuple)
    made = st.builds(Signature, names, pairs, pairs, st.integers(0, 9))
    blobs = st.tuples(names, st.integers(0, 9).flatmap(lambda size: arrays("uint8", size)))
    return Model(
        tuple(parts),
        tuple(draw(st.lists(made, max_size=2))),
        tuple(draw(st.lists(blobs, max_size=2))),
        draw(names),
    )


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(models())
def test_every_model_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, model: Model
) -> None:
    path = tmp_path_factory.getbasetemp() / "generated.tflite"
    tflite.write(model, path)
    assert difference(model, tflite.read(path)) == ""


def _only_model_errors(look: Callable[[], object]) -> bool:
    """Returns: whether it succeeded; whatever but a ModelError is raised fails the test."""
    try:
        look()
    except ModelError:
        return False
    return True


@settings(max_examples=200)
@example(b"")
@example(b"\x08\0\0\0TFL3\0\0\0\0")
@given(st.binary(max_size=300))
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    _only_model_errors(lambda: tflite.parse(memoryview(data)))
    head = data[:4].ljust(4, b"\x10") + b"TFL3" + data[8:]
    _only_model_errors(lambda: tflite.parse(memoryview(head)))


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(models(), st.data())
def test_models_that_mean_nothing_are_refused_or_analyzed(
    tmp_path_factory: pytest.TempPathFactory, model: Model, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "meaningless.tflite"
    tflite.write(model, path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)

    def look() -> None:
        read = tflite.read(path)
        verify(read)
        analyze(read).to_json()

    _only_model_errors(look)


@settings(max_examples=60)
@given(st.data())
def test_operators_with_other_options_and_constants_are_refused_or_analyzed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A sound graph in which one operator is replaced: its operands exist, and fit or do not."""
    model = classifier()
    graph = model.main
    position = data.draw(st.integers(0, len(graph.nodes) - 1))
    made = data.draw(nodes(len(graph.tensors)))
    assume(made.op != CUSTOM)
    node = replace(made, inputs=graph.nodes[position].inputs, outputs=graph.nodes[position].outputs)
    node = replace(node, intermediates=(), mutating=())
    changed = [*graph.nodes]
    changed[position] = node
    path = tmp_path_factory.getbasetemp() / "replaced.tflite"
    save(model.with_main(replace(graph, nodes=tuple(changed))), path)

    def look() -> None:
        read = tflite.read(path)
        verify(read)
        analyze(read).to_json()

    _only_model_errors(look)


def test_the_strategy_covers_the_schema(tmp_path: Path) -> None:
    """Every options table can be written and read, each with values that are not its defaults."""
    base = classifier()
    for table in _options():
        attrs = {}
        for field in schema().tables[table]:
            if field.enum:
                attrs[field.name] = sorted(schema().enums[field.enum])[-1]
            elif field.kind == "bool":
                attrs[field.name] = not field.default
            elif field.kind in INTEGERS:
                attrs[field.name] = 7
            elif field.kind.startswith("float"):
                attrs[field.name] = 0.5
            elif field.is_vector and field.element in INTEGERS:
                attrs[field.name] = (1, 2)
            else:
                attrs[field.name] = None
        node = Node("CONV_2D", (0,), (1,), attrs, table)
        graph = Graph(base.main.tensors, (node,), (0,), (1,), "main")
        back = tflite.read(save(Model((graph,)), tmp_path / "m.tflite"))
        assert back.main.nodes[0] == node, table
