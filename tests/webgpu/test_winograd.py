"""Transformed 3 × 3 convolutions against LiteRT, in shapes whose tiles are cut on every side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Verdict
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case
from sanderling.ops.registry import find
from tests.models import Net
from tests.ops.single import model_of, run_litert, type_of
from tests.webgpu.making import CLOSE, compare, compiled

NAME = "winograd"


def convolution(
    rng: np.random.Generator, image: tuple[int, ...], filters: int, padding: str
) -> tuple[Model, Array]:
    """Returns: a model of one 3 × 3 convolution, and its input."""
    op = find("CONV_2D")
    assert op is not None
    n, h, w, c = image
    arrays = [
        rng.standard_normal(shape).astype(np.float32) for shape in (image, (filters, 3, 3, c), (filters,))
    ]
    attrs = {
        "padding": padding, "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1,
        "fused_activation_function": "RELU6",
    }  # fmt: skip
    cut = 0 if padding == "SAME" else 2
    result = np.zeros((n, h - cut, w - cut, filters), np.float32)
    return model_of(op, Case("3 × 3", arrays, attrs, constant=(1, 2)), [type_of(result)]), arrays[0]


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(3, 9), st.integers(3, 9), st.integers(8, 37)),
    st.integers(8, 41), st.sampled_from(["SAME", "VALID"]), st.integers(0, 99),
)  # fmt: skip
def test_any_shape(device: Device, image: tuple[int, ...], filters: int, padding: str, seed: int) -> None:
    model, x = convolution(np.random.default_rng(seed), image, filters, padding)
    (wanted,) = run_litert(model, [x], reference=True)
    executor = Executor(compiled(model, target_of(device.adapter), choose={0: NAME}), device)
    compare(executor.run([x])[0], wanted, CLOSE)
    executor.close()


SOFTWARE = Limits(software=True, subgroups=True, uniform_bytes=65536, threads=64)


@pytest.mark.parametrize(
    "size, channels, filters, used", [(112, 64, 64, True), (16, 16, 16, False)], ids=["large", "small"]
)
def test_it_is_used_only_where_it_saves_more_than_its_kernels_cost(
    size: int, channels: int, filters: int, used: bool
) -> None:
    graph = Net((1, size, size, channels)).conv(filters).model().main
    found = variants(graph, graph.nodes[0], SOFTWARE)
    assert not isinstance(found, Verdict)
    assert NAME in [variant.name for variant in found]
    program = compile_graph(graph, ["x"], ["y"], Target(SOFTWARE))
    assert ("winograd_in" in [d.label for d in program.dispatches]) is used


@pytest.mark.parametrize("stride, groups", [(2, 1), (1, 2)])
def test_what_it_cannot_compute_is_no_variant(stride: int, groups: int) -> None:
    op = find("CONV_2D")
    assert op is not None
    shapes = ((1, 8, 8, 16), (16, 3, 3, 16 // groups), (16,))
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    attrs = {
        "padding": "SAME", "stride_h": stride, "stride_w": stride, "dilation_h_factor": 1,
        "dilation_w_factor": 1, "fused_activation_function": "NONE",
    }  # fmt: skip
    result = np.zeros((1, 8 // stride, 8 // stride, 16), np.float32)
    graph = model_of(op, Case("other", arrays, attrs, constant=(1, 2)), [type_of(result)]).main
    found = variants(graph, graph.nodes[0], Limits())
    assert not isinstance(found, Verdict)
    assert NAME not in [variant.name for variant in found]
