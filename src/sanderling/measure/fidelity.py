"""Compares a candidate's answers with the float original's, and decides whether they are good enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite, log10
from typing import Any, Literal

import numpy as np

from sanderling.errors import UsageError
from sanderling.graph.types import Array
from sanderling.measure.interval import interval
from sanderling.measure.results import Fidelity
from sanderling.tasks.other import relative_rmse, squares
from sanderling.tasks.task import Outputs, Task

Decision = Literal["ok", "rejected", "undecided"]
_VARIES = 0.05
_HOPELESS = 100


def compare(
    task: Task,
    reference: Iterable[Outputs],
    candidate: Iterable[Outputs],
    labels: Sequence[Any] | None = None,
    output_names: Sequence[str] = (),
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Fidelity:
    """Compares two models' outputs on the same samples, in the same order.

    Args:
        task: how answers are compared.
        reference, candidate: outputs per sample, real values (dequantized), in the model's order. Both may
            be generators: nothing but small statistics is kept.
        labels: one per sample, or None.
        output_names: for the report; empty numbers them.
        resamples: of the bootstrap behind the interval.
        seed: of the same.

    Returns: drop, interval, figures per output; ``failure`` where the candidate fails whatever they say.

    Raises:
        UsageError: there are no samples, or not as many of one as of the other.
    """
    comparison = Comparison(task, output_names, resamples=resamples, seed=seed)
    theirs = iter(candidate)
    count = 0
    for count, ours in enumerate(reference, 1):
        answer = next(theirs, None)
        if answer is None:
            raise UsageError(f"the reference answered {count} samples or more, the candidate {count - 1}")
        if labels is not None and count > len(labels):
            raise UsageError(f"got {len(labels)} labels for {count} samples or more")
        comparison.add(ours, answer, None if labels is None else labels[count - 1])
    if next(theirs, None) is not None:
        raise UsageError(f"the candidate answered more samples than the reference ({count})")
    return comparison.result()


@dataclass(slots=True)
class _Output:
    """Running sums over one output."""

    error: float = 0.0
    power: float = 0.0
    elements: float = 0.0
    entropy: float = 0.0
    distributions: int = 0
    change: float = 0.0
    first: tuple[Array, Array] | None = None
    spread: float = 0.0
    largest: float = 0.0
    moved: bool = False

    def add(self, ours: Array, theirs: Array) -> None:
        error, power, elements = squares(ours, theirs)
        self.error += error
        self.power += power
        self.elements += elements
        if ours.size == 1:
            self.change += _score_change(ours, theirs)
        entropy = _cross_entropy(ours, theirs)
        if entropy is not None:
            self.entropy += entropy
            self.distributions += 1
        if self.first is None:
            self.first = np.array(ours), np.array(theirs)
        else:
            self.moved = self.moved or not np.array_equal(self.first[1], theirs)
            # Once both are seen to move, the exact spread no longer matters.
            if ours.size and not (self.moved and self.spread > _VARIES * self.largest):
                apart = np.asarray(ours, np.float64) - self.first[0]
                self.spread = max(self.spread, float(np.abs(apart).max()))
        if ours.size:
            self.largest = max(self.largest, float(np.abs(ours).max()))

    @property
    def stuck(self) -> bool:
        """True when the candidate always gives the same and the reference clearly does not."""
        return not self.moved and self.spread > _VARIES * self.largest

    def figures(self, name: str, samples: int) -> dict[str, Any]:
        mean = self.error / self.elements if self.elements else 0.0
        exact = self.error == 0 or self.power == 0
        figures: dict[str, Any] = {
            "name": name,
            "rmse": float(np.sqrt(mean)),
            "relative_rmse": relative_rmse(self.error, self.power, self.elements),
            "sqnr_db": None if exact else 10 * log10(self.power / self.error),
        }
        if self.distributions == samples:
            figures["cross_entropy"] = self.entropy / samples
        if self.elements == samples:
            figures["score_change"] = self.change / samples
        return figures


def _score_change(ours: Array, theirs: Array) -> float:
    """The difference of two single scores as probabilities: as they are within 0..1, else as logits."""
    pair = np.array([float(ours.reshape(-1)[0]), float(theirs.reshape(-1)[0])])
    if pair.min() < -0.01 or pair.max() > 1.01:
        pair = 1 / (1 + np.exp(-np.clip(pair, -60, 60)))
    return float(abs(pair[0] - pair[1]))


def _cross_entropy(ours: Array, theirs: Array) -> float | None:
    """Returns: −Σ p·log q over the last axis, where the reference is a distribution; else None."""
    if ours.ndim == 0 or ours.shape[-1] < 2 or ours.shape[-1] != ours.size:
        return None
    p = np.asarray(ours, np.float64).reshape(-1)
    if p.min() < -1e-6 or abs(float(p.sum()) - 1) > 0.03:
        return None
    q = np.clip(np.asarray(theirs, np.float64).reshape(-1), 1e-7, 1)
    return float(-(p * np.log(q)).sum())


@dataclass
class Comparison:
    """Compares sample by sample, keeping small statistics only.

    Attributes:
        task: how answers are compared.
        output_names: for the report; empty numbers them.
        resamples, seed: of the bootstrap.
    """

    task: Task
    output_names: Sequence[str] = ()
    resamples: int = 1000
    seed: int = 0
    _stats: list[Any] = field(default_factory=list)
    _badness: list[float] = field(default_factory=list)
    _outputs: list[_Output] = field(default_factory=list)
    _failure: str = ""
    _count: int = 0

    def add(self, reference: Outputs, candidate: Outputs, label: Any = None) -> None:
        """Takes in one sample. After a failure further samples are counted only."""
        self._count += 1
        if self._failure:
            return
        ours, theirs = [np.asarray(o) for o in reference], [np.asarray(o) for o in candidate]
        self._failure = self._unusable(ours, theirs)
        if self._failure:
            return
        if not self._outputs:
            self._outputs = [_Output() for _ in ours]
        for sums, a, b in zip(self._outputs, ours, theirs, strict=True):
            sums.add(a, b)
        stat = self.task.observe(ours, theirs, label)
        self._stats.append(stat)
        self._badness.append(float(self.task.badness(stat)))

    def _name(self, position: int) -> str:
        return self.output_names[position] if position < len(self.output_names) else f"output_{position}"

    def _unusable(self, ours: list[Array], theirs: list[Array]) -> str:
        number = self._count - 1
        if len(ours) != len(theirs):
            return f"the candidate has {len(theirs)} outputs, the reference {len(ours)}"
        if self._outputs and len(ours) != len(self._outputs):
            return f"the number of outputs changes on sample {number}"
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            name = self._name(position)
            if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
                return f"output {name!r} holds no numbers"
            if a.shape != b.shape:
                shapes = f"{list(b.shape)}, the reference {list(a.shape)}"
                return f"output {name!r} has shape {shapes} (sample {number})"
            if not _all_finite(a):
                return f"the reference's own output {name!r} is not finite on sample {number}"
            if not _all_finite(b):
                kind = "NaN" if np.isnan(b).any() else "infinity"
                return f"output {name!r} holds {kind} on sample {number}"
        return ""

    def result(self) -> Fidelity:
        """Returns: the comparison so far.

        Raises:
            UsageError: no sample was added.
        """
        if self._count == 0:
            raise UsageError("there are no samples to compare the models on")
        if not self._failure:
            stuck = [self._name(i) for i, sums in enumerate(self._outputs) if sums.stuck]
            if stuck:
                same = f"is the same on all {self._count} samples, the reference's is not"
                self._failure = f"output {stuck[0]!r} {same}"
        figures = tuple(
            sums.figures(self._name(i), len(self._stats))
            for i, sums in enumerate(self._outputs)
            if self._stats
        )
        if not self._stats:
            return Fidelity(self.task.metric, 0.0, 1.0, (1.0, 1.0), self._count, self._failure, figures)
        drawable: Any = self._stats
        value, drop = self.task.combine(drawable)
        ends = interval(
            self.task.combine,
            self._stats,
            self._badness,
            counted=self.task.name in ("classify", "detect", "custom"),
            resamples=self.resamples,
            seed=self.seed,
        )
        return Fidelity(
            self.task.metric, float(value), float(drop), ends, self._count, self._failure, figures,
            tuple(self._badness),
        )  # fmt: skip


def _all_finite(array: Array) -> bool:
    if array.dtype.kind != "f":
        return True
    # The sum is not finite if any value is not; only then (or on overflow) is every value looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.add.reduce(array, axis=None))
    return isfinite(total) or bool(np.isfinite(array).all())


def decide(fidelity: Fidelity, max_drop: float) -> tuple[Decision, str]:
    """Decides whether a candidate's answers are good enough.

    It passes if its drop is within the budget and the interval's upper end within twice the budget. It is
    rejected if it fails, if the whole interval lies beyond the budget, or if the drop is beyond twice the
    budget. Anything between is undecided: more samples would tell, and the reason says about how many. A
    budget of 0 passes what differs on no sample, since no number of samples could bound it.

    Returns: the decision, and one sentence for anything but ``ok``.
    """
    if fidelity.failure:
        return "rejected", fidelity.failure
    drop, (low, high) = fidelity.drop, fidelity.ci95
    words = f"{fidelity.metric} is {_percent(drop)} (95 % interval {_percent(low)} to {_percent(high)})"
    budget = f"the budget of {_percent(max_drop)}"
    if max_drop <= 0:
        return ("ok", "") if drop <= max_drop else ("rejected", f"{words}, over {budget}")
    if drop <= max_drop:
        if high <= 2 * max_drop:
            return "ok", ""
        needed = _samples_to_pass(fidelity, max_drop)
        return "undecided", f"{words}: within {budget}, but {_more(needed, fidelity.samples)} to be sure"
    if low > max_drop or drop > 2 * max_drop:
        return "rejected", f"{words}, over {budget}"
    needed = (
        ceil(fidelity.samples * ((drop - low) / (drop - max_drop)) ** 2) if drop > low else fidelity.samples
    )
    if needed > _HOPELESS * fidelity.samples:
        return "undecided", f"{words}: right at {budget}, which no reasonable number of samples would settle"
    return "undecided", f"{words}: over {budget}, but {_more(needed, fidelity.samples)} to be sure"


def _samples_to_pass(fidelity: Fidelity, max_drop: float) -> int:
    """About how many samples bring the upper end to twice the budget, if the drop stays as it is."""
    room = 2 * max_drop - fidelity.drop
    width = fidelity.ci95[1] - fidelity.drop
    ratio = width / room
    # An exact bound on nothing seen shrinks with 1/n, any other interval with 1/√n.
    nothing_seen = fidelity.drop == 0 and not any(fidelity.per_sample)
    return ceil(fidelity.samples * (ratio if nothing_seen else ratio**2) - 1e-6)


def _more(needed: int, had: int) -> str:
    return f"needs about {max(needed - had, 1)} more samples"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
