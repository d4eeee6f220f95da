"""Order, plans and pieces: pure data, no GPU."""

from __future__ import annotations

from itertools import product
from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.webgpu.pieces.order import schedule, together
from sanderling.engines.webgpu.pieces.partition import CPU, GPU, MOST_PARTITIONS, Rates, _search, plans
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType
from tests.engines import models
from tests.models import Net

RATES = Rates(prefer_gpu=8.0)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any directed acyclic graph of adds."""
    kind = TensorType((1, 4), DType.FLOAT32)
    tensors, nodes = [Tensor("x", kind)], []
    for _ in range(draw(st.integers(1, 9))):
        operands = draw(st.integers(0, len(tensors) - 1)), draw(st.integers(0, len(tensors) - 1))
        tensors.append(Tensor(f"t{len(tensors)}", kind))
        nodes.append(Node("ADD", operands, (len(tensors) - 1,)))
    outputs = draw(st.sets(st.integers(1, len(tensors) - 1), min_size=1))
    return Graph(tuple(tensors), tuple(nodes), (0,), tuple(sorted(outputs)))


@given(graphs(), st.data())
def test_pieces_hand_over_everything_that_is_read(graph: Graph, data: st.DataObject) -> None:
    refused = dict.fromkeys(data.draw(st.sets(st.integers(0, len(graph.nodes) - 1))), "no")
    found = plans(graph, refused, {}, RATES)
    assert found
    for plan in found:
        assert plan.partitions <= MOST_PARTITIONS
        assert sorted(plan.device_of()) == list(range(len(graph.nodes)))
        assert all(plan.device_of()[p] == CPU for p in refused)
        known = set(graph.inputs)
        for piece in plan.pieces:
            assert set(piece.inputs) <= known
            held = set(piece.inputs)
            for position in piece.nodes:
                assert set(graph.nodes[position].inputs) <= held
                held |= set(graph.nodes[position].outputs)
            assert set(piece.outputs) <= held
            known |= set(piece.outputs)
        assert set(graph.outputs) <= known


@given(graphs(), st.data())
def test_an_order_keeps_dependencies(graph: Graph, data: st.DataObject) -> None:
    order = schedule(graph, data.draw(st.sets(st.integers(0, len(graph.nodes) - 1))))
    assert sorted(order) == list(range(len(graph.nodes)))
    known = set(graph.inputs)
    for position in order:
        assert set(graph.nodes[position].inputs) <= known
        known |= set(graph.nodes[position].outputs)


@given(st.data(), st.booleans())
def test_the_search_finds_the_cheapest(data: st.DataObject, free_ends: bool) -> None:
    count = data.draw(st.integers(1, 7))
    cost = st.sampled_from([0.5, 1.0, 2.0, 5.0])
    times = [(data.draw(cost), data.draw(st.one_of(cost, st.just(inf)))) for _ in range(count)]
    crossing = [data.draw(cost) for _ in range(count + 1)]
    best = inf
    for devices in product((0, 1), repeat=count):
        total, now = 0.0, 0
        for at, device in enumerate(devices):
            total += times[at][device]
            if device != now and not (free_ends and at == 0):
                total += crossing[at]
            now = device
        total += crossing[count] if now and not free_ends else 0.0
        best = min(best, total)
    found = _search(times, crossing, free_ends=free_ends)
    assert isclose(min(cost for _, cost in found), best)


def test_a_cheap_operator_between_two_that_stay_does_not_go_to_the_gpu_alone() -> None:
    net = Net((1, 4, 4, 4))
    for kind in ("ABS", "NEG", "ABS"):
        net.op(kind, (1, 4, 4, 4))
    (best, *_) = plans(net.model().main, {0: "no", 2: "no"}, {}, RATES)
    assert best.partitions == 0


def test_a_dear_one_does() -> None:
    net = Net((1, 64, 64, 64)).op("ABS", (1, 64, 64, 64)).conv(64).op("ABS", (1, 64, 64, 64))
    (best, *_) = plans(net.model().main, {0: "no", 2: "no"}, {}, RATES)
    assert [(piece.device, piece.nodes) for piece in best.pieces] == [(CPU, (0,)), (GPU, (1,)), (CPU, (2,))]


def test_a_wish_is_kept() -> None:
    net = Net((1, 4, 4, 4)).op("ABS", (1, 4, 4, 4)).op("NEG", (1, 4, 4, 4)).op("ABS", (1, 4, 4, 4))
    graph = net.model().main
    for wish in (CPU, GPU):
        assert all(plan.device_of()[1] == wish for plan in plans(graph, {0: "no"}, {1: wish}, RATES))


def test_what_shares_a_state_stays_together() -> None:
    graph = models.running_sum().main
    (group,) = together(graph)
    assert group == {0, 1, 2, 4}
    (plan,) = plans(graph, {}, {}, RATES)
    assert [piece.device for piece in plan.pieces] == [CPU]


@pytest.mark.parametrize("kind", ["ABS", "NOT_AN_OPERATOR"])
def test_what_is_not_known_has_a_price(kind: str) -> None:
    graph = Net((1, 4)).op(kind, (1, 4)).model().main
    assert min(Rates().times(graph, graph.nodes[0])) > 0
