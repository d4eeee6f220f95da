"""What a device is: something that starts workers, and can say what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sanderling.isolation.client import Worker


@dataclass(frozen=True, slots=True)
class Facts:
    """What a device says of itself.

    Attributes:
        cpu, architecture, system: in words.
        cores: processors that a process may use there; may be a fraction.
        versions: package → version, of what figures depend on.
        notes: what makes figures less trustworthy there: a governor that saves power, heat.
    """

    cpu: str
    architecture: str
    system: str
    cores: float
    python: str = ""
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "cpu": self.cpu,
            "architecture": self.architecture,
            "system": self.system,
            "cores": self.cores,
            "python": self.python,
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Facts:
        """Reads what ``to_json`` wrote."""
        return cls(**{**value, "notes": tuple(value["notes"])})


class Device(Protocol):
    """Something that models can be timed on.

    Attributes:
        name: as people write it: ``local``, ``ssh://pi@host``.
        local: it is this machine.
        equipped: it has all that this machine has: every engine, and what makes candidates.
    """

    name: str
    local: bool
    equipped: bool

    def worker(self, name: str) -> Worker:
        """Returns: a worker there, which starts at its first call. Models are given to it as paths (of type
        ``Path``) of this machine."""

    def facts(self) -> Facts:
        """Returns: what it is. Asked once.

        Raises:
            DeviceError: it cannot be reached, or cannot run models.
        """

    def close(self) -> None:
        """Removes what was copied for this run."""
