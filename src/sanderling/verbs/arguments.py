"""What a caller may pass to the verbs, with one sentence for each way in which it can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.compress.recipe import Recipe
    from sanderling.search.budget import Budget
    from sanderling.search.database import Database

MOST_THREADS = 1024
_MOST_MINUTES = 1e5
_STRENGTH, _STRONGEST = 0.01, 100.0  # of a regularizer: as ``compress.prune`` has them


def passes(names: Sequence[str]) -> tuple[str, ...]:
    """Returns: the names of passes, each of which exists."""
    from sanderling.passes import find

    return tuple(find(name).name for name in names)


def recipe(given: str | Path | Recipe | None, resume: bool) -> Recipe | None:
    """Returns: the recipe of a file or as given, None for none."""
    from sanderling.search.artifacts import read_recipe

    if given is not None and resume:
        raise UsageError("a recipe is applied as it is: there is no search to resume", where="recipe")
    return read_recipe(Path(given)) if isinstance(given, str | Path) else given


def at_least_one(threads: int | None) -> int | None:
    """Returns: a thread count that makes sense, None for none told."""
    if threads is not None and threads < 1:
        raise UsageError(f"got {threads}, expected at least 1", where="threads")
    if threads is not None and threads > MOST_THREADS:
        raise UsageError(f"got {threads}, expected at most {MOST_THREADS}", where="threads")
    return threads


def not_negative(seed: int) -> int:
    """Returns: a seed."""
    if seed < 0:
        raise UsageError(f"got {seed}, expected 0 or more", where="seed")
    return seed


def minutes(training: float | None) -> float | None:
    """Returns: minutes of training, None for none told."""
    if training is not None and not 0 <= training <= _MOST_MINUTES:
        raise UsageError(f"got {training}, expected minutes, or 0 for none", where="training")
    return training


def regularizer(text: str | None) -> tuple[str, float] | None:
    """Reads ``l1`` or ``l1:0.01``."""
    if text is None:
        return None
    from sanderling.training.regularize import REGULARIZERS

    kind, _, strength = text.partition(":")
    try:
        value = float(strength or _STRENGTH)
    except ValueError:
        value = -1.0
    known = [name for name in REGULARIZERS if name != "none"]
    if kind not in known or not 0 < value <= _STRONGEST:
        names = ", ".join(known)
        raise UsageError(
            f"got {text!r}, expected one of {names}, and perhaps its strength after a colon",
            where="regularizer",
            hint="for example l1:0.01",
        )
    return kind, value


def positive(budget: Budget) -> Budget:
    """Returns: a budget whose limits make sense."""
    for name in ("max_latency_ms", "max_size_bytes", "max_memory_bytes", "min_throughput", "seconds"):
        value = getattr(budget, name)
        if value is not None and not value > 0:
            raise UsageError(f"got {value}, expected a number above 0", where=name)
    if budget.max_drop is not None and not budget.max_drop >= 0:
        raise UsageError(f"got {budget.max_drop}, expected a share such as 0.01", where="max_drop")
    return budget


def cluster(
    address: str | None, device: str, target: str, minimize: str, power_meter: str | None
) -> str | None:
    """Returns: a cluster's address, where what else is asked can be measured on its nodes.

    Raises:
        UsageError: it cannot.
    """
    if address is None:
        return None
    from sanderling.search.bench import USUAL
    from sanderling.search.targets import TARGETS, runs_on

    why = ""
    if device != "local":
        why = f"candidates run on its nodes, or on {device}, not on both"
    elif minimize == "energy" or power_meter is not None:
        why = "the meters of this machine do not see its nodes"
    elif TARGETS[target].npu or runs_on(target, True) != USUAL:
        why = f"nothing is timed for {target} that nodes could do"
    if why:
        raise UsageError(f"a cluster is of no use here: {why}", where="cluster", hint="leave out one of them")
    return address


def study(url: str | None) -> Database | None:
    """Returns: the database that a study is kept in.

    Raises:
        UsageError: the URL tells of none.
        MissingExtra: what reaches it is not installed.
    """
    if url is None:
        return None
    from sanderling.search.database import Database

    return Database.parse(url)
