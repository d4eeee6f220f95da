"""Who runs a trial: a process of a machine, so that others can tell whether it still does."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_MACHINE_ID = Path("/etc/machine-id")  # copies of a machine may share its name


@dataclass(frozen=True, slots=True)
class Owner:
    """A process.

    Attributes:
        host: the machine.
        pid: process id there.
        started: when it started, in the system's own count; "" where that does not tell.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Owner:
        """Returns: this process."""
        return cls(_host(), os.getpid(), _started(os.getpid()))

    def is_gone(self) -> bool:
        """Returns: whether it is a process of this machine that has ended. Of another machine: False."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # somebody else's: it is there
        return self.started != _started(self.pid)

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Owner:
        """Reads what ``to_json`` wrote."""
        return cls(str(value["host"]), int(value["pid"]), str(value["started"]))


def _host() -> str:
    machine = _MACHINE_ID.read_text().strip() if _MACHINE_ID.is_file() else ""
    return f"{socket.gethostname()} {machine}".strip()


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5), counted from behind the name
