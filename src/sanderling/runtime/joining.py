"""The sessions of a cascade's models, joined to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError
from sanderling.runtime.cascade import CascadeRunner, Rule
from sanderling.runtime.cascade_file import Cascade
from sanderling.runtime.opening import Read, as_one, read_parts
from sanderling.runtime.recipe_file import RunAs

if TYPE_CHECKING:
    from sanderling.runtime.session import Session


def join(
    cascade: Cascade, load: Callable[[RunAs], Session], options: Mapping[str, Any]
) -> tuple[Read, tuple[Session, ...], CascadeRunner]:
    """Opens a cascade's models; those that are open are closed where a later one fails.

    Args:
        load: opens one.
        options: what the caller states besides; told apart only to refuse what cannot be meant.

    Raises:
        UsageError: operators are to be pinned.
        ModelError: a model cannot be read or loaded, or they do not fit together.
    """
    if options.get("pin") is not None:
        raise UsageError(
            "operators of a cascade cannot be pinned", where="pin", hint="open one of its models instead"
        )
    read = Read(cascade.path, read_parts(cascade), cascade)
    with ExitStack() as stack:
        parts = tuple(stack.enter_context(load(part)) for part in cascade.parts)
        runner = as_one([part.runner for part in parts], cascade)
        stack.pop_all()
    return read, parts, runner


def rejoined(parts: Sequence[Session], read: Read) -> CascadeRunner:
    """Loads the models of open sessions again, after ``DeviceLost``."""
    assert read.cascade is not None
    for part in parts:
        part.rebuild()
    return as_one([part.runner for part in parts], read.cascade)


def told(rules: Sequence[Rule]) -> str:
    """Returns: how a cascade works, in a sentence."""
    shares = enumerate((f"{100 * rule.threshold:.4g} %" for rule in rules), 1)
    sure = ", else ".join(f"model {number} where it is at least {share} sure" for number, share in shares)
    return f"a cascade: {sure}, else model {len(rules) + 1}"
