"""A machine to connect to: this one, by an ssh daemon of our own, with a Python that may use one core."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DAEMON = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass
class Machine:
    """An ssh daemon.

    Attributes:
        folder: its files.
        port: where it listens on the loopback.
    """

    folder: Path
    port: int
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ssh://pi?config={self.folder / 'client'}&python={self.folder / 'python'}"

    def start(self) -> None:
        """Starts the daemon, and waits until it listens."""
        self.daemon = subprocess.Popen(
            [DAEMON, "-D", "-f", self.folder / "daemon", "-E", self.folder / "log"]
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def drop(self) -> int:
        """Breaks all connections off. Returns: how many."""
        assert self.daemon is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self.daemon.pid)], capture_output=True, text=True, check=False
        )
        children = [int(pid) for pid in found.stdout.split()]
        for child in children:
            os.kill(child, signal.SIGKILL)
        return len(children)

    def stop(self) -> None:
        """Switches the machine off."""
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGSTOP)  # alive while its children are looked for
            self.drop()
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An ssh daemon's files: keys and configurations of its own, for this user."""
    if not Path(DAEMON).exists() or shutil.which("ssh") is None:
        pytest.skip("there is no ssh daemon here: install openssh-server")
    folder = tmp_path_factory.mktemp("machine")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "daemon").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"UsePAM no\nStrictModes no\nPidFile {folder}/pid\nPasswordAuthentication no\n"
        f"SetEnv SANDERLING_CACHE={folder}/cache\n"
    )
    (folder / "client").write_text(
        f"Host pi\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder}/user\n  UserKnownHostsFile {folder}/known\n"
        "  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec taskset -c 0 {sys.executable} "$@"\n')
    python.chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where the daemon puts its unprivileged half
    return Machine(folder, port)


@pytest.fixture
def machine(installed: Machine) -> Iterator[Machine]:
    """The machine, switched on."""
    installed.start()
    yield installed
    installed.stop()
