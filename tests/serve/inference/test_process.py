"""The command as a process: how it starts, whom it lets in, and how it ends."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from tests.runtime.test_cascade_file import cascade
from tests.serve.inference.serving import (
    asked,
    command,
    connected,
    environment,
    infer_body,
    received,
    request,
    row,
    serving,
    wait_until,
)

INFER = "/v2/models/m/infer"


def slow_request() -> bytes:
    x = np.zeros((1, 128, 128, 16), np.float32)
    entry = {
        "name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes},
    }  # fmt: skip
    head = json.dumps({"inputs": [entry]}).encode()
    return request(INFER, head + x.tobytes(), headers=[f"Inference-Header-Content-Length: {len(head)}"])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_end_answers_all_that_wait(slow: Path, how: int) -> None:
    with serving(str(slow), "--name", "m", "--batch", "off", "--replicas", "1") as server:
        data = slow_request()
        many = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(50)]
        senders = [threading.Thread(target=plain.sendall, args=(data,)) for plain in many]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        time.sleep(0.05)
        server.process.send_signal(how)
        answers = [received(plain) for plain in many]
        assert [status for status, _, _ in answers] == [200] * 50
        assert server.process.wait(30) == 0
        for plain in many:
            plain.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_it_is_not_ready_while_it_ends(slow: Path) -> None:
    with serving(str(slow), "--name", "m", "--batch", "off", "--replicas", "1") as server:
        with connected(server) as probe, connected(server) as plain:
            for _ in range(40):
                plain.sendall(slow_request())  # pipelined: they wait for each other
            probe.sendall(request("/v2/health/ready", method="GET"))
            assert received(probe)[0] == 200
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: _ready(probe) == 503, 5)
        assert server.process.wait(30) == 0


def _ready(probe: socket.socket) -> int:
    probe.sendall(request("/v2/health/ready", method="GET"))
    return received(probe)[0]


def test_the_start_line_tells_all(dense: Path) -> None:
    process = subprocess.Popen(
        command(str(dense), "--port", "0", "--engine", "litert", "--batch", "off"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "/v2/models/dense  litert, " in line
        assert line.rstrip().endswith("one by one: as asked")
        assert "127.0.0.1" in line
    finally:
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert (process.returncode, rest, said) == (0, "", "")


def test_several_models_by_name(dense: Path, slow: Path) -> None:
    with serving(str(dense), str(slow), "--name", "a", "--name", "b", "--batch", "off") as server:
        assert [model["name"] for model in server.told["models"]] == ["a", "b"]
        for name, shape in (("a", [-1, 16]), ("b", [-1, 128, 128, 16])):
            told = asked(server, request(f"/v2/models/{name}", method="GET"))[1]
            assert told["inputs"][0]["shape"] == shape


def test_others_need_the_token(dense: Path) -> None:
    options = ("--host", "0.0.0.0", "--token", "", "--batch", "off")  # as of a variable that is not set
    with serving(str(dense), "--name", "m", *options) as server:
        token = server.told["token"]
        assert len(token) >= 32
        body = infer_body(row())
        for wrong in ("Bearer wrong", f"Basic {token}", "é", ""):
            status, told = asked(server, request(INFER, body, headers=[f"Authorization: {wrong}"]))
            assert (status, told) == (401, {"error": "the token is missing or wrong"})
        assert asked(server, request("/metrics", method="GET"))[0] == 401
        assert asked(server, request("/v2/health/ready", method="GET"))[0] == 200
        allowed = [f"Authorization: Bearer {token}"]
        assert asked(server, request(INFER, body, headers=allowed, host="a.name"))[0] == 200


def test_https(dense: Path) -> None:
    with serving(str(dense), "--name", "m", "--tls", "--batch", "off") as server:
        assert server.told["url"].startswith("https://")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with connected(server) as plain, context.wrap_socket(plain) as safe:
            safe.sendall(request(INFER, infer_body(row())))
            assert received(safe)[0] == 200
            certificate = safe.getpeercert(binary_form=True)
        assert certificate is not None
        shown = hashlib.sha256(certificate).hexdigest().upper()
        assert server.told["fingerprint"].replace(":", "") == shown


def failed(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_port_that_is_taken(dense: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = failed(str(dense), "--port", str(port))
    assert (code, said) == (2, f"error: --port: port {port} is taken; give another, 0 for any that is free\n")


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (["nowhere.tflite"], 1, "there is no such file or zoo model"),
        (["digits", "--batch", "many"], 2, "expected auto, off or a number of rows"),
        (["digits", "--name", "a/b"], 2, "cannot stand in an address"),
        (["digits", "--name", "a", "--name", "b"], 2, "got 2 names for 1 models"),
        (["digits", "digits"], 2, "is the name of two models"),
        (["digits", "--host", "203.0.113.7"], 2, "is no address of this machine"),
        (["digits", "--max-request", "much"], 2, "--max-request"),
        (["digits", "--token", "é"], 2, "holds what a header cannot"),
    ],
)
def test_what_cannot_be_served(arguments: list[str], code: int, sentence: str) -> None:
    found, said = failed(*arguments, "--engine", "litert", "--port", "0")
    assert found == code, said
    assert sentence in said
    assert "Traceback" not in said


def test_models_that_keep_a_state_are_refused(zoo_dir: Path) -> None:
    code, said = failed(
        str(zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"), "--engine", "litert", "--port", "0"
    )
    assert code == 1
    assert "keeps a state from one call to the next" in said


def test_a_cascade_is_served_as_one_model(tmp_path: Path) -> None:
    recipe = cascade(tmp_path)
    with sd.Session(recipe) as session, serving(str(recipe), "--name", "m", "--replicas", "2") as server:
        how = server.told["models"][0]
        assert how["batching"]["largest"] == 1
        assert "cascade" in how["batching"]["reason"]
        port = session.inputs[0]
        for seed in range(20):
            x = np.random.default_rng(seed).standard_normal(port.type.shape).astype(np.float32)
            entry = {
                "name": port.name,
                "datatype": "FP32",
                "shape": list(x.shape),
                "data": x.ravel().tolist(),
            }
            status, told = asked(server, request(INFER, json.dumps({"inputs": [entry]}).encode()))
            assert status == 200, told
            np.testing.assert_allclose(told["outputs"][0]["data"], session(x).ravel(), rtol=0, atol=1e-6)
