"""Where the time of a call goes, on the engines that can tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling import files
from sanderling.engines import registry
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.settings import settings

if TYPE_CHECKING:
    from sanderling.engines.webgpu.profile import Profile

WHY_NOT = {
    "litert": "LiteRT's Python package does not tell the times of single operators",
    "reference": "the reference engine is made to be right, its times say nothing",
}


def profile_model(
    path: Path,
    model: Model,
    *,
    engine: str = "webgpu",
    device: str | int | None = None,
    precision: str = "auto",
    tune: float | None = None,
    rounds: int = 10,
    tell: Callable[[str], None] | None = None,
) -> Profile:
    """Loads a model into an engine and times it piece by piece.

    Args:
        path, model: the file, and what was read from it.
        engine: ``webgpu``, the only one that can tell.
        device, precision: see ``Session``.
        tune: seconds to spend before on choosing kernels; None uses what is known.
        rounds: how often everything is timed.
        tell: is called with lines for people while it tunes.

    Raises:
        UsageError: the engine cannot be profiled, is not available, or an option is wrong.
        ModelError: the engine does not take the model.
    """
    found = registry.find(engine)
    if engine != "webgpu":
        why = WHY_NOT.get(engine, "it does not tell the times of single operators")
        raise UsageError(
            f"engine {engine} cannot be profiled: {why}", where="--engine",
            hint="profile with --engine webgpu, or time the whole model with sanderling bench",
        )  # fmt: skip
    ready = found.available()
    if not ready:
        raise UsageError(f"engine {engine} cannot be used here: {ready.reason}")
    from sanderling.engines.webgpu.engine import load
    from sanderling.engines.webgpu.profile import profile

    wishes = {"device": device, "precision": precision, "tune": tune}
    options = {name: value for name, value in wishes.items() if value is not None}
    runner = load(path, model, options=options, tell=tell)
    try:
        return profile(runner, rounds=rounds)
    finally:
        runner.close()


def write_trace(profile: Profile, path: Path | None) -> Path | None:
    """Writes a trace for Perfetto to ``path``, else to what ``SANDERLING_TRACE`` names.

    Returns: the file; None where none was wished for.

    Raises:
        UsageError: it cannot be written.
    """
    target = path or settings().trace
    if target is None:
        return None
    try:
        files.write_text(target, json.dumps(profile.trace(), indent=1))
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", where=str(target)) from None
    return target
