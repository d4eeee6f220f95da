"""A machine reached by the system's ``ssh``: its own Python with ai-edge-litert, and our package copied."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sanderling.devices import package
from sanderling.devices.device import Facts
from sanderling.devices.remote import PipedWorker
from sanderling.errors import DeviceError, UsageError
from sanderling.isolation.client import Worker

FAILED = 255  # the exit code of ssh when it is the connection that failed
CONNECT_SECONDS, COPY_SECONDS = 30, 300
_NAME = re.compile(r"[A-Za-z0-9_.@:%\[\]-]+")
_OPTIONS = ("python", "config")
# Also understood by old versions of Python, which are told apart by it.
_PROBE = """
import json, os, sys
found = {"version": list(sys.version_info[:2]), "executable": sys.executable}
try:
    import numpy, ai_edge_litert
    found["litert"] = True
except ImportError as error:
    found["litert"] = False
    found["why"] = str(error)
cache = os.environ.get("SANDERLING_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "sanderling")
found["folder"] = os.path.join(cache, "worker-%s")
found["there"] = os.path.exists(os.path.join(found["folder"], "complete"))
print(json.dumps(found))
"""
_UNPACK = """
import io, os, sys, tarfile, tempfile
folder = sys.argv[1]
os.makedirs(os.path.dirname(folder), exist_ok=True)
place = tempfile.mkdtemp(dir=os.path.dirname(folder))
with tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode="r:gz") as archive:
    archive.extractall(place)
open(os.path.join(place, "complete"), "w").close()
try:
    os.rename(place, folder)
except OSError:
    if not os.path.exists(os.path.join(folder, "complete")):
        raise
"""
_SERVE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from sanderling.isolation.worker import main; main(None)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to.

    Attributes:
        target: ``user@host`` or a name from ssh's configuration.
        port: None takes ssh's own.
        python: the Python to use there.
        config: another configuration file for ssh, "" for the user's.
    """

    target: str
    port: int | None = None
    python: str = "python3"
    config: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads ``ssh://user@host:port?python=/usr/bin/python3.11&config=FILE``.

        Raises:
            UsageError: it is none.
        """
        example = "write it like ssh://pi@raspberrypi.local"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"the device {text!r} is no address ({error})", hint=example) from None
        target = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
        given = dict(parse_qsl(parts.query))
        unknown = sorted(set(given) - set(_OPTIONS))
        if unknown:
            raise UsageError(f"ssh devices have no option {unknown[0]!r}", hint="python=… and config=…")
        if parts.scheme != "ssh" or not _NAME.fullmatch(target) or target.startswith("-") or parts.password:
            raise UsageError(f"the device {text!r} is no address", hint=example)
        if parts.path not in ("", "/") or parts.fragment:
            raise UsageError(f"the device {text!r} has a path, which means nothing here", hint=example)
        return cls(target, port, given.get("python", "python3"), given.get("config", ""))

    @property
    def command(self) -> str:
        """What people type to log in."""
        options = [
            *(["-F", self.config] if self.config else []),
            *(["-p", str(self.port)] if self.port else []),
        ]
        return shlex.join(["ssh", *options, self.target])

    def __str__(self) -> str:
        return f"ssh://{self.target}" + (f":{self.port}" if self.port else "")


class Ssh:
    """A machine reached by SSH.

    Args:
        text: its address (see ``Address.parse``).

    Raises:
        UsageError: it is no address.
        DeviceError: there is no ``ssh`` on this machine.
    """

    local, equipped = False, False

    def __init__(self, text: str) -> None:
        self._address = Address.parse(text)
        self.name = str(self._address)
        if shutil.which("ssh") is None:
            raise DeviceError("there is no ssh program on this machine", hint="install OpenSSH's client")

    def worker(self, name: str) -> Worker:
        """Returns: a worker there."""
        return PipedWorker(name=name, device=self.name, command=self._command, failure=FAILED)

    def facts(self) -> Facts:
        """Returns: what the machine is.

        Raises:
            DeviceError: it cannot be reached, has no Python that fits, or no ai-edge-litert.
        """
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        with self.worker("device") as worker:
            found = worker.call("sanderling.devices.facts:collect", timeout=60.0, doing="asking what it is")
        return Facts.from_json(found)

    @cached_property
    def _folder(self) -> str:
        """The folder of our package there, copied if need be."""
        found = self._probed()
        if tuple(found["version"]) < (3, 11):
            version = ".".join(map(str, found["version"]))
            raise self._error(
                f"its {self._address.python} is Python {version}, expected 3.11 or newer",
                f"name another one: {self.name}?python=/usr/bin/python3.11",
            )
        if not found["litert"]:
            pip = f"{self._address.command} {found['executable']} -m pip install ai-edge-litert"
            raise self._error(f"its Python has no ai-edge-litert ({found['why']})", f"run: {pip}")
        folder = str(found["folder"])
        if not found["there"]:
            archive = package.packed().archive
            self._run(
                [self._address.python, "-c", _UNPACK, folder], archive, COPY_SECONDS, "copying our worker"
            )
        return folder

    def _probed(self) -> dict[str, Any]:
        script = _PROBE % package.packed().digest
        told = self._run([self._address.python, "-c", script], b"", CONNECT_SECONDS, "looking for Python")
        try:
            found: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise self._error(f"its Python answered {told.strip()[:200]!r}", "log in and see") from None
        return found

    def _run(self, words: Sequence[str], data: bytes, seconds: float, doing: str) -> str:
        """Runs a command there. Returns: what it printed."""
        command = self._ssh(words)
        try:
            done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise self._error(
                f"{doing} took more than {seconds:g} s", "is it switched on?", away=True
            ) from None
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1].strip()
        if done.returncode == FAILED:
            raise self._error(
                f"it cannot be reached ({last[:200]})",
                f"this must work without a password: {self._address.command} true",
                away=True,
            )
        if done.returncode == 127:
            raise self._error(
                f"it has no {self._address.python}", f"name one: {self.name}?python=/path/to/python3"
            )
        if done.returncode:
            raise self._error(f"{doing} failed ({last[:200]})", "log in and see")
        return done.stdout.decode("utf-8", "replace")

    def _command(self) -> list[str]:
        return self._ssh([self._address.python, "-P", "-u", "-c", _SERVE, self._folder])

    def _ssh(self, words: Sequence[str]) -> list[str]:
        """Returns: the command that runs words there. A shell stays in between: ssh itself tells a crash
        from a lost connection by nothing."""
        address = self._address
        config = ["-F", address.config] if address.config else []
        port = ["-p", str(address.port)] if address.port else []
        alive = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=10"]
        script = f"{' '.join(map(_quoted, words))}; exit $?"
        return [
            "ssh", "-T", "-o", "BatchMode=yes", *config, *alive, *port, address.target, "--",
            f"sh -c {shlex.quote(script)}",  # the user's own shell may be fish
        ]  # fmt: skip

    def _error(self, what: str, hint: str, *, away: bool = False) -> DeviceError:
        error = DeviceError(what, where=self.name, hint=hint)
        error.away = away
        return error

    def close(self) -> None:
        """Nothing is left to do: a worker's folder there goes with it."""


def _quoted(word: str) -> str:
    """Returns: a word for a shell, which still takes ``~/`` for the home folder there."""
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") else shlex.quote(word)
