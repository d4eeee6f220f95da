"""The verb that chooses a model where none was named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.zoo.suggest import Suggestion


def suggest(
    task: str,
    words: str = "",
    *,
    max_latency_ms: float | None = None,
    max_size_bytes: int | None = None,
    input_size: int | None = None,
    engine: str = "litert",
    threads: int = 1,
    seconds: float = 5.0,
    offline: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Suggestion:
    """Chooses a zoo model for a task by timing those that could do, on this machine.

    Args:
        task: ``classify``, ``detect`` … (see ``sanderling zoo list``).
        words: only models that are about all of these words.
        max_latency_ms, max_size_bytes: limits on a model.
        input_size: the shorter side of the picture that it sees must be at least this many pixels.
        engine, threads: what it is to run on.
        seconds: for timing all of them together.
        offline: choose among what was fetched before.
        tell: is called with lines for people.

    Raises:
        SanderlingError: there is no such task, or an argument is wrong. What keeps a single model from being
            timed is a row's reason.
    """
    from sanderling.engines import registry
    from sanderling.verbs import find
    from sanderling.zoo.choose import Limits
    from sanderling.zoo.suggest import suggest as choose

    return choose(
        task, words, limits=Limits(max_latency_ms, max_size_bytes, input_size),
        engine=find.one_of(engine, registry.names(), "engine"), threads=threads, seconds=seconds,
        offline=offline, find=find.find_zoo_model, tell=tell or _silent,
    )  # fmt: skip


def _silent(line: str) -> None:
    """Tells nobody."""
