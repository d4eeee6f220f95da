"""What measuring gives: latency, fidelity, energy. Plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Latency:
    """Time per call of a candidate, interleaved with the baseline.

    Attributes:
        p50, p90: milliseconds.
        runs: number of timed calls behind them.
        speedup: how many times faster than the baseline: the median, over paired blocks, of the baseline's
            time / the candidate's. A load that comes and goes cancels in each pair, so this is steadier than
            ``baseline_p50 / p50`` and may differ from it a little.
        speedup_ci95: 95 % interval of the speed-up.
        load_ms: time to load the model, cold, in milliseconds; NaN when not measured.
        baseline_p50: the baseline's own p50 in this run, milliseconds. The baseline runs on as many threads.
        reference_p50: the original's p50 in this run at the search's own thread count, which candidates of
            every thread count are ranked by; NaN when that is ``baseline_p50``.
        mean: milliseconds of a call on average over the samples, for a cascade, which takes longer on some
            than on others; NaN for what takes as long on any. ``speedup`` is then the ratio of such means.
    """

    p50: float
    p90: float
    runs: int
    speedup: float
    speedup_ci95: tuple[float, float]
    baseline_p50: float
    load_ms: float = float("nan")
    reference_p50: float = float("nan")
    mean: float = float("nan")

    @property
    def typical(self) -> float:
        """Milliseconds of a call, as budgets count it: the mean where calls differ by design, else p50."""
        return self.mean if self.mean == self.mean else self.p50

    @property
    def cost(self) -> float:
        """Time per call as a share of the original's at the search's own thread count, from one run: figures
        of different runs are not comparable in milliseconds, the machine drifts."""
        if self.reference_p50 == self.reference_p50:
            return self.typical / self.reference_p50
        return 1 / self.speedup

    def to_json(self) -> dict[str, Any]:
        """Returns: strict JSON values: what was not measured (NaN) is null."""
        return {key: None if value != value else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Latency:
        """Reads what ``to_json`` wrote."""
        known: dict[str, Any] = {key: float("nan") if v is None else v for key, v in value.items()}
        known["speedup_ci95"] = tuple(value["speedup_ci95"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a candidate's answers are from the float original's.

    Attributes:
        metric: the drop's definition in words: ``1 - top-1 agreement``.
        value: the metric itself (agreement, accuracy, IoU, mAP, cosine …), higher is better, or the
            error where the metric is an error.
        drop: the one number that budgets speak of; 0 = same answers, larger is worse.
        ci95: 95 % interval of ``drop``.
        samples: number of samples behind it.
        failure: "" or why it fails whatever the metric says (NaN, infinity, constant output, shape).
        outputs: per output: {"name", "rmse", "relative_rmse", "sqnr_db", "cross_entropy" where it applies}.
        per_sample: each sample's own badness (higher = worse), for showing the worst first.
    """

    metric: str
    value: float
    drop: float
    ci95: tuple[float, float]
    samples: int
    failure: str = ""
    outputs: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    per_sample: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Fidelity:
        return cls(
            **{
                **value,
                "ci95": tuple(value["ci95"]),
                "outputs": tuple(value.get("outputs", ())),
                "per_sample": tuple(value.get("per_sample", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy per inference, measured while a model ran continuously.

    Attributes:
        joules: per call, all that the meter counts.
        above_idle: per call, what is left of it without the power that was drawn while nothing ran.
        idle_watts: that power.
        watts: power while it ran.
        calls, seconds: how many calls in how long.
        meter: what measured it: ``RAPL: package-0, dram``.
        relative: ``joules`` as a share of the original's, measured by turns with it; NaN when not compared.
    """

    joules: float
    above_idle: float
    idle_watts: float
    watts: float
    calls: int
    seconds: float
    meter: str
    relative: float = float("nan")

    def to_json(self) -> dict[str, Any]:
        """Returns: strict JSON values: what was not measured (NaN) is null."""
        return {key: None if value != value else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Energy:
        """Reads what ``to_json`` wrote."""
        known: dict[str, Any] = {k: float("nan") if each is None else each for k, each in value.items()}
        return cls(**known)
