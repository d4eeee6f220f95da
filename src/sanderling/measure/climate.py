"""The processor's clock and temperature, where the system tells."""

from __future__ import annotations

import re
from pathlib import Path

_CPU_ZONES = ("x86_pkg_temp", "cpu", "soc", "tcpu", "package")
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def megahertz(root: Path = Path("/")) -> float | None:
    """Returns: the cores' clock now, their mean in MHz; None where the system does not tell."""
    files = root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    clocks = [value / 1e3 for file in files if (value := _number(file)) is not None]
    if not clocks:
        try:
            text = (root / "proc/cpuinfo").read_text()
        except OSError:
            return None
        clocks = [float(value) for value in re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", text, re.MULTILINE)]
    return sum(clocks) / len(clocks) if clocks else None


def celsius(root: Path = Path("/")) -> float | None:
    """Returns: the processor's temperature now, its hottest sensor; None where the system does not tell."""
    zones = root.glob("sys/class/thermal/thermal_zone*")
    ours = (zone for zone in zones if any(part in _text(zone / "type").lower() for part in _CPU_ZONES))
    found = [_number(zone / "temp") for zone in ours]
    for sensor in root.glob("sys/class/hwmon/hwmon*"):
        if _text(sensor / "name") in _CPU_SENSORS:
            found += [_number(file) for file in sensor.glob("temp*_input")]
    known = [value / 1e3 for value in found if value is not None and value > 0]
    return max(known, default=None)


def _number(file: Path) -> float | None:
    try:
        return float(_text(file))
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
