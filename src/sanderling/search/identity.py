"""What makes two trials the same: hashes of files, samples, recipe, engine and versions."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sanderling.compress.recipe import Recipe
from sanderling.devices.device import Device, Facts
from sanderling.engines import registry
from sanderling.search.bench import USUAL


def file_hash(path: Path) -> str:
    """Returns: SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def versions() -> dict[str, str]:
    """Returns: versions of everything that a measured figure depends on."""
    found: dict[str, str] = {}
    for package in ("sanderling", "ai-edge-litert", "litert-quantizer", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def engine_identity(engine: str, device: Device, facts: Facts) -> str:
    """Returns: an engine, with its version where that is not among ``versions``, and with the device where
    that is not this machine: not by its address, which may change, but by what it is."""
    if device.equipped:
        place = "" if device.local else " on a cluster"  # whose nodes come and go
        return (engine if engine == USUAL else f"{engine} {registry.engine_of(engine).version()}") + place
    known = [facts.cpu, facts.architecture, facts.cores, dict(facts.versions)]
    return f"{engine} on {json.dumps(known, sort_keys=True)}"


def trial_id(model_hash: str, recipe: Recipe, engine: str, threads: int, samples: str, drop: str) -> str:
    """Returns: the trial's identity, 16 hexadecimal digits.

    Args:
        model_hash: hash of the model file.
        recipe: what is done to it.
        engine, threads: how it is run; the engine as ``engine_identity`` tells it.
        samples: fingerprint of the samples.
        drop: how the drop is defined (task and metric).
    """
    parts = [model_hash, recipe.identity(), engine, threads, samples, drop, versions()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
