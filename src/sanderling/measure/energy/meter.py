"""What a meter of energy is, and which one this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

POWERCAP = Path("/sys/class/powercap")


class Meter(AbstractContextManager["Meter"], Protocol):
    """Counts joules from when it was made.

    Attributes:
        name: what measures, and what of: ``RAPL: package-0, dram``.
        counts_cpu: what the processor draws is among it.
    """

    name: str
    counts_cpu: bool

    def joules(self) -> float:
        """Returns: joules so far, never less than before. To be asked at least once a minute.

        Raises:
            MeterError: it no longer tells.
        """

    def close(self) -> None:
        """Lets go of it."""


class Together:
    """Several meters of different parts of a machine as one."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = tuple(meters)
        self.name = "; ".join(meter.name for meter in meters)
        self.counts_cpu = any(meter.counts_cpu for meter in meters)

    def joules(self) -> float:
        """Returns: the sum of what all count."""
        return sum(meter.joules() for meter in self._meters)

    def close(self) -> None:
        """Lets go of all."""
        for meter in self._meters:
            meter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_meter(command: str | None = None, powercap: Path = POWERCAP) -> tuple[Meter | None, str]:
    """Finds what measures energy here.

    Args:
        command: a program that prints watts, a number a line, while it runs; it then is the only meter.
        powercap: where the kernel shows RAPL's domains.

    Returns: the meter, and ""; or None, and why there is none.

    Raises:
        MeterError: the program cannot be started, or prints no watts.
    """
    from sanderling.measure.energy.command import PowerMeter
    from sanderling.measure.energy.nvml import find_nvml
    from sanderling.measure.energy.rapl import find_rapl

    if command is not None:
        return PowerMeter(command), ""
    found: list[Meter] = []
    missing: list[str] = []
    for each in (find_rapl(powercap), find_nvml()):
        if isinstance(each, str):
            missing.append(each)
        else:
            found.append(each)
    if not found:
        return None, f"no meter was found ({'; '.join(missing)})"
    return (found[0] if len(found) == 1 else Together(found)), ""
