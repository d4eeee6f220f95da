"""CONV_2D and FULLY_CONNECTED on stored int8: sums are exact, rounding is XNNPACK's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.registry import find as engine
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Verdict
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case
from sanderling.ops.registry import find
from sanderling.tflite import write
from tests.conformance.tolerances import QUANT_1LSB
from tests.conformance.variants import float_outputs
from tests.ops.quantized import INT8, INT8_PER_TENSOR, Scheme, quantize_case
from tests.webgpu.making import run_once


def quantized(name: str, case: Case, scheme: Scheme) -> tuple[Model, list[Array]]:
    op = find(name)
    assert op is not None
    made = quantize_case(op, case, float_outputs(op, case), scheme, None)
    return made.model, made.fed


def check(device: Device, model: Model, fed: list[Array], folder: Path) -> str:
    """Compares the int8 variant and the first one with XNNPACK. Returns: the first one's name."""
    path = folder / "m.tflite"
    write(model, path)
    runner = engine("litert").load(path, model)
    (wanted,) = runner.run(fed)
    runner.close()
    found = variants(model.main, model.main.nodes[0], Limits())
    assert not isinstance(found, Verdict)
    (mine,) = [variant.name for variant in found if variant.name.startswith("int8")]
    (got,) = run_once(device, model, fed, choose={0: mine})
    QUANT_1LSB.check(got, wanted)
    assert np.count_nonzero(got != wanted) <= max(1, got.size // 1000)  # ties of the last place alone
    (first,) = run_once(device, model, fed)
    QUANT_1LSB.check(first, wanted)
    return found[0].name


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Case]:
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    out, depth, batch = draw(st.integers(1, 17)), draw(st.integers(1, 19)), draw(st.integers(1, 2))
    bias = (3 * rng.standard_normal(out)).astype(np.float32)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    if draw(st.booleans()):
        return "FULLY_CONNECTED", Case("drawn", [normal(batch, depth), normal(out, depth), bias], {}, (1, 2))
    size = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(3, 9)), draw(st.integers(3, 9))
    attrs = {
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "stride_h": draw(st.integers(1, 2)), "stride_w": draw(st.integers(1, 2)),
        "fused_activation_function": draw(st.sampled_from(["NONE", "RELU", "RELU6"])),
    }  # fmt: skip
    return "CONV_2D", Case(
        "drawn", [normal(batch, height, width, depth), normal(out, *size, depth), bias], attrs, (1, 2)
    )


@settings(max_examples=25, deadline=None)
@given(cases(), st.sampled_from([INT8, INT8_PER_TENSOR]))
def test_any_int8_layer(
    device: Device, tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, Case], scheme: Scheme
) -> None:
    name, case = drawn
    check(device, *quantized(name, case, scheme), tmp_path_factory.mktemp("int8"))


@pytest.mark.parametrize("name, shape", [("FULLY_CONNECTED", (7, 12)), ("CONV_2D", (7, 3, 3, 12))])
def test_a_bias_counts_in_steps_of_the_sum(
    device: Device, tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    """Its own scale is off, as where layers share it: LiteRT does not look at that."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 12) if len(shape) == 2 else (1, 6, 5, 12)).astype(np.float32)
    arrays = [x, rng.standard_normal(shape).astype(np.float32), 9 * rng.standard_normal(7).astype(np.float32)]
    attrs = {} if len(shape) == 2 else {"stride_h": 1, "stride_w": 1}
    model, fed = quantized(name, Case("bias", arrays, attrs, (1, 2)), INT8)
    graph = model.main
    index = graph.nodes[0].inputs[2]
    bias = graph.tensors[index]
    assert bias.quant is not None
    odd = replace(bias, type=replace(bias.type, quant=replace(bias.quant, scale=bias.quant.scale * 1.5)))
    tensors = tuple(odd if i == index else tensor for i, tensor in enumerate(graph.tensors))
    check(device, model.with_main(replace(graph, tensors=tensors)), fed, tmp_path)


def test_sums_that_f32_does_not_hold_are_exact(device: Device, tmp_path: Path) -> None:
    """4,000 products of large numbers of one sign pass 2²⁴ a hundred times over."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1, (3, 4000)).astype(np.float32)
    weights = rng.uniform(0.5, 1, (6, 4000)).astype(np.float32)
    case = Case("large", [x, weights, np.zeros(6, np.float32)], {}, (1, 2))
    first = check(device, *quantized("FULLY_CONNECTED", case, INT8), tmp_path)
    assert first.startswith("int8")
