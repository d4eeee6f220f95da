"""Live memory: hand-counted graphs, and bounds that hold for every chain."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sanderling.analysis.memory import memory
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType


def tensor(elements: int, *, variable: bool = False) -> Tensor:
    return Tensor("", TensorType((elements,), DType.INT8), is_variable=variable)


def test_a_value_lives_until_it_is_read_for_the_last_time() -> None:
    """x → a → b → y, and x is read again at the end."""
    tensors = tuple(tensor(size) for size in (100, 10, 20, 1))
    nodes = (Node("RELU", (0,), (1,)), Node("RELU", (1,), (2,)), Node("ADD", (2, 0), (3,)))
    found = memory(Graph(tensors, nodes, (0,), (3,)))
    assert found.live_bytes == (110, 130, 121)
    assert (found.peak_bytes, found.peak_node) == (130, 1)


def test_outputs_live_to_the_end_and_unused_results_only_while_written() -> None:
    tensors = tuple(tensor(size) for size in (1, 50, 7, 3))
    nodes = (Node("SPLIT", (0,), (1, 2)), Node("RELU", (0,), (3,)))
    assert memory(Graph(tensors, nodes, (0,), (1, 3))).live_bytes == (58, 54)


def test_variables_always_live() -> None:
    tensors = (tensor(1), tensor(1000, variable=True), tensor(2))
    found = memory(Graph(tensors, (Node("RELU", (0,), (2,)), Node("ABS", (0,), (2,))), (0,), (2,)))
    assert found.live_bytes == (1003, 1003)
    assert found.variable_bytes == 1000


def test_variables_behind_handles_count_once_each() -> None:
    handle = Tensor("", TensorType((), DType.RESOURCE))
    name = {"container": "", "shared_name": "state"}
    nodes = (
        Node("VAR_HANDLE", (), (0,), name),
        Node("READ_VARIABLE", (0,), (2,)),
        Node("VAR_HANDLE", (), (1,), name),
        Node("ASSIGN_VARIABLE", (1, 3), ()),
    )
    found = memory(Graph((handle, handle, tensor(64), tensor(64)), nodes, (3,), (2,)))
    assert found.variable_bytes == 64
    assert found.live_bytes[1] == 64 + 64 + 64


def test_a_graph_without_nodes_holds_its_inputs() -> None:
    found = memory(Graph((tensor(5),), (), (0,), (0,)))
    assert (found.live_bytes, found.peak_bytes, found.peak_node) == ((), 5, -1)


@given(sizes=st.lists(st.integers(1, 1000), min_size=2, max_size=20))
def test_a_chain_needs_two_neighbours_at_a_time(sizes: list[int]) -> None:
    nodes = tuple(Node("RELU", (i,), (i + 1,)) for i in range(len(sizes) - 1))
    found = memory(Graph(tuple(map(tensor, sizes)), nodes, (0,), (len(sizes) - 1,)))
    assert found.live_bytes == tuple(a + b for a, b in pairwise(sizes))
