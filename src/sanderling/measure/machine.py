"""What figures were measured on, and with which versions: they mean nothing without it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sanderling.devices.device import Facts
from sanderling.engines import registry


def machine(engines: Iterable[str]) -> dict[str, Any]:
    """Describes this machine.

    Args:
        engines: the engines and variants whose versions matter.

    Returns: ``{"cpu", "cores", "os", "python", "date", "versions"}``, JSON values.
    """
    from importlib.metadata import version

    from sanderling.runtime.doctor import examine_cpu

    cpu = examine_cpu()
    versions = {"sanderling": version("sanderling")}
    for name in sorted({each.partition(":")[0] for each in engines}):
        engine = registry.find(name)
        versions[name] = engine.version() if engine.available() else "not installed"
    return {
        "cpu": cpu.name,
        "cores": cpu.usable,
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": versions,
    }


def elsewhere(name: str, facts: Facts) -> dict[str, Any]:
    """Describes another device. Returns: as ``machine``."""
    from importlib.metadata import version

    return {
        "cpu": f"{name}: {facts.cpu}",
        "cores": facts.cores,
        "os": facts.system,
        "python": facts.python,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {"sanderling": version("sanderling"), **facts.versions},
    }
