"""Ranges of weights: clipping that pays, and bounds that integer arithmetic can bear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.compress.quantizing.weights import METHODS, clip, rounded, weight_ranges
from tests.models import Net


def error(weights: np.ndarray, bounds: np.ndarray, bits: int) -> np.ndarray:
    return np.square(rounded(weights, bounds, bits) - weights).sum(axis=1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]), st.sampled_from(METHODS))
def test_bounds_are_positive_and_no_wider_than_the_weights(seed: int, bits: int, how: str) -> None:
    weights = np.random.default_rng(seed).standard_normal((5, 30)).astype(np.float32)
    bounds = clip(weights, bits, how)
    assert (bounds > 0).all()
    assert (bounds <= np.abs(weights).max(axis=1) * (1 + 1e-6)).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]))
def test_mse_is_never_worse_than_minmax(seed: int, bits: int) -> None:
    weights = np.random.default_rng(seed).standard_t(3, (4, 50)).astype(np.float32)
    best, plain = clip(weights, bits, "mse"), clip(weights, bits, "minmax")
    assert (error(weights, best, bits) <= error(weights, plain, bits) * (1 + 1e-6)).all()


def test_octav_beats_minmax_in_four_bits_on_bell_shaped_weights() -> None:
    weights = np.random.default_rng(0).standard_normal((8, 4096)).astype(np.float32)
    octav, plain = clip(weights, 4, "octav"), clip(weights, 4, "minmax")
    assert (error(weights, octav, 4) < 0.8 * error(weights, plain, 4)).all()


def test_percentile_and_entropy_cut_a_lone_outlier() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4096)).astype(np.float32)
    weights[1, 7] = 60.0
    for how in ("percentile", "entropy"):
        bounds = clip(weights, 8, how)
        assert 3 < bounds[1] < 30
        assert (bounds[[0, 2]] > 2.5).all()


def test_a_channel_of_zeros_is_rounded_to_zeros() -> None:
    weights = np.zeros((2, 3), np.float32)
    for how in METHODS:
        assert not rounded(weights, clip(weights, 8, how), 8).any()


def test_dead_channels_leave_room_for_their_bias() -> None:
    graph = Net((1, 4, 4, 2)).conv(3).model().main
    node = graph.nodes[0]
    kernel, bias = (graph.tensors[i].data.copy() for i in node.inputs[1:])
    kernel[1], bias[1] = 1e-12, 5.0
    tensors = list(graph.tensors)
    from dataclasses import replace

    for index, data in zip(node.inputs[1:], (kernel, bias), strict=True):
        tensors[index] = replace(tensors[index], data=data)
    graph = replace(graph, tensors=tuple(tensors))
    ranges = {0: (-1.0, 1.0), node.outputs[0]: (0.0, 6.0)}
    (chosen,) = weight_ranges(graph, [0], "minmax", activations=ranges)
    steps = np.abs(bias) / (chosen.bounds.ravel() / 127 * 2 / 255)
    assert steps.max() < 2**26
    assert chosen.bounds.shape == (3, 1, 1, 1)
    assert chosen.bounds.ravel()[0] == pytest.approx(np.abs(kernel[0]).max())
