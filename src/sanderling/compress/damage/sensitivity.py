"""Which operators suffer from int8, and how much: measured on the float model, one change at a time.

Going from float to int8 adds two kinds of noise: rounded weights, which belong to an operator, and rounded
activations, which belong to a tensor and vanish only when its producer and all of its consumers stay float.
Each is put into the float model by itself (weights rounded in place, QUANTIZE and DEQUANTIZE around the
tensor), and the outputs are compared. Small noises from different places add up, which makes the single
figures useful for plans: see ``mixed_plans.py``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sanderling.compress.calibration import load_feeds
from sanderling.compress.damage.judging import Bench, Damage, noise_to_signal
from sanderling.compress.eligible import judge, require_float
from sanderling.compress.prepare import fold
from sanderling.compress.quantizing.choose_ranges import chooser
from sanderling.compress.quantizing.fake_quantize import with_noise_at, with_rounded_weights
from sanderling.compress.quantizing.integer_operators import why_float
from sanderling.compress.quantizing.quantize import histograms
from sanderling.compress.quantizing.sites import Operator, Site, survey
from sanderling.compress.quantizing.weights import Bounds, weight_ranges
from sanderling.compress.technique import Work
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph
from sanderling.tflite import read

Progress = Callable[[int, int], None]
_Trial = TypeVar("_Trial", Operator, Site)


@dataclass(frozen=True, slots=True)
class Row:
    """One operator.

    Attributes:
        operator: name of its first output tensor (or the graph's input, with ``kind`` INPUT).
        kind: TFLite's name.
        damage: ``damage_weights + damage_activation``.
        damage_weights: what rounding its weights does to the outputs.
        damage_activation: what rounding its result does to the outputs.
        cost_share: its share of the model's arithmetic, 0 to 1.
        measured: False when the time was up before its turn; its damages are 0 then.
    """

    operator: str
    kind: str
    damage: float
    damage_weights: float
    damage_activation: float
    cost_share: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The result.

    Attributes:
        rows: worst first.
        sites: where activations are rounded, with the damage of each and the operators around it.
        operators: all operators that can be quantized, in execution order.
        total: damage of everything at once, measured, not summed.
        samples: number of samples behind it.
        seconds: what it took.
    """

    rows: tuple[Row, ...]
    sites: tuple[Site, ...]
    operators: tuple[Operator, ...]
    total: float
    samples: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values that ``from_json`` reads back equal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Sensitivity:
        """Reads what ``to_json`` wrote."""
        sites = tuple(Site(**{**s, "operators": tuple(s["operators"])}) for s in value["sites"])
        return cls(
            tuple(Row(**row) for row in value["rows"]),
            sites,
            tuple(Operator(**op) for op in value["operators"]),
            value["total"],
            value["samples"],
            value["seconds"],
        )


def sensitivity(
    source: Path,
    calibration: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    samples: int = 8,
    seconds: float = 60.0,
    threads: int = 1,
    damage: Damage | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Measures how much each operator suffers from int8.

    Args:
        source: a float model.
        calibration: feeds as ``calibration.save_feeds`` wrote them.
        settings: ``calibration`` and ``percentile`` of ``static_int8``, whose ranges are used.
        samples: how many of the feeds to compare outputs on.
        seconds: the time it may take; what looks worst is measured first.
        threads: CPU threads.
        damage: (float outputs, changed outputs) → a number ≥ 0; the sum over outputs of the relative
            squared error when None.
        progress: called with (measurements done, measurements planned).

    Raises:
        RecipeError: the model is quantized already, or nothing in it can be.
        SampleError, InputMismatch: the feeds cannot be read or do not fit.
    """
    started = time.monotonic()
    options = dict(settings or {})
    choose = chooser(str(options.get("calibration", "minmax")), float(options.get("percentile", 99.99)))
    folded = compact(fold(read(source)))
    require_float(folded, "sensitivity")
    with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
        work = Work(Path(folder), calibration, threads)
        observed = histograms(folded, "sensitivity", work)
        ranges = choose(folded.main, observed)
        eligible = judge(folded.main, partial(why_float, slow_too=False))
        weights = weight_ranges(folded.main, eligible.chosen, "minmax", activations=ranges)
        bounds = {w.tensor: w.bounds for w in weights}
        operators, sites = survey(folded.main, eligible.chosen, ranges, observed, bounds)
        feeds = list(islice(iter(load_feeds(calibration)), samples))
        bench = Bench(folded, feeds, work, damage or noise_to_signal)
        measured = _measure(bench, folded.main, operators, sites, bounds, started + seconds, progress)
        noisy = with_noise_at(with_rounded_weights(folded.main, bounds), {s.tensor: s.quant for s in sites})
        total = bench.measure(noisy)
    return _result(operators, sites, measured, total, len(feeds), time.monotonic() - started)


def sensitivity_in_worker(
    *,
    source: str,
    calibration: str,
    progress: Callable[[list[int]], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """``sensitivity`` with JSON values on both sides, for the isolated worker.

    Args:
        source, calibration: paths.
        progress: called with [measurements done, measurements planned].
        options: ``settings``, ``samples``, ``seconds``, ``threads``.

    Returns: as ``Sensitivity.to_json`` gives it.
    """
    told = None if progress is None else lambda done, planned: progress([done, planned])
    return sensitivity(Path(source), Path(calibration), progress=told, **options).to_json()


def _measure(
    bench: Bench,
    graph: Graph,
    operators: Sequence[Operator],
    sites: Sequence[Site],
    bounds: Mapping[int, Bounds],
    deadline: float,
    progress: Progress | None,
) -> dict[Operator | Site, float]:
    """Measures one by one, what looks worst first, until the time is up."""
    everything: list[Operator | Site] = [*operators, *sites]
    trials = sorted((t for t in everything if t.expected > 0), key=lambda t: t.expected, reverse=True)
    measured: dict[Operator | Site, float] = {}
    for done, trial in enumerate(trials):
        if time.monotonic() > deadline:
            break
        measured[trial] = bench.measure(_changed(graph, trial, bounds))
        if progress is not None:
            progress(done + 1, len(trials))
    return measured


def _changed(graph: Graph, trial: Operator | Site, bounds: Mapping[int, Bounds]) -> Graph:
    """Returns: the graph with one operator's weights or one site in int8."""
    if isinstance(trial, Operator):
        return with_rounded_weights(graph, {trial.weights: bounds[trial.weights]})
    return with_noise_at(graph, {trial.tensor: trial.quant})


def _result(
    operators: Sequence[Operator],
    sites: Sequence[Site],
    measured: Mapping[Operator | Site, float],
    total: float,
    samples: int,
    seconds: float,
) -> Sensitivity:
    ops = [_with(o, measured) for o in operators]
    places = [_with(s, measured) for s in sites]
    by_producer = {s.producer: s for s in places if s.producer}
    rows = [_row(o, by_producer.get(o.name)) for o in ops]
    rows += [Row(s.name, "INPUT", s.damage, 0.0, s.damage, 0.0, s.measured) for s in places if not s.producer]
    rows.sort(key=lambda row: row.damage, reverse=True)
    return Sensitivity(tuple(rows), tuple(places), tuple(ops), total, samples, seconds)


def _row(operator: Operator, site: Site | None) -> Row:
    activation = site.damage if site else 0.0
    measured = (operator.measured or operator.expected == 0) and (
        site is None or site.measured or site.expected == 0
    )
    return Row(
        operator.name,
        operator.kind,
        operator.damage + activation,
        operator.damage,
        activation,
        operator.cost_share,
        measured,
    )


def _with(thing: _Trial, measured: Mapping[Operator | Site, float]) -> _Trial:
    return replace(thing, damage=measured[thing], measured=True) if thing in measured else thing
