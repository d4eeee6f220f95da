"""Graphs that run other graphs: only calls that come to an end are allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import InvalidGraph
from sanderling.graph.calls import MAX_DEPTH, check_calls
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.verify import verify
from sanderling.runtime.analyze import analyze
from tests.models import Net


def calling(*targets: tuple[int, ...]) -> Model:
    """One graph per argument, which runs the graphs that it names."""
    graphs = [
        Graph((), tuple(Node("CALL_ONCE", (), (), {"init_subgraph_index": t}) for t in each), (), ())
        for each in targets
    ]
    return Model(tuple(graphs))


@pytest.mark.parametrize(
    "targets, words",
    [
        (((0,),), r"operator 0 \(CALL_ONCE\) calls its own subgraph"),
        (((1,), (0,)), r"subgraph \d is called in a circle"),
        (((1,), (2,), (3,), (1,)), r"subgraph \d is called in a circle"),
        (((1, 5), ()), r"operator 1 \(CALL_ONCE\) calls subgraph 5, there are 2"),
        (((-1,),), "calls subgraph -1"),
        ((*tuple((i + 1,) for i in range(200)), ()), f"more than {MAX_DEPTH} deep"),
        ((*tuple((i + 1, i + 1) for i in range(40)), ()), "more than 100000 calls"),
    ],
)
def test_calls_that_do_not_end_are_refused(targets: tuple[tuple[int, ...], ...], words: str) -> None:
    with pytest.raises(InvalidGraph, match=words):
        check_calls(calling(*targets), "net.tflite")


def test_a_chain_of_thousands_needs_no_deep_stack() -> None:
    with pytest.raises(InvalidGraph, match="deep"):
        check_calls(calling(*((i + 1,) for i in range(20_000)), ()), "net.tflite")


edges = st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=8, max_size=8)


@given(edges)
def test_exactly_the_circles_are_refused(lists: list[list[int]]) -> None:
    lists = [[t for t in each if t != i] for i, each in enumerate(lists)]
    reach = {i: set(each) for i, each in enumerate(lists)}
    for _ in range(8):
        reach = {i: each.union(*(reach[t] for t in each)) for i, each in reach.items()}
    circular = any(i in reach[i] for i in range(8))
    try:
        check_calls(calling(*map(tuple, lists)), "net.tflite")
    except InvalidGraph:
        assert circular
    else:
        assert not circular


def test_a_graph_called_in_many_ways_is_counted_once_for_the_cost() -> None:
    """2^12 ways lead to the innermost graph; a WHILE's cost is that of its condition and its body."""
    inner = Net((1, 8)).dense(4).model().main
    loops = [
        replace(
            inner,
            nodes=(
                Node(
                    "WHILE", (0,), (inner.outputs[0],), {"cond_subgraph_index": i, "body_subgraph_index": i}
                ),
            ),
        )
        for i in range(1, 13)
    ]
    model = Model((*loops, inner))
    verify(model)
    assert analyze(model).summary.macs == 2**12 * 32
