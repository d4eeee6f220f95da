"""Fitting arrays to inputs: nothing is ever changed in what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.runtime.ports import accept, dequantize, quantize, to_stored


def port(
    dtype: DType, shape: tuple[int, ...] = (1, 2), signature: tuple[int, ...] = (), quant: Quant | None = None
) -> Port:
    return Port("x", TensorType(shape, dtype, quant), signature or shape)


FLOAT, INT32 = port(DType.FLOAT32), port(DType.INT32)
INT8 = port(DType.INT8, quant=Quant.of(0.5, 3))


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2]],
        [[1.0, 2.0]],
        ((1, 2),),
        np.array([[1, 2]]),
        np.array([[1, 2]], np.float64),
        np.array([[1, 2]], np.float16),
        np.array([[1, 2]], np.uint8),
        np.array([[1, 2]], ">f4"),
        np.array([[1], [2]], np.float32).T,
    ],
)
def test_what_a_float_input_takes(value: object) -> None:
    got = accept(value, FLOAT)
    assert got.dtype == np.float32
    assert got.tolist() == [[1, 2]]


def test_an_array_that_fits_is_not_copied() -> None:
    x = np.zeros((1, 2), np.float32)
    assert accept(x, FLOAT) is x


@given(
    hnp.arrays(hnp.integer_dtypes(endianness="="), (1, 2)),
    st.sampled_from([DType.INT8, DType.INT32, DType.UINT8, DType.FLOAT32]),
)
def test_integers_arrive_whole_or_not_at_all(values: np.ndarray, dtype: DType) -> None:
    try:
        got = accept(values, port(dtype))
    except InputMismatch:
        if dtype is DType.FLOAT32:
            assert max(abs(int(v)) for v in values.flat) > 2**24
        else:
            info = np.iinfo(dtype.value)
            assert any(not info.min <= int(v) <= info.max for v in values.flat)
        return
    assert [int(v) for v in got.flat] == [int(v) for v in values.flat]


@pytest.mark.parametrize(
    "value, target, message",
    [
        (np.zeros((1, 2)), INT32, r"input 'x' is float64, expected int32; convert it on purpose"),
        (
            np.array([[2**31, 0]]),
            INT32,
            r"values go from 0 to 2147483648; only -2147483648 to 2147483647 fit",
        ),
        (np.zeros((1, 2), complex), FLOAT, "is complex128, expected float32"),
        (np.array([["a", "b"]]), FLOAT, "expected float32"),
        (
            np.zeros((1, 2), np.float32),
            INT8,
            r"is quantized to int8, got float32; quantize it: .* / 0.5\) \+ 3",
        ),
        (np.zeros((1, 2), np.uint8), INT8, "quantized to int8, got uint8; feed the stored integers"),
        (np.zeros((1, 3), np.float32), FLOAT, r"shape \[1, 3\], expected \[1, 2\]"),
        (np.zeros(2, np.float32), FLOAT, "add the batch axis"),
        (np.zeros((3, 2), np.float32), FLOAT, "one sample per call"),
        ([[1, 2], [3]], FLOAT, "cannot be made an array"),
    ],
)
def test_what_is_refused_says_what_to_do(value: object, target: Port, message: str) -> None:
    with pytest.raises(InputMismatch, match=message):
        accept(value, target)


def test_channels_first_is_recognised() -> None:
    image = port(DType.FLOAT32, (1, 8, 6, 3), (-1, 8, 6, 3))
    with pytest.raises(InputMismatch, match=r"transpose\(0, 2, 3, 1\)"):
        accept(np.zeros((1, 3, 8, 6), np.float32), image)


def test_any_size_is_taken_where_the_signature_says_so() -> None:
    assert accept(np.zeros((7, 2), np.float32), port(DType.FLOAT32, (1, 2), (-1, 2))).shape == (7, 2)


def test_python_integers_go_into_a_quantized_input_if_they_fit() -> None:
    assert accept([[-128, 127]], INT8).dtype == np.int8
    with pytest.raises(InputMismatch, match="only -128 to 127 fit"):
        accept([[0, 200]], INT8)


def test_texts_become_bytes() -> None:
    got = accept([["é", "b"]], port(DType.STRING))
    assert got.tolist() == [["é".encode(), b"b"]]


@given(hnp.arrays(np.float32, (1, 2), elements=st.floats(-60, 60, width=32)))
def test_quantizing_is_within_half_a_step(values: np.ndarray) -> None:
    real = dequantize(quantize(values, INT8), INT8)
    assert np.abs(real - values).max() <= 0.25


def test_quantizing_clips_and_rounds_half_to_even() -> None:
    got = to_stored(np.array([[1e9, 0.25]], np.float32), INT8)
    assert got.tolist() == [[127, 3]]
    assert quantize(np.array([[0.75, -1e9]], np.float32), INT8).tolist() == [[5, -128]]


def test_dequantizing_follows_the_channel_axis() -> None:
    quant = Quant(np.array([1, 10], np.float32), np.array([0, 1]), axis=1)
    got = dequantize(np.array([[4, 4]], np.int8), port(DType.INT8, quant=quant))
    assert got.tolist() == [[4, 30]]


def test_unquantized_ports_pass() -> None:
    x = np.zeros((1, 2), np.float32)
    assert dequantize(x, FLOAT) is x
    with pytest.raises(InputMismatch, match="no scale"):
        quantize(x, INT32)
