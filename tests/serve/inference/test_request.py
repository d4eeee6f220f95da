"""Requests of every kind, read in this process."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sanderling.engines.engine import Port
from sanderling.graph.types import DType, TensorType
from sanderling.serve.inference.body import Held, Room, inflated
from sanderling.serve.inference.datatypes import from_bytes, from_json, name_of, to_bytes, to_json
from sanderling.serve.inference.refusal import Refusal
from sanderling.serve.inference.request import read
from sanderling.serve.inference.response import write

TYPES = [
    DType.BOOL, DType.UINT8, DType.UINT16, DType.UINT32, DType.UINT64, DType.INT8, DType.INT16, DType.INT32,
    DType.INT64, DType.FLOAT16, DType.FLOAT32, DType.FLOAT64,
]  # fmt: skip
PORTS = (
    Port("x", TensorType((1, 3), DType.FLOAT32), (-1, 3)),
    Port("ids", TensorType((1, 2), DType.INT32), (-1, 2)),
    Port("text", TensorType((1,), DType.STRING), (-1,)),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from([
    "x", "ids", "text", "FP32", "INT32", "BYTES", 1, 0, -1, 3, 2, [1, 3], [1, 2], [1], [], None, True, 1e400,
    [[0.5, 1, 2]], [1, 2], ["a"], {"binary_data_size": 12}, {"binary_data_size": 8}, {"classification": 1},
])  # fmt: skip
ENTRY = st.dictionaries(
    st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), WORDS | JSON, max_size=5
)
REQUESTS = st.dictionaries(
    st.sampled_from(["inputs", "outputs", "id", "parameters"]), st.lists(ENTRY, max_size=4) | JSON, max_size=4
)


@given(st.binary(max_size=200), st.none() | st.text(max_size=6) | st.integers(-5, 300).map(str))
def test_no_bytes_do_harm(body: bytes, length: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, length, PORTS, PORTS)
    assert caught.value.status == 400
    assert len(caught.value.sentence) < 500


@given(REQUESTS, st.binary(max_size=40), st.booleans())
def test_no_document_does_harm(document: dict[str, Any], tail: bytes, binary: bool) -> None:
    head = json.dumps(document).encode()
    length = str(len(head)) if binary else None
    found = refused(lambda: read(head + (tail if binary else b""), length, PORTS, PORTS))
    if found is not None:
        assert found.status == 400
        assert len(found.sentence) < 1000


def refused(work: Callable[[], object]) -> Refusal | None:
    """Returns: the refusal that it comes to. Anything else is raised."""
    try:
        work()
    except Refusal as refusal:
        return refusal
    return None


@given(st.sampled_from(TYPES), st.data())
def test_arrays_come_back_from_bytes_and_from_json(dtype: DType, data: st.DataObject) -> None:
    kind = dtype.numpy
    shape = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    x = data.draw(arrays.arrays(kind, shape, elements={"allow_nan": False} if kind.kind == "f" else None))
    back = from_bytes(memoryview(to_bytes(x)), "x", kind, x.shape)
    assert back.dtype == kind
    np.testing.assert_array_equal(back, x)
    if kind.kind != "f" or np.isfinite(x).all():
        text = json.loads(json.dumps(to_json(x, "x")))
        np.testing.assert_array_equal(from_json(text, "x", kind, x.shape), x)
        if x.ndim and x.size:
            np.testing.assert_array_equal(
                from_json(json.loads(json.dumps(x.tolist())), "x", kind, x.shape), x
            )


@given(st.lists(st.binary(max_size=9), max_size=6))
def test_texts_come_back(texts: list[bytes]) -> None:
    x = np.empty(len(texts), object)
    x[:] = texts
    data = to_bytes(x)
    assert from_bytes(memoryview(data), "x", np.dtype(object), (len(texts),)).tolist() == texts
    for cut in range(len(data)):
        with pytest.raises(Refusal):
            from_bytes(memoryview(data)[:cut], "x", np.dtype(object), (len(texts),))


@pytest.mark.parametrize(
    "value, dtype", [(256, "uint8"), (-1, "uint8"), (1 << 40, "int32"), (1 << 70, "int64")]
)
def test_integers_are_not_wrapped(value: int, dtype: str) -> None:
    with pytest.raises(Refusal):
        from_json([value], "x", np.dtype(dtype), (1,))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_write_is_told(value: float) -> None:
    with pytest.raises(Refusal, match="NaN or infinity"):
        to_json(np.array([value], np.float32), "y")


def test_the_order_of_inputs_is_the_callers_and_of_arrays_the_models() -> None:
    ids, x = np.array([[4, 5]], np.int32), np.array([[1, 2, 3]], np.float32)
    text = np.array([b"ab"], object)
    entries = [
        {
            "name": name, "shape": list(v.shape), "datatype": kind,
            "parameters": {"binary_data_size": len(to_bytes(v))},
        }
        for name, kind, v in (("text", "BYTES", text), ("ids", "INT32", ids), ("x", "FP32", x))
    ]  # fmt: skip
    head = json.dumps({"inputs": entries, "id": "q", "outputs": [{"name": "ids"}]}).encode()
    asked = read(head + to_bytes(text) + to_bytes(ids) + to_bytes(x), str(len(head)), PORTS, PORTS)
    np.testing.assert_array_equal(asked.inputs[0], x)
    np.testing.assert_array_equal(asked.inputs[1], ids)
    assert asked.inputs[2].tolist() == [b"ab"]
    body, length = write("m", asked, asked.inputs, PORTS)
    assert length == 0
    told = json.loads(body)
    assert (told["id"], told["outputs"][0]["data"]) == ("q", [4, 5])


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "deflate", "raw"]), st.integers(0, 9))
def test_what_is_compressed_comes_back(body: bytes, how: str, level: int) -> None:
    if how == "gzip":
        packed = gzip.compress(body, level)
    elif how == "deflate":
        packed = zlib.compress(body, level)
    else:
        one = zlib.compressobj(level, zlib.DEFLATED, -15)
        packed = one.compress(body) + one.flush()
    room = Room(1 << 20)
    held = Held(room, 3000)
    found = asyncio.run(inflated(packed, "gzip" if how == "gzip" else "deflate", held))
    assert found == body
    held.release()
    assert room.taken == 0


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_no_compressed_bytes_do_harm(body: bytes, how: str) -> None:
    room = Room(1 << 20)
    held = Held(room, 1000)
    found = refused(lambda: asyncio.run(inflated(body, how, held)))
    assert found is None or found.status in (400, 413)
    held.release()
    assert room.taken == 0


def test_the_room_for_requests_is_bounded() -> None:
    room = Room(100)
    one, other = Held(room, 80), Held(room, 80)
    one.grow(60)
    with pytest.raises(Refusal) as caught:
        other.grow(60)
    assert caught.value.status == 503
    one.release()
    other.grow(60)
    with pytest.raises(Refusal) as caught:
        other.grow(81)
    assert caught.value.status == 413


def test_every_type_has_its_name() -> None:
    assert {name_of(each) for each in TYPES} == {
        "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32",
        "FP64",
    }  # fmt: skip
    assert name_of(DType.RESOURCE) is None
