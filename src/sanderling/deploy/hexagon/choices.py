"""What the user may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.errors import UsageError


@dataclass(frozen=True, slots=True)
class Chip:
    """A processor with a Hexagon.

    Attributes:
        told: for people.
        number: Qualcomm's, which QNN takes.
        version: of the Hexagon's tensor processor.
        floats: it computes floats, in 16 bits.
    """

    told: str
    number: int
    version: int
    floats: bool = True


CHIPS: Mapping[str, Chip] = {
    "sm8350": Chip("Snapdragon 888", 30, 68, floats=False),
    "sm8450": Chip("Snapdragon 8 Gen 1", 36, 69),
    "sm8550": Chip("Snapdragon 8 Gen 2", 43, 73),
    "sc8380xp": Chip("Snapdragon X Elite", 60, 73),
    "sm8650": Chip("Snapdragon 8 Gen 3", 57, 75),
    "sm8750": Chip("Snapdragon 8 Elite", 69, 79),
    "sm8850": Chip("Snapdragon 8 Elite Gen 5", 87, 81),
}
USUAL = "sm8550"
EMULATORS = ("qnn", "none")


@dataclass(frozen=True, slots=True)
class Choices:
    """What is compiled for, and whether it is tried.

    Attributes:
        chip: one of ``CHIPS``.
        emulator: one of ``EMULATORS``.
    """

    chip: str = USUAL
    emulator: str = "qnn"

    @property
    def of_chip(self) -> Chip:
        """All of the chip."""
        return CHIPS[self.chip]

    @property
    def told(self) -> str:
        """The Hexagon, for people."""
        return f"Hexagon v{self.of_chip.version} ({self.of_chip.told})"

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Choices:
        """Reads what was given.

        Raises:
            UsageError: a value is none of those that there are.
        """
        found = cls(**{name: options[name] for name in ("chip", "emulator") if name in options})
        for name, value, known in (("chip", found.chip, CHIPS), ("emulator", found.emulator, EMULATORS)):
            if value not in known:
                raise UsageError(f"got {value!r}", where=name, hint=f"it is one of: {', '.join(known)}")
        return found
