"""Where two models, or two engines, first part: both run on the same samples, compared operator by operator.

Values are compared as real numbers (dequantized), so that an integer model can be held against the float
model that it was made from. Then every operator is run by itself on the values that A had there, which tells
where damage is done from where it only passes through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sanderling.compress.eligible import require_float
from sanderling.engines import registry
from sanderling.errors import RecipeError, UsageError
from sanderling.graph.graph import Model
from sanderling.isolation.client import Worker
from sanderling.measure.differences import Difference, DiffResult
from sanderling.measure.explaining import Why, explain_pair
from sanderling.measure.matching import comparable
from sanderling.measure.remedies import Tell
from sanderling.measure.serving import Feed
from sanderling.runtime.loading import read_model
from sanderling.samples.samples import Samples

_SAMPLES = 8  # the first disagreement shows on few
FLOAT_TOLERANCE, INTEGER_TOLERANCE = 1e-3, 0.1
TIMEOUT = 600.0  # seconds


def diff(
    a: Path,
    b: Path | None = None,
    *,
    engines: Sequence[str] = ("litert",),
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    seconds: float = 0.0,
    tell: Tell = lambda what, done, planned: None,
) -> DiffResult:
    """Compares two models, or one model on two engines.

    Args:
        a: the model whose values are right.
        b: the model that is compared with it; it takes the same inputs, in the same order. None: A itself.
        engines: what runs both, or what runs A and what runs B. An engine's name; ``litert:builtin`` and
            ``litert:reference`` choose another kernel set of LiteRT.
        samples: as for ``load_samples``, read as A wants them; None for noise.
        reading: keyword arguments of ``load_samples``.
        tolerance: None takes 0.001 for two float models, 0.1 where one computes with integers.
        seconds: where A is float, B holds integers and LiteRT runs both: how long to look for the causes of
            B's errors and for what helps, on top of the comparison; 0 for not at all.
        tell: told (what is done, steps done, steps planned) meanwhile.

    Raises:
        UsageError: there is no such engine, or nothing to compare.
        SanderlingError: a model cannot be run, or B does not take A's inputs or give its outputs.
    """
    from sanderling.samples.load import load_samples

    ran_by = _engines(engines)
    if b is None and ran_by[0] == ran_by[1]:
        hint = "give a second model, or two engines: --engines litert,litert:builtin"
        raise UsageError("there is nothing to compare the model with", hint=hint)
    b = b or a
    models = read_model(a), read_model(b)
    options = {name: value for name, value in (reading or {}).items() if value is not None}
    loaded = load_samples(samples, models[0], **{"limit": _SAMPLES, **options}, count_synthetic=_SAMPLES)
    feeds = [loaded[position] for position in range(len(loaded))]
    with Worker(name="engine") as worker:
        found = worker.call(
            "sanderling.measure.comparing:compare_models", a=str(a), b=str(b), engines=ran_by, feeds=feeds,
            sequential=loaded.sequential, timeout=TIMEOUT, doing=f"comparing {a.name} with {b.name}",
        )  # fmt: skip
    limit = _tolerance(models) if tolerance is None else tolerance
    rows = tuple(_difference(row) for row in found["rows"])
    alone_a, alone_b = (0 if a == b else len(comparable(model.main)) - len(rows) for model in models)
    return DiffResult(
        str(a), str(b), ran_by, rows, tuple(_difference(row) for row in found["outputs"]), limit,
        first=next((i for i, row in enumerate(rows) if row.beyond(limit)), None),
        guilty=next((i for i, row in enumerate(rows) if row.guilty(limit)), None),
        alone_a=alone_a, alone_b=alone_b, samples=loaded.origin, count=len(feeds),
        replayed=found["replayed"], synthetic=loaded.synthetic, notes=loaded.notes,
        why=_why(a, b, ran_by, models, feeds, rows, loaded, seconds, tell) if seconds else None,
    )  # fmt: skip


def _computes_on_floats(model: Model) -> bool:
    try:
        require_float(model, "diff")
    except RecipeError:
        return False
    return True


def _why(
    a: Path,
    b: Path,
    engines: tuple[str, str],
    models: tuple[Model, Model],
    feeds: Sequence[Feed],
    rows: Sequence[Difference],
    loaded: Samples,
    seconds: float,
    tell: Tell,
) -> Why | None:
    """Returns: why B is less accurate than A; None where B is no quantized A, or LiteRT does not run both."""
    from sanderling.analysis.summary import summarize

    if engines != ("litert", "litert") or not _computes_on_floats(models[0]) or summarize(models[1]).is_float:
        return None
    if loaded.sequential:
        return Why(note="causes are not looked for in models that keep a state between samples")
    return explain_pair(a, b, models, feeds, rows, seconds=seconds, tell=tell)


def _engines(given: Sequence[str]) -> tuple[str, str]:
    """Returns: what runs A, and what runs B."""
    if not 1 <= len(given) <= 2:
        raise UsageError(f"got {len(given)} engines, expected one or two", where="engines")
    for text in given:
        registry.find_variant(text)
    return given[0], given[-1]


def _tolerance(models: tuple[Model, Model]) -> float:
    from sanderling.analysis.summary import summarize

    return FLOAT_TOLERANCE if all(summarize(m).is_float for m in models) else INTEGER_TOLERANCE


def _difference(row: dict[str, Any]) -> Difference:
    return Difference(**{**row, "shape": tuple(row["shape"]), "spread": tuple(row["spread"])})
