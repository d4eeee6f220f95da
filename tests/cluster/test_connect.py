"""Joining a cluster: at once where there is one, and one sentence, soon, where there is not."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from benchmarks.local_ray import LocalRay, free_port
from sanderling.cluster import connect
from sanderling.cluster.connect import connected
from sanderling.cluster.nodes import nodes
from sanderling.errors import RunError, UsageError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sanderling[cluster]'")


@pytest.mark.parametrize(
    "address", ["", "here", "host", "host:port", "http://host:1", "host:1/path", "a b:1", "user@host:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="no cluster's address"), connected(address, "x"):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "no-such-host.invalid:{}"])
def test_where_nobody_listens_is_told_at_once(address: str) -> None:
    start = time.monotonic()
    where = address.format(free_port())
    with pytest.raises(RunError, match="no Ray cluster can be joined there") as error, connected(where, "x"):
        pass
    assert where in str(error.value)
    assert time.monotonic() - start < 6


def test_where_something_else_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "JOIN_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        listening = threading.Thread(target=_deaf, args=(server, held), daemon=True)
        listening.start()
        where = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(RunError, match="nothing that speaks Ray within 3 s"), connected(where, "x"):
            pass

        server.shutdown(socket.SHUT_RDWR)
    listening.join()
    for each in held:
        each.close()


def _deaf(server: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(server.accept()[0])
        except OSError:
            return


def test_it_is_joined_and_left_quietly(cluster: LocalRay, capfd: pytest.CaptureFixture[str]) -> None:
    import ray

    for _ in range(2):
        with connected(cluster.address, "x"):
            assert ray.is_initialized()
            assert len({node.name for node in nodes()}) == 2
            assert {node.cpus for node in nodes()} == {1.0}
        assert not ray.is_initialized()
    assert capfd.readouterr() == ("", "")
