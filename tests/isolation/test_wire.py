"""Messages arrive as they were sent, and damaged ones are refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling.errors import WorkerError
from sanderling.isolation import wire


def there_and_back(message: object) -> Any:
    stream = BytesIO()
    wire.send(stream, message)
    stream.seek(0)
    got = wire.receive(stream)
    assert stream.read() == b""
    return got


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.tobytes() == b.tobytes()
            and a.shape == b.shape
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


arrays = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="="),
        hnp.unsigned_integer_dtypes(endianness="="),
        hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
    ),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
keys = st.text(max_size=5).filter(lambda key: not key.startswith("$"))
messages = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


@given(messages)
def test_messages_arrive_as_sent(message: object) -> None:
    assert same(message, there_and_back([message])[0])


def test_what_is_made_plain() -> None:
    sent = {"t": (1, np.float32(0.5)), "p": Path("a/b"), "texts": np.array([[b"x", "é"]], object)}
    got = there_and_back(sent)
    assert got["t"] == [1, 0.5]
    assert got["p"] == "a/b"
    assert got["texts"].tolist() == [[b"x", "é"]]
    swapped = there_and_back([np.arange(6, dtype=">i4").reshape(2, 3).T])[0]
    assert swapped.tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    "message", [{1: 2}, {"$array": 1}, object(), {"a": {1, 2}}, np.zeros(2, "datetime64[s]"), [lambda: 0]]
)
def test_what_cannot_be_sent(message: object) -> None:
    stream = BytesIO()
    with pytest.raises(TypeError, match="message"):
        wire.send(stream, message)
    assert stream.getvalue() == b""


def test_the_end_of_the_stream_is_no_error_between_messages_only() -> None:
    assert wire.receive(BytesIO()) is None
    stream = BytesIO()
    wire.send(stream, {"x": np.arange(10)})
    whole = stream.getvalue()
    for cut in range(1, len(whole)):
        with pytest.raises(WorkerError, match="broke off"):
            wire.receive(BytesIO(whole[:cut]))


def frame(header: bytes, payload: int = 0) -> BytesIO:
    return BytesIO(struct.pack("<QQ", len(header), payload) + header + bytes(min(payload, 100)))


@pytest.mark.parametrize(
    "stream",
    [
        BytesIO(struct.pack("<QQ", 2**60, 0)),
        frame(b"{"),
        frame(b'{"$array": ["<f4", [4]]}', 8),
        frame(b'{"$array": ["<f4", [-1]]}', 8),
        frame(b'{"$array": ["O", [1]]}', 8),
        frame(b'{"$array": ["<f4", [1099511627776, 1099511627776]]}', 8),
        frame(b'{"$array": 3}', 8),
        frame(b'{"$text": [["a"], [2]]}'),
    ],
)
def test_nonsense_is_refused(stream: BytesIO) -> None:
    with pytest.raises(WorkerError):
        wire.receive(stream)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_message_or_a_refusal(data: bytes) -> None:
    with suppress(WorkerError):
        wire.receive(frame(data, 16))
