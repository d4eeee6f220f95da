"""Damaged calls of operators that do more than map elements: they compile, or the engine says why not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.errors import CompileError, InvalidGraph, UnsupportedOperator
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Verdict
from tests.passes.test_firing import composite
from tests.webgpu.test_complex import spectrum
from tests.webgpu.test_operators import FOUND, model
from tests.webgpu.test_regions import scattering

FAMILIES = ("LSTM", "RNN", "SVDF", "NON_MAX", "STABLEHLO_GATHER", "EMBEDDING", "RANGE", "SHAPE", "RANK")
DTYPES = [DType.INT32, DType.INT8, DType.FLOAT16, DType.INT64, DType.BOOL, DType.COMPLEX64]


def sources() -> list[Model]:
    found = [model(op, case)[0] for op, case in FOUND if any(name in op.name for name in FAMILIES)]
    scatter, _ = scattering(
        np.zeros((5, 4, 3), np.float32), np.zeros((2, 2), np.int32), np.zeros((4, 2), np.float32), "ADD",
        update_window_dims=(0,), inserted_window_dims=(0, 2), scatter_dims_to_operand_dims=(2, 0),
        index_vector_dim=1,
    )  # fmt: skip
    spectra = [spectrum((3, 1, 16), 1, 16, "COMPLEX_ABS", "IMAG"), spectrum((2, 6, 8), 4, 8, "REAL")]
    return [*found, scatter, *spectra, composite(twice=True)]


SOURCES = sources()


def number(value: object, rng: Random) -> object:
    """Returns: another value of an option."""
    if isinstance(value, (tuple, list)):
        return tuple(rng.choice([v, -1, 0, 9, 2**40]) for v in value) if rng.random() < 0.7 else value[:-1]
    if isinstance(value, bool):
        return not value
    return rng.choice([-1, 0, 1, 5, 2**31, 10**12]) if isinstance(value, (int, float)) else value


def damaged_node(node: Node, tensors: int, rng: Random) -> Node:
    kind = rng.randrange(4)
    if kind == 0:
        return replace(node, inputs=node.inputs[: rng.randint(0, len(node.inputs))])
    if kind == 1:
        at = rng.randrange(len(node.inputs))
        return replace(node, inputs=(*node.inputs[:at], rng.randrange(-1, tensors), *node.inputs[at + 1 :]))
    if kind == 2 or not node.attrs:
        return replace(node, outputs=node.outputs[: rng.randint(0, len(node.outputs))])
    name = rng.choice(sorted(node.attrs))
    return replace(node, attrs={**node.attrs, name: number(node.attrs[name], rng)})


def damaged_tensor(tensor: Tensor, rng: Random) -> Tensor:
    sizes = list(tensor.shape)
    if rng.random() < 0.3:
        return replace(tensor, type=replace(tensor.type, dtype=rng.choice(DTYPES)), data=None)
    if sizes and rng.random() < 0.7:
        sizes[rng.randrange(len(sizes))] = rng.choice([0, 1, 2, 3, 7])
    else:
        sizes = [*sizes, 2] if rng.random() < 0.5 else sizes[:-1]
    data = None if tensor.data is None or rng.random() < 0.3 else np.zeros(sizes, tensor.data.dtype)
    return replace(tensor, type=replace(tensor.type, shape=tuple(sizes)), data=data)


def damaged(source: Model, rng: Random) -> Model:
    at = rng.randrange(len(source.graphs))
    graph = source.graphs[at]
    tensors, nodes = list(graph.tensors), list(graph.nodes)
    if rng.random() < 0.5 and nodes:
        place = rng.randrange(len(nodes))
        nodes[place] = damaged_node(nodes[place], len(tensors), rng)
    else:
        place = rng.randrange(len(tensors))
        tensors[place] = damaged_tensor(tensors[place], rng)
    made: Graph = replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))
    return replace(source, graphs=(*source.graphs[:at], made, *source.graphs[at + 1 :]))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_a_damaged_call_compiles_or_is_refused(seed: int) -> None:
    rng = Random(seed)
    try:
        lifted = lift(damaged(rng.choice(SOURCES), rng)).model
        graph = at_shapes(lifted, [lifted.main.tensors[i].shape for i in lifted.main.inputs]).main
    except InvalidGraph:
        return
    verdicts = [variants(graph, node, Target().kernels) for node in graph.nodes]
    refused = [verdict for verdict in verdicts if isinstance(verdict, Verdict)]
    assert all(verdict.reason for verdict in refused)
    read = {i for node in graph.nodes for i in node.inputs if i >= 0 and not graph.tensors[i].is_constant}
    fed = read <= {*graph.inputs, *(i for node in graph.nodes for i in node.outputs)}
    if refused or not fed:
        return
    ports = ([str(i) for i in ends] for ends in (graph.inputs, graph.outputs))
    with suppress(CompileError, InvalidGraph, UnsupportedOperator):
        compile_graph(graph, *ports, Target())


def test_whole_calls_compile() -> None:
    """Or nothing would be damaged here."""
    for source in SOURCES:
        lifted = lift(source).model
        graph = at_shapes(lifted, [lifted.main.tensors[i].shape for i in lifted.main.inputs]).main
        verdicts = [variants(graph, node, Target().kernels) for node in graph.nodes]
        assert [str(verdict) for verdict in verdicts if isinstance(verdict, Verdict)] == []
