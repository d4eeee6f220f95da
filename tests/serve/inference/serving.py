"""A server in a process of its own, and what is sent to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
_START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import sys; from sanderling.cli import main; sys.exit(main())"
)


@dataclass
class Server:
    """One that runs.

    Attributes:
        told: its JSON document.
    """

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @property
    def port(self) -> int:
        return int(self.told["url"].rpartition(":")[2])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(40)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", _START, "serve", *arguments]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")}


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """Runs ``sanderling serve`` with these arguments."""
    process = subprocess.Popen(
        command(*arguments, "--port", "0", "--engine", "litert", "--json"),
        stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        yield Server(process, json.loads(_document(process)))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _document(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            return "".join(lines)
    raise AssertionError(f"the server ended with {process.wait()}: {''.join(lines)}")


@contextmanager
def connected(server: Server, timeout: float = 20.0) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as plain:
        yield plain


def received(plain: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Reads one answer: its status, headers in lower case, and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = plain.recv(65536)
        assert piece, f"the connection ended after {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        piece = plain.recv(65536)
        assert piece, "the body ended too soon"
        body += piece
    return int(first.split()[1]), headers, body


def request(
    path: str, body: bytes = b"", method: str = "POST", headers: Sequence[str] = (), host: str = "localhost"
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def asked(server: Server, data: bytes) -> tuple[int, dict[str, Any]]:
    """Sends bytes, and reads one answer of JSON."""
    with connected(server) as plain:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            plain.sendall(data)
        status, _, body = received(plain)
    return status, json.loads(body)


def row(seed: int = 0, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, width)).astype(np.float32)


def infer_body(values: np.ndarray, name: str = "x") -> bytes:
    """An inference request in JSON."""
    entry = {"name": name, "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}
    return json.dumps({"inputs": [entry]}).encode()


def wait_until(what: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
