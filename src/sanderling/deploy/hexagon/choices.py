"""What the user may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.errors import UsageError

# Version of the Hexagon's tensor processor → processors that have it.
ARCHITECTURES: Mapping[str, str] = {
    "68": "Snapdragon 888",
    "69": "8 Gen 1",
    "73": "8 Gen 2, X Elite",
    "75": "8 Gen 3",
    "79": "8 Elite",
    "81": "8 Elite Gen 5",
}
USUAL = "73"
EMULATORS = ("qnn", "none")


@dataclass(frozen=True, slots=True)
class Choices:
    """What is compiled for, and whether it is tried.

    Attributes:
        arch: one of ``ARCHITECTURES``.
        emulator: one of ``EMULATORS``.
    """

    arch: str = USUAL
    emulator: str = "qnn"

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Choices:
        """Reads what was given.

        Raises:
            UsageError: a value is none of those that there are.
        """
        found = cls(**{name: options[name] for name in ("arch", "emulator") if name in options})
        for name, value, known in (
            ("arch", found.arch, ARCHITECTURES), ("emulator", found.emulator, EMULATORS),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"got {value!r}", where=name, hint=f"it is one of: {', '.join(known)}")
        return found
