"""This machine."""

from __future__ import annotations

from pathlib import Path

from sanderling.devices.device import Facts
from sanderling.devices.facts import collect
from sanderling.isolation.client import Worker


class Local:
    """This machine: workers are processes of it.

    Args:
        folder: where workers' temporary files go; None leaves that to the system.
    """

    name = "local"
    local, equipped = True, True

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def worker(self, name: str) -> Worker:
        """Returns: a process of this machine."""
        return Worker(name=name, folder=self._folder)

    def facts(self) -> Facts:
        """Returns: what this machine is."""
        return Facts.from_json(collect())

    def close(self) -> None:
        """Nothing was copied."""


LOCAL = Local()
