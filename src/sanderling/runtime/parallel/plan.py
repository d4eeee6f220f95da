"""Ways to answer a stream: how many replicas, with how many threads, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["threads", "processes"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One way.

    Attributes:
        replicas: how many models are loaded.
        threads: of each, within its operators.
        where: in threads of this process, or in processes of their own.
    """

    replicas: int
    threads: int
    where: Where = "threads"

    def __str__(self) -> str:
        each = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        if self.replicas == 1:
            return f"one replica of {each}"
        return f"{self.replicas} replicas of {each}, in {self.where}"


@dataclass(frozen=True, slots=True)
class Stages:
    """Another way: the model in stages, one behind the other.

    Attributes:
        engines: of the stages, in order.
        threads: of each.
    """

    engines: tuple[str, ...]
    threads: int = 1

    def __str__(self) -> str:
        return f"a pipeline of {len(self.engines)} stages ({', '.join(self.engines)})"


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan, measured.

    Attributes:
        plan: the plan.
        per_second: items.
    """

    plan: Plan
    per_second: float


def candidates(cores: int) -> list[Plan]:
    """Returns: plans for so many cores, the simplest first."""
    if cores < 2:
        return [Plan(1, 1)]
    divisors = [n for n in range(2, cores + 1) if cores % n == 0]
    shared = [Plan(n, cores // n) for n in divisors]
    return [Plan(1, 1), Plan(1, cores), *shared, Plan(cores, 1, "processes")]
