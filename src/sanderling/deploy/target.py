"""What a target is: one folder of ``deploy`` with a ``TARGET`` of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling.deploy.order import Order
from sanderling.deploy.tolerance import DRIFT, STEPS
from sanderling.graph.graph import Model


@dataclass(frozen=True, slots=True)
class Check:
    """How the bundle was tried.

    Attributes:
        where: what ran it: ``TFLite Micro's interpreter``, ``emulated arm64``.
        examples: how many were answered.
        worst: the largest difference of an output (``tolerance.difference``) in tolerances: above 1 the
            answers are wrong.
        output: in which output that was.
        reason: why it was not tried; "" when it was.
    """

    where: str
    examples: int = 0
    worst: float = 0.0
    output: str = ""
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was tried, and every answer was near enough."""
        return not self.reason and self.examples > 0 and self.worst <= 1.0

    def told(self) -> str:
        """Returns: the check in a sentence."""
        if self.reason:
            return f"not tried on {self.where}: {self.reason}"
        share = f"{self.worst:.1%} of what is allowed"
        words = "1 answer is" if self.examples == 1 else f"{self.examples} answers are"
        return f"{words} correct on {self.where} (the largest difference is {share})"


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured or estimated.

    Attributes:
        what: ``latency``, ``arena``, ``NPU cycles``.
        value, unit: the figure.
        where: the machine; the user is to know that it is not theirs.
        estimated: nobody measured it.
    """

    what: str
    value: float
    unit: str
    where: str
    estimated: bool = False

    @property
    def told(self) -> str:
        """The value with its unit: all digits of a count, four of anything else."""
        whole = float(self.value).is_integer()
        return f"{f'{self.value:,.0f}' if whole else f'{self.value:.4g}'} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Built:
    """What a target made.

    Attributes:
        figures: what is known of it there.
        notes: what the user must know, a sentence each.
        placed: rows of operators: ``operator``, ``kind``, ``on``, ``reason`` (why it is not where it should
            be); empty where everything runs at one place.
        start: the command that runs it there, for the README and the last line on the screen.
        more: JSON values of the target's own, for ``bundle.json``.
    """

    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    placed: tuple[Mapping[str, str], ...] = ()
    start: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[str, int, int], None]  # (what is being done, how far, of how much: 0 where nobody knows)


@dataclass(frozen=True, slots=True)
class Target:
    """A place where models run.

    Attributes:
        name: as ``--to`` takes it.
        what: one line for people.
        refuse: says why a model cannot go there, with the operator's name, or "": asked before anything is
            written or any example is answered.
        build: writes the files into an empty folder that exists, but ``bundle.json`` and ``README.md``, which
            are written for it (the latter out of its ``templates/README.md.j2``). Raises DeployError where
            that fails.
        check: tries what was built, in its folder, in every way that there is here, and says what cannot be
            tried.
        options: names of settings that the user may give, each with a line of help.
        extra: the extra that it needs, "" for none.
        examples: how many are asked for.
        drift, steps: how far answers may be off, see ``tolerance.tolerances``: more where a processor rounds
            integers in ways of its own.
        plain: gives what LiteRT can run in the place of a model that only the target runs, with the same
            answers, and the settings with which the bundle holds the model as it was; the model itself, and
            none, where LiteRT runs it. None: the target runs what LiteRT runs.
    """

    name: str
    what: str
    refuse: Callable[[Order], str]
    build: Callable[[Order, Path, Tell], Built]
    check: Callable[[Order, Path, Tell], Sequence[Check]]
    options: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""
    examples: int = 3
    drift: float = DRIFT
    steps: float = STEPS
    plain: Callable[[Model], tuple[Model, Mapping[str, str]]] | None = None
