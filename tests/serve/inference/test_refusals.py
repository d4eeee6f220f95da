"""What a server must stand: each gets its 4xx, nothing grows, and the next request is answered."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.inference.serving import (
    Server,
    asked,
    connected,
    infer_body,
    received,
    request,
    row,
    serving,
)

INFER = "/v2/models/m/infer"


def entry(**changed: Any) -> dict[str, Any]:
    made = {"name": "x", "datatype": "FP32", "shape": [1, 16], "data": [0.5] * 16} | changed
    return {name: value for name, value in made.items() if value is not None}


def with_input(**changed: Any) -> bytes:
    return json.dumps({"inputs": [entry(**changed)]}).encode()


MALFORMED = {
    "nothing": (b"", "no JSON"),
    "no json": (b"\x00\xff\x00", "no JSON"),
    "half": (b'{"inputs": [', "no JSON"),
    "a list": (b"[1, 2]", "expected an object"),
    "too deep": (b"[" * 50_000, "nested too deeply"),
    "a long number": (b'{"inputs": ' + b"9" * 6000 + b"}", "no number"),
    "no inputs": (b"{}", "'inputs' is None"),
    "no object": (b'{"inputs": [7]}', "expected an object"),
    "another name": (with_input(name="z"), "there is no input 'z'; the model has: 'x'"),
    "twice": (json.dumps({"inputs": [entry(), entry()]}).encode(), "given twice"),
    "another datatype": (with_input(datatype="INT64"), "expected 'FP32'"),
    "no datatype": (with_input(datatype=None), "expected 'FP32'"),
    "another shape": (with_input(shape=[1, 8], data=[0.5] * 8), "expected [-1, 16]"),
    "no rows": (with_input(shape=[0, 16], data=[]), "no rows"),
    "too many rows": (with_input(shape=[65, 16], data=[0.5] * 65 * 16), "at most 64"),
    "a negative size": (with_input(shape=[-1, 16]), "expected a list of sizes"),
    "a huge size": (with_input(shape=[1 << 60, 1 << 60]), "too large"),
    "a size that is true": (with_input(shape=[True, 16]), "expected a list of sizes"),
    "too few values": (with_input(data=[0.5] * 15), "expected [1, 16]"),
    "ragged": (with_input(data=[[0.5] * 15, [1]]), "of one depth"),
    "texts": (with_input(data=["a"] * 16), "not all of the type"),
    "objects": (with_input(data=[{}] * 16), "not all of the type"),
    "nothing in it": (with_input(data=None), "neither 'data' nor 'binary_data_size'"),
    "shared memory": (
        with_input(data=None, parameters={"shared_memory_region": "r"}), "shared memory is not offered",
    ),
    "both": (with_input(parameters={"binary_data_size": 64}), "both"),
    "an unknown output": (
        json.dumps({"inputs": [entry()], "outputs": [{"name": "q"}]}).encode(), "there is no output 'q'",
    ),
    "a wrong id": (json.dumps({"inputs": [entry()], "id": 7}).encode(), "'id' is 7"),
    "a wrong timeout": (
        json.dumps({"inputs": [entry()], "parameters": {"timeout": -1}}).encode(), "'timeout' is -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(server: Server, case: str) -> None:
    body, sentence = MALFORMED[case]
    status, told = asked(server, request(INFER, body))
    assert (status, [*told]) == (400, ["error"])
    assert sentence in told["error"]


@pytest.mark.parametrize(
    "size, sent, sentence",
    [
        (64, 63, "63 came"),
        (64, 65, "belong to no input"),
        (60, 60, "expected 64"),
        ("7", 64, "expected a size"),
    ],
)
def test_binary_data_of_a_wrong_length(server: Server, size: object, sent: int, sentence: str) -> None:
    head = with_input(data=None, parameters={"binary_data_size": size})
    length = f"Inference-Header-Content-Length: {len(head)}"
    status, told = asked(server, request(INFER, head + bytes(sent), headers=[length]))
    assert status == 400
    assert sentence in told["error"]


@pytest.mark.parametrize("length", ["x", "-1", "99999999", "1" * 5000])
def test_a_wrong_length_of_the_head(server: Server, length: str) -> None:
    status, told = asked(
        server, request(INFER, with_input(), headers=[f"Inference-Header-Content-Length: {length}"])
    )
    assert status == 400
    assert "Inference-Header-Content-Length" in told["error"]


def test_too_large_is_told_before_it_is_read(server: Server) -> None:
    head = request(INFER).replace(b"Content-Length: 0", b"Content-Length: 10000000000")
    status, told = asked(server, head + b"x")
    assert (status, told) == (413, {"error": "the request is larger than 100000 bytes"})


def test_too_large_in_chunks(server: Server) -> None:
    head = request(INFER).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    status, _ = asked(server, head + 40 * chunk)
    assert status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_inflates_too_much(server: Server, encoding: str) -> None:
    bomb = bytes(50_000_000)
    body = gzip.compress(bomb) if encoding == "gzip" else zlib.compress(bomb)
    assert len(body) < 100_000
    before = server.memory_mb()
    status, told = asked(server, request(INFER, body, headers=[f"Content-Encoding: {encoding}"]))
    assert (status, told) == (413, {"error": "the request is larger than 100000 bytes"})
    assert server.memory_mb() < before + 20


@pytest.mark.parametrize(
    "encoding, body, status",
    [
        ("gzip", b"no gzip", 400), ("gzip", gzip.compress(b"x" * 1000)[:-9], 400), ("gzip", b"", 400),
        ("deflate", zlib.compress(b"{}") + b"more", 400), ("br", b"x", 415),
    ],
)  # fmt: skip
def test_damaged_compression(server: Server, encoding: str, body: bytes, status: int) -> None:
    found, told = asked(server, request(INFER, body, headers=[f"Content-Encoding: {encoding}"]))
    assert (found, [*told]) == (status, ["error"])


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", INFER, 405), ("PUT", INFER, 405), ("POST", "/v2", 405), ("DELETE", "/v2/models/m", 405),
        ("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/v2/models/", 404), ("GET", "/v3", 404),
        ("POST", "/v2/models/m/versions/2/infer", 404), ("POST", "/v2/models/%2e%2e%2fx/infer", 404),
        ("GET", "/v2/models/m/config/x", 404), ("POST", "/v2/repository/models/m/unload", 404),
    ],
)  # fmt: skip
def test_wrong_addresses_and_methods(server: Server, method: str, path: str, status: int) -> None:
    found, told = asked(server, request(path, method=method))
    assert (found, [*told]) == (status, ["error"])


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"POST /v2 HTTP/1.1\r\nA\r\n\r\n"],
)
def test_what_is_no_http(server: Server, data: bytes) -> None:
    status, told = asked(server, data)
    assert (status, [*told]) == (400, ["error"])


def test_a_head_without_end(server: Server) -> None:
    status, told = asked(server, b"GET /v2 HTTP/1.1\r\n" + b"A: " + b"b" * 300_000)
    assert status in (400, 431)
    assert [*told] == ["error"]


@pytest.mark.parametrize("piece", [b"GET /v2 HT", request(INFER)[:-2], request(INFER, b"{" * 100)[:-90]])
def test_who_sends_slowly_is_cut(server: Server, piece: bytes) -> None:
    with connected(server) as plain:
        begin = time.monotonic()
        plain.sendall(piece)
        status, _, body = received(plain)
        took = time.monotonic() - begin
    assert (status, json.loads(body)) == (408, {"error": "the request did not come in time"})
    assert 0.5 < took < 5


def test_who_drips_is_cut_as_well(server: Server) -> None:
    with connected(server) as plain:
        plain.sendall(request(INFER, b" " * 1000)[:-999])
        begin = time.monotonic()
        plain.settimeout(0.1)
        while True:
            try:
                data = plain.recv(100)
                break
            except TimeoutError:
                plain.sendall(b" ")
        assert data.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begin < 5


def test_who_says_nothing_is_hung_up_on(server: Server) -> None:
    with connected(server) as plain:
        assert plain.recv(10) == b""


def test_who_only_listens_is_still_answered(server: Server) -> None:
    with connected(server) as plain:
        plain.sendall(request(INFER, infer_body(row())))
        plain.shutdown(socket.SHUT_WR)
        status, _, body = received(plain)
        assert status == 200
        assert json.loads(body)["outputs"][0]["shape"] == [1, 10]
        assert plain.recv(10) == b""


def test_who_stops_in_the_middle_does_no_harm(server: Server) -> None:
    for _ in range(50):
        with connected(server) as plain:
            plain.sendall(request(INFER, infer_body(row()))[:-20])
            plain.shutdown(socket.SHUT_WR)
            assert plain.recv(10) == b""
    assert asked(server, request(INFER, infer_body(row())))[0] == 200


def test_pages_of_a_browser_are_kept_out(server: Server) -> None:
    status, told = asked(server, request("/v2", method="GET", host="evil.example"))
    assert status == 403
    assert "another host" in told["error"]
    with connected(server) as plain:
        plain.sendall(request("/v2", method="GET", headers=["Origin: http://evil.example"]))
        _, headers, _ = received(plain)
    assert not any(name.startswith("access-control") for name in headers)


def test_memory_stays_flat(server: Server) -> None:
    bad = [request(INFER, body) for body, _ in MALFORMED.values() if len(body) < 90_000]
    good = request(INFER, infer_body(row()))

    def ask(rounds: int) -> None:
        for number in range(rounds):
            with connected(server) as plain:
                plain.sendall(good if number % 5 == 0 else bad[number % len(bad)])
                received(plain)

    ask(1500)  # what is used once, and what an allocator keeps
    before = server.memory_mb()
    ask(3000)
    assert server.memory_mb() < before + 8


def test_a_full_line_is_told_at_once(slow: Path) -> None:
    x = np.zeros((1, 128, 128, 16), np.float32)
    head = json.dumps({
        "inputs": [{
            "name": "x", "datatype": "FP32", "shape": list(x.shape),
            "parameters": {"binary_data_size": x.nbytes},
        }],
        "parameters": {"binary_data_output": True},
    }).encode()  # fmt: skip
    length = f"Inference-Header-Content-Length: {len(head)}"
    data = request(INFER, head + x.tobytes(), headers=[length])
    with serving(str(slow), "--name", "m", "--batch", "off", "--queue", "4", "--replicas", "1") as small:
        many = [socket.create_connection(("127.0.0.1", small.port), timeout=30) for _ in range(24)]
        try:
            for plain in many:
                plain.sendall(data)
            answers = [received(plain) for plain in many]
        finally:
            for plain in many:
                plain.close()
        states = [status for status, _, _ in answers]
        assert set(states) == {200, 503}
        assert states.count(200) >= 5
        assert all(int(headers["retry-after"]) >= 1 for status, headers, _ in answers if status == 503)
        metrics = _metrics(small)
        assert metrics['sanderling_requests_total{code="503",model="m"}'] == states.count(503)
        assert metrics['sanderling_requests_total{code="200",model="m"}'] == states.count(200)
        assert metrics['sanderling_queue_rows{model="m"}'] == 0
        assert metrics['sanderling_batch_rows_count{model="m"}'] >= 1
        assert metrics['sanderling_model_seconds_total{model="m"}'] > 0
        assert metrics['sanderling_rejected_requests_total{model="m",reason="full"}'] == states.count(503)


def _metrics(server: Server) -> dict[str, float]:
    with connected(server) as plain:
        plain.sendall(request("/metrics", method="GET"))
        status, headers, body = received(plain)
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
