"""Spectra on the GPU: complex numbers as two tensors of real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu import ENGINE
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.graphs.complex_parts import LARGEST, matrices, separate_complex
from sanderling.graph.graph import Model
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.session import Session
from tests.models import Net, run_litert, save
from tests.webgpu.making import CLOSE, compare


def spectrum(shape: tuple[int, ...], height: int, width: int, *parts: str) -> Model:
    """RFFT2D, its axes of 1 squeezed where there are any, and what is asked for of it."""
    net = Net(shape, 1)
    sizes = net.constant(np.array([height, width], np.int32), "sizes")
    made: tuple[int, ...] = (*shape[:-2], height, width // 2 + 1)
    net.op("RFFT2D", made, (sizes,), "Rfft2dOptions")
    net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType(made, DType.COMPLEX64))
    if height == 1:
        made = (*made[:-2], made[-1])
        net.op("SQUEEZE", made, (), "SqueezeOptions", squeeze_dims=(len(shape) - 2,))
        net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType(made, DType.COMPLEX64))
    whole, found = net.last, []
    for part in parts:
        net.last = whole
        found.append(net.op(part, made, ()).last)
    graph = net.model(signature=False).main
    return Model((replace(graph, outputs=tuple(found)),))


@pytest.mark.parametrize(
    "shape, height, width",
    [((3, 1, 64), 1, 64), ((2, 1, 50), 1, 64), ((1, 100), 1, 32), ((2, 6, 8), 4, 8), ((6, 5), 8, 16),
     ((4, 8), 1, 8)],
)  # fmt: skip
def test_parts_of_a_spectrum(
    device: Device, tmp_path: Path, shape: tuple[int, ...], height: int, width: int
) -> None:
    path = save(spectrum(shape, height, width, "COMPLEX_ABS", "REAL", "IMAG"), tmp_path / "m.tflite")
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with Session(path, engine="webgpu") as session:
        answer = session(x)
        assert isinstance(answer, dict)
        for mine, wanted in zip(answer.values(), run_litert(path, x), strict=True):
            compare(mine, wanted, CLOSE)
        assert {row.engine for row in session.placement} == {"webgpu"}


def test_spectra_that_leave_or_are_too_long_stay_on_the_cpu() -> None:
    whole = spectrum((2, 1, 8), 1, 8, "REAL")
    out = whole.main.nodes[0].outputs[0]
    told = ENGINE.supports(whole.with_main(replace(whole.main, outputs=(*whole.main.outputs, out))))
    assert all("complex64 cannot be held in a GPU buffer" in verdict.reason for verdict in told)
    long = spectrum((1, 1, 2 * LARGEST), 1, 2 * LARGEST, "REAL").main
    assert separate_complex(long) is long


def test_the_matrices_are_those_of_the_transform() -> None:
    real, imaginary = matrices(16, 9, 16)
    whole = np.fft.rfft(np.eye(16), axis=0)
    np.testing.assert_allclose(real + 1j * imaginary, whole, atol=1e-7)
