"""A Ray cluster of several nodes on one machine, for tests and benchmarks; nodes of it can be killed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

READY_SECONDS = 60.0
_RAY = Path(sys.executable).with_name("ray")
_OBJECTS = 100_000_000  # bytes of a node's object store
_NODE = ["--num-cpus=1", f"--object-store-memory={_OBJECTS}", "--disable-usage-stats", "--block"]
_PORTS = [
    "--min-worker-port=0",
    "--max-worker-port=0",
    "--dashboard-agent-listen-port=0",
    "--metrics-export-port=0",
]


def free_port() -> int:
    """Returns: a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(eq=False)
class LocalNode:
    """A running ``ray start``, and all that it started."""

    process: subprocess.Popen[bytes]
    log: Path
    id: str = ""

    def processes(self) -> list[int]:
        """Returns: process ids of the node: raylet, agents, workers, and what those started."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found

    def kill(self) -> list[int]:
        """Kills everything of it, as a power cut would. Returns: the ids that it had."""
        had = self.processes()
        for pid in had:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        return had


@dataclass(eq=False)
class LocalRay:
    """A cluster: its head, which measures too, and further nodes.

    Args:
        nodes: how many, the head included.
        environment: of all nodes, beside this process's.
    """

    nodes: int = 2
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Sockets lie in it, whose paths may have 107 characters.
        self.folder = Path("/tmp") / f"sd-ray-{secrets.token_hex(3)}"
        self.port, self.client_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.running: list[LocalNode] = []

    def __enter__(self) -> Self:
        try:
            self._start(
                "--head", f"--port={self.port}", f"--temp-dir={self.folder}", "--include-dashboard=false",
                f"--ray-client-server-port={self.client_port}",
            )  # fmt: skip
            for _ in range(self.nodes - 1):
                self.add()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(self) -> LocalNode:
        """Starts another node. Returns: it, when it belongs to the cluster."""
        return self._start(f"--address={self.address}")

    def stop(self) -> None:
        """Ends this cluster, and no other."""
        for node in reversed(self.running):
            node.kill()
        self.running.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *how: str) -> LocalNode:
        log = self.folder.with_name(f"{self.folder.name}-{len(self.running)}.log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [str(_RAY), "start", *how, *_NODE, *_PORTS],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", **self.environment},
            )
        node = LocalNode(process, log)
        self.running.append(node)
        until = time.monotonic() + READY_SECONDS
        while "Ray runtime started." not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"ray start failed: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        log.unlink()
        return node


def left_running(pids: list[int], seconds: float = 0.0) -> list[int]:
    """Returns: those of some processes that still run after so many seconds."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)]:
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    return left


def _is_zombie(pid: int) -> bool:
    try:
        return bool(re.search(r"\) Z ", Path(f"/proc/{pid}/stat").read_text()))
    except OSError:
        return True
