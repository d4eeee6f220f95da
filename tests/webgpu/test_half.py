"""16 bits: native where the device has ``shader-f16``, packed elsewhere; sums that pass 65504; what is said
where the feature is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.half import TOGETHER, scaled
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.compiler.program import load, save
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.errors import DeviceLimit
from sanderling.graph.graph import Model
from sanderling.graph.types import Verdict
from sanderling.ops.kernel import Limits
from tests.models import Net
from tests.ops.single import run_litert
from tests.webgpu.making import HALF, compare, compiled, residual, run_once
from tests.webgpu.test_adapters import LAVAPIPE
from tests.webgpu.test_operators import every_variant, native_or_skip

NATIVE = Target(Limits(f16=True), half=True)
FORMS = pytest.mark.parametrize("packed", [True, False], ids=["packed", "native"])


def test_the_text_is_native_only_where_it_may_be() -> None:
    native, packed = compiled(residual(), NATIVE), compiled(residual(), Target(half=True))
    assert (native.features, packed.features) == (("shader-f16",), ())
    halves = [text for text in native.shaders if "array<vec4<f16>>" in text]
    assert halves
    assert all(text.startswith("enable f16;\n") for text in halves)
    assert not any("2x16float" in text for text in native.shaders)
    assert not any("f16" in text.replace("2x16float", "") for text in packed.shaders)
    assert len(native.shaders) == len(packed.shaders)  # no more pipelines than before
    assert (native.weights == packed.weights).all()  # the same bytes


def test_nothing_of_it_in_32_bits() -> None:
    wide = dict.fromkeys((tensor.name for tensor in residual().main.tensors), "for a test")
    for target in (replace(NATIVE, half=False), replace(NATIVE, wide=wide)):
        program = compiled(residual(), target)
        assert program.features == ()
        assert not any("f16" in text for text in program.shaders)


def test_variants_that_multiply_in_16_bits_are_offered_behind_others() -> None:
    graph = residual().main
    found = variants(graph, graph.nodes[0], NATIVE.kernels)
    assert not isinstance(found, Verdict)
    assert [v.name for v in found][:2] == ["direct_1x4", "direct_1x4_half"]
    program = compiled(residual(), NATIVE, choose={0: "direct_1x4_half"})
    (chosen,) = [text for text in program.shaders if "alias X4 = vec4<f16>;" in text]
    assert "alias A4 = vec4<f32>;" in chosen  # sums stay in 32 bits


def test_a_missing_feature_is_named(device: Device, tmp_path: Path) -> None:
    save(compiled(residual(), NATIVE), tmp_path / "p")
    program = load(tmp_path / "p")
    assert program.features == ("shader-f16",)
    if "shader-f16" in device.adapter.features:
        program = replace(program, features=("shader-f64",))
    (name,) = program.features
    with pytest.raises(DeviceLimit, match=rf"needs the feature {name}, which .* does not have"):
        Executor(program, device)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=12),
    st.lists(st.floats(-65504, 65504, width=16), min_size=4, max_size=4),
)
def test_four_products_never_overflow(weights: list[float], x: list[float]) -> None:
    array = np.array(weights, np.float32)
    small, factor = scaled(array, "float")
    # By a power of two nothing is lost, but for numbers that f32 itself hardly holds.
    np.testing.assert_allclose(small * np.float32(factor), array, rtol=0, atol=1e-37)
    half, values = small.astype(np.float16), np.array(x, np.float16)
    for weight in half:
        total = np.float16(0)
        for value in values:
            total = total + value * weight
        assert np.isfinite(total)
    assert values.size == TOGETHER


def test_four_products_of_integer_weights_never_overflow() -> None:
    for storage, largest in (("i8", 128), ("i4", 8)):
        _, factor = scaled(np.array([largest]), storage)
        assert TOGETHER * largest <= factor


@pytest.mark.parametrize("size", [1, 3])
def test_sums_of_large_products(device: Device, size: int) -> None:
    """3 x − 2.75 x, where no four products of one sign fit 16 bits."""
    native_or_skip(device)
    net = Net((1, 6, 6, 8), 0).conv(8, size=size, activation="NONE")
    values = np.zeros((8, size, size, 8), np.float32)
    values[..., :4], values[..., 4:] = 3, -2.75
    values /= size * size
    tensors = [replace(t, data=values) if t.name == "w0" else t for t in net.tensors]
    net.tensors = [replace(t, data=np.zeros_like(t.data)) if t.name == "b0" else t for t in tensors]
    every_variant(device, net.model(), [np.full((1, 6, 6, 8), 60000, np.float32)], half=True)


def norm(kind: str, options: str, *shape: int) -> Model:
    return Net(shape).op(kind, shape, (), options).model()


def reduced(kind: str, shape: tuple[int, ...], axes: tuple[int, ...], out: tuple[int, ...]) -> Model:
    net = Net(shape)
    return net.op(
        kind, out, (net.constant(np.array(axes, np.int32), "axes"),), "ReducerOptions", keep_dims=True
    ).model()


def variance() -> Model:
    """The mean over an image of (x − mean)², as exporters write it."""
    net = Net((1, 56, 56, 6))
    axes = net.constant(np.array([1, 2], np.int32), "axes")
    net.op("MEAN", (1, 1, 1, 6), (axes,), "ReducerOptions", keep_dims=True)
    mean = net.last
    net.last = 0
    net.op("SQUARED_DIFFERENCE", (1, 56, 56, 6), (mean,), "SquaredDifferenceOptions")
    return net.op("MEAN", (1, 1, 1, 6), (axes,), "ReducerOptions", keep_dims=True).model()


SUMS = {
    "mean of 12544": (reduced("MEAN", (1, 112, 112, 5), (1, 2), (1, 1, 1, 5)), 100.0),
    "mean of channels": (reduced("MEAN", (1, 4, 4, 1000), (3,), (1, 4, 4, 1)), 1000.0),
    "sum of 12544": (reduced("SUM", (1, 112, 112, 5), (1, 2), (1, 1, 1, 5)), 1.0),
    "softmax of 1000": (Net((3, 1000)).softmax().model(), 4.0),
    "large logits": (Net((3, 1000)).softmax().model(), 2000.0),
    "log softmax of 1000": (norm("LOG_SOFTMAX", "LogSoftmaxOptions", 3, 1000), 4.0),
    "length of 2000": (norm("L2_NORMALIZATION", "L2NormOptions", 2, 2000), 9000.0),
    "variance": (variance(), 50.0),
    "dense over 4096": (Net((2, 4096)).dense(16).model(), 200.0),
}


@FORMS
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_many(device: Device, name: str, packed: bool) -> None:
    """Their elements fit 16 bits, their sums on the way do not, or would lose all digits."""
    if not packed:
        native_or_skip(device)
    made, scale = SUMS[name]
    shape = made.main.tensors[0].shape
    x = (scale * (np.random.default_rng(3).standard_normal(shape) + 0.5)).astype(np.float32)
    if name == "sum of 12544":
        x /= 2
    x = x.astype(np.float16).astype(np.float32)  # what is judged are the sums
    (wanted,) = run_litert(made, [x], reference=True)
    (got,) = run_once(device, made, [x], half=True, packed=packed)
    compare(got, wanted, HALF)


@pytest.mark.timeout(600)
def test_again_where_the_adapter_has_the_feature(device: Device) -> None:
    """SwiftShader has no f16; Mesa's software adapter does."""
    if "shader-f16" in device.adapter.features:
        pytest.skip("it is what all other tests of this file ran on")
    if not LAVAPIPE.exists():
        pytest.skip(f"NO TESTS OF NATIVE f16: {LAVAPIPE} is missing")
    here = Path(__file__)
    files = [
        str(here.with_name(f"test_{name}.py"))
        for name in ("half", "operators", "variants", "weights", "precision")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:anyio",
         "-o", "addopts=", "-k", "native or half or precision", *files],
        env={**os.environ, "VK_DRIVER_FILES": str(LAVAPIPE), "EXPECT_GPU": "1"},
        capture_output=True, text=True, timeout=600, cwd=here.parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_feature_of_one_device_is_not_asked_of_another(device: Device) -> None:
    program = compiled(residual(), target_of(device.adapter, half=True))
    assert set(program.features) <= device.adapter.features
    executor = Executor(program, device)
    executor.close()
