"""What the rungs of the ladder have in common: what they know, and what they propose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sanderling.analysis.summary import Summary
from sanderling.compress.recipe import Recipe, Step
from sanderling.search.bench import USUAL
from sanderling.search.budget import Budget
from sanderling.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate to measure: a recipe, and how what it makes is run."""

    name: str
    recipe: Recipe
    rung: str
    threads: int
    engine: str = USUAL


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rung, or a part of one, that is not climbed."""

    rung: str
    reason: str


@dataclass(slots=True)
class State:
    """What the ladder may know.

    Attributes:
        summary: what is in the model.
        budget: the user's limits, with the drop's default filled in.
        threads: the thread count at which candidates are compared.
        more_threads: other counts worth trying at the end.
        engines: what else may run the winner, beside the engine that candidates are compared on.
        io: what static quantization does to the model's inputs and outputs.
        rewrites: what rewriting the graph would do, one line each.
        without: passes that rewriting leaves out.
        no_engines: why there are no ``engines``, "" when there are.
        resizable: callers may change the sizes of some input, which keeps engines from planning ahead.
        narrow: some convolution reads an image of few channels, where int8 may lose.
        wrong_ends: the model's inputs and outputs are not what was asked for: only integers can win.
        int8: settings that make static int8 faster on this model.
        prefix: steps that pay on this model by themselves and go before every other technique.
        measured: trials that have ended, in the order in which they were proposed.
        mixed_plans: gives lists of operators to keep float, shortest first; slow, so asked for only
            when static int8 is fast enough but not good enough. None when it cannot be had.
        widths: measures what every width of every group of channels costs on the device; empty where that
            cannot be measured.
        training: how many minutes the training of a candidate may take now; 0 for none.
        no_training: why nothing can be trained here, "" when it can.
        regularizer: what draws weights towards zero where pruning trains, and how strongly; None: nothing.
        layers: how many blocks only add something to what passes by: the network computes without them.
        engine: what candidates run on.
        computes_float: some operator computes with floats, whatever the weights are stored as.
        float_ends: some input or output is float.
        settle: waits until what was proposed has been measured.
    """

    summary: Summary
    budget: Budget
    threads: int
    more_threads: tuple[int, ...]
    io: str
    rewrites: tuple[str, ...]
    mixed_plans: Callable[[Recipe], list[list[str]]]
    measured: list[Trial] = field(default_factory=list)
    resizable: bool = False
    without: tuple[str, ...] = ()
    narrow: bool = False
    wrong_ends: bool = False
    engines: tuple[str, ...] = ()
    no_engines: str = ""
    int8: dict[str, Any] = field(default_factory=dict)
    prefix: tuple[Step, ...] = ()
    widths: Callable[[tuple[Step, ...]], dict[str, dict[str, float]]] = lambda steps: {}
    training: Callable[[], float] = lambda: 0.0
    no_training: str = ""
    regularizer: tuple[str, float] | None = None
    layers: int = 0
    engine: str = USUAL
    computes_float: bool = True
    float_ends: bool = True
    settle: Callable[[], None] = lambda: None

    @property
    def trials(self) -> list[Trial]:
        """All trials so far. Who looks waits for those that are under way; what a rung proposes without
        looking is measured at the same time, where there are several nodes."""
        self.settle()
        return self.measured

    @property
    def baseline(self) -> Trial:
        """The model as it is: always the first trial."""
        return self.measured[0]

    def of_rung(self, rung: str) -> list[Trial]:
        return [t for t in self.trials if t.rung == rung]

    def best_speedup(self) -> float:
        """Returns: the largest speed-up among candidates that keep the budget; 1 for none, or 0 where they
        run on another engine than the original."""
        nothing = 1.0 if self.engine == USUAL else 0.0
        return max((t.speedup or 0.0 for t in self.trials if self.may_win(t)), default=nothing)

    def may_win(self, trial: Trial) -> bool:
        """Returns: whether a trial keeps all limits, those on inputs and outputs included."""
        integers = any(step.technique == "static_int8" for step in trial.recipe.steps)
        return trial.status == "ok" and (integers or not self.wrong_ends)

    def keeps_drop(self, trial: Trial) -> bool:
        """Returns: whether a trial's answers are good enough, whatever else is wrong with it."""
        if trial.fidelity is None or trial.fidelity.failure:
            return False
        return trial.fidelity.drop <= (self.budget.max_drop or 0.0)

    def size_matters(self) -> bool:
        """True when a candidate that is not faster may still win."""
        return self.budget.minimize in ("size", "memory") or self.budget.max_size_bytes is not None


Rung = Callable[[State], Iterator[Proposal | Skipped]]

AS_IS, REWRITE, STATIC, LEARNED, MIXED, SLIM = (
    "as it is", "rewritten", "static int8", "learned rounding", "mixed int8 and float", "fewer channels",
)  # fmt: skip
FLOAT16, DYNAMIC, WEIGHTS, INT4, ZEROS = (
    "float16 weights", "dynamic int8", "weight-only int8", "int4 weights", "zeros",
)  # fmt: skip
TRAINED, ENGINES, THREADS = "trained", "other engines", "more threads"  # fmt: skip
TABLES = "look-up tables"
# Faster than the best so far by less than this is not worth a search of its own.
WORTH = 1.10


def proposal(state: State, rung: str, name: str, *steps: Step) -> Proposal:
    """Returns: a candidate that is compared on the usual threads, behind the rewriting that pays."""
    if state.prefix:
        name = f"rewritten, {name}"
    return Proposal(name, Recipe(name, (*state.prefix, *steps)), rung, state.threads, state.engine)
