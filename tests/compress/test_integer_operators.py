"""Which operators compute on integers: only where that pays, and the user is told why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.compress.quantizing.integer_operators import NARROW, SLOW, STATE, between_floats, why_float
from sanderling.graph.graph import Graph, Node
from tests.models import Net


def prelu(channels: int) -> Graph:
    net = Net((1, 8, 8, channels))
    alpha = net.constant(np.full((1, 1, channels), 0.1, np.float32), "alpha")
    return net.op("PRELU", (1, 8, 8, channels), (alpha,)).model().main


def test_slow_kernels_are_taken_where_they_are_small_or_asked_for() -> None:
    small, large = prelu(2), prelu(64)
    assert why_float(small, small.nodes[0], slow_too=False) == ""
    assert why_float(large, large.nodes[0], slow_too=False) == SLOW
    assert why_float(large, large.nodes[0], slow_too=True) == ""


def test_state_activations_and_strangers_stay_float() -> None:
    graph = prelu(2)
    kept = tuple(replace(t, is_variable=i == 0) for i, t in enumerate(graph.tensors))
    assert why_float(replace(graph, tensors=kept), graph.nodes[0], slow_too=True) == STATE
    tanh = Net((1, 4, 4, 2)).conv(2, activation="TANH").model().main
    assert "TANH" in why_float(tanh, tanh.nodes[0], slow_too=True)
    assert why_float(graph, Node("STRANGE", (0,), (1,)), slow_too=True) == "it is not known here"


def test_ends_of_a_chain_stay_float_and_its_middle_does_not() -> None:
    net = Net((1, 8, 8, 4))
    scale = net.constant(np.array([0.5], np.float32), "scale")
    net.op("MUL", (1, 8, 8, 4), (scale,), "MulOptions", fused_activation_function="NONE")
    net.conv(4).op("LEAKY_RELU", (1, 8, 8, 4), (), "LeakyReluOptions", alpha=0.1).conv(4)
    graph = net.op("LOGISTIC", (1, 8, 8, 4)).reshape(1, 256).model().main
    ops = [n.op for n in graph.nodes]
    assert ops == ["MUL", "CONV_2D", "LEAKY_RELU", "CONV_2D", "LOGISTIC", "RESHAPE"]
    assert between_floats(graph, set(range(len(ops)))) == {0, 4, 5}


def test_operators_between_two_float_ones_stay_float() -> None:
    net = Net((1, 8, 8, 4)).conv(4).op("ABS", (1, 8, 8, 4), (), "AbsOptions")
    net.op("ELU", (1, 8, 8, 4)).op("ABS", (1, 8, 8, 4), (), "AbsOptions").conv(4)
    graph = net.model().main
    assert between_floats(graph, {0, 2, 4}) == {2}


def test_narrow_convolutions_stay_float_only_where_that_is_asked_for() -> None:
    grey, wide = (Net((1, 8, 8, channels)).conv(4).model().main for channels in (1, 8))
    assert why_float(grey, grey.nodes[0], slow_too=False) == ""
    assert why_float(grey, grey.nodes[0], slow_too=False, narrow_too=False) == NARROW
    assert why_float(wide, wide.nodes[0], slow_too=False, narrow_too=False) == ""
    pointwise = Net((1, 8, 8, 1)).conv(4, size=1).model().main
    assert why_float(pointwise, pointwise.nodes[0], slow_too=False, narrow_too=False) == ""
