"""RAPL: the energy counters of Intel's and AMD's processors, as Linux shows them.

Source: Documentation/power/powercap/powercap.rst of the Linux kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sanderling.errors import MeterError
from sanderling.measure.energy.meter import Meter

_READABLE = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj (until the next start)"


@dataclass(slots=True)
class _Domain:
    """A counter of microjoules that begins again at 0 after ``most``."""

    name: str
    file: Path
    most: int
    last: int = 0
    counted: int = 0

    def read(self) -> int:
        """Returns: microjoules since the first look."""
        now = _number(self.file)
        step = now - self.last
        self.counted += step if step >= 0 else step + self.most
        self.last = now
        return self.counted


class Rapl:
    """The packages of this machine, and memory where it is counted apart.

    A package's counter holds that of its cores and its graphics, which are shown below it as well; memory
    (``dram``) is shown below it and is not in it. ``psys`` holds all of them and more, on some laptops: it is
    left out, so that figures of different machines mean the same.
    """

    counts_cpu = True

    def __init__(self, domains: list[_Domain]) -> None:
        self._domains = domains
        self.name = f"RAPL: {', '.join(domain.name for domain in domains)}"

    def joules(self) -> float:
        """Returns: joules of all domains since it was made."""
        return sum(domain.read() for domain in self._domains) / 1e6

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_rapl(root: Path) -> Meter | str:
    """Looks for RAPL's domains.

    Args:
        root: ``/sys/class/powercap``, or a copy of it.

    Returns: the meter, or why there is none.
    """
    try:
        zones = sorted(zone for zone in root.glob("intel-rapl:*") if zone.is_dir())
    except OSError as error:
        return f"RAPL: {root} cannot be read ({error.strerror})"
    if not zones:
        return f"RAPL: {root} shows no domains, so the processor, its driver or the container has none"
    domains: list[_Domain] = []
    refused = ""
    for zone in zones:
        try:
            name = (zone / "name").read_text().strip()
            if not _counts(zone.name, name):
                continue
            domains.append(_domain(zone, name))
        except PermissionError:
            refused = f"RAPL: {zone.name}/energy_uj may only be read by root; allow it: {_READABLE}"
        except (OSError, ValueError, MeterError) as error:
            return f"RAPL: {zone.name} cannot be read ({error})"
    if refused:  # with a part missing, the sum would be too low
        return refused
    return Rapl(domains) if domains else f"RAPL: {root} shows no package"


def _counts(zone: str, name: str) -> bool:
    """Returns: whether a zone (``intel-rapl:0``, or ``intel-rapl:0:1`` in it) is a part of the sum."""
    return name.startswith("package") if zone.count(":") == 1 else name == "dram"


def _domain(zone: Path, name: str) -> _Domain:
    most = _number(zone / "max_energy_range_uj")
    if zone.name.count(":") == 2:
        name = f"{name} of {(zone.parent / zone.name.rpartition(':')[0] / 'name').read_text().strip()}"
    domain = _Domain(name, zone / "energy_uj", most)
    domain.last = _number(domain.file)
    return domain


def _number(file: Path) -> int:
    try:
        text = file.read_text().strip()
    except PermissionError:
        raise
    except OSError as error:
        raise MeterError(f"the energy counter cannot be read ({error.strerror})", where=str(file)) from None
    if not text.isascii() or not text.isdigit():
        raise MeterError(f"the energy counter reads {text[:40]!r}, expected a number", where=str(file))
    return int(text)
