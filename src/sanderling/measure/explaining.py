"""Why a quantized model is less accurate than its float original, and what helps: for ``diff``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.calibration import save_feeds
from sanderling.compress.damage.why import INPUT, Explanation
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.isolation.client import Worker
from sanderling.measure.differences import Difference
from sanderling.measure.remedies import Remedies, Tell, try_remedies
from sanderling.measure.serving import Feed

_FOR_CAUSES = 0.4  # share of the seconds
_FEWEST = 4  # samples, from which on half of them make candidates and the other half judge them


@dataclass(frozen=True, slots=True)
class Why:
    """Attributes:
    explanation: the operators that cost accuracy; None where that was not looked into.
    remedies: what was tried; None likewise.
    note: why not, or what a user must know.
    """

    explanation: Explanation | None = None
    remedies: Remedies | None = None
    note: str = ""


def explain_pair(
    a: Path,
    b: Path,
    models: tuple[Model, Model],
    feeds: Sequence[Feed],
    rows: Sequence[Difference],
    *,
    seconds: float,
    tell: Tell = lambda what, done, planned: None,
) -> Why:
    """Finds why B is less accurate than A, and tries what helps.

    Args:
        a, b: a float model, and a quantized one made from it.
        models: both, read.
        feeds: samples, as A takes them.
        rows: which operators of the two belong together.
        seconds: the time it may take.
        tell: told (what is done, steps done, steps planned).

    Raises:
        SanderlingError: a model cannot be run.
    """
    named = _named(models[0], feeds)
    split = len(feeds) // 2 if len(feeds) >= _FEWEST else len(feeds)
    names = {row.name_a: row.name_b for row in rows if row.name_a != row.name_b}
    with tempfile.TemporaryDirectory(prefix="sanderling-why-") as scratch:
        folder = Path(scratch)
        calibration = save_feeds(named[:split], folder / "calibration")
        with Worker(name="engine") as worker:
            try:
                value = worker.call(
                    "sanderling.compress.damage.why:explain_in_worker", source=str(a), quantized=str(b),
                    calibration=str(calibration), names=names, seconds=seconds * _FOR_CAUSES,
                    timeout=4 * seconds + 120, doing="looking for causes",
                    on_progress=lambda value: tell("operators", int(value[0]), int(value[1])),
                )  # fmt: skip
            except RecipeError as refused:
                return Why(note=str(refused))
        found = Explanation.from_json(value)
        if found.bits == 8 and not found.activations:
            return Why(found, note="B's activations are float, and 8 bits of weights leave little to mend")
        culprits = [row.operator for row in found.culprits if row.kind != INPUT]
        left = max(seconds - found.seconds, seconds * (1 - _FOR_CAUSES) / 2)
        # By position: B may call its inputs otherwise.
        compared = [list(feed.values()) for feed in named[split:] or named]
        remedies = try_remedies(
            a, b, calibration, compared, culprits, folder, bits=found.bits,
            activations=found.activations, seconds=left, tell=tell,
        )  # fmt: skip
    count = "1 sample" if len(feeds) == 1 else f"{len(feeds)} samples"
    same = "" if split < len(feeds) else f"{count} both made and judged the candidates"
    return Why(found, remedies, same)


def _named(model: Model, feeds: Sequence[Feed]) -> list[dict[str, Any]]:
    """Returns: feeds by input name, in the inputs' types."""
    names = model.input_names()
    types = [model.main.tensors[index].dtype.numpy for index in model.main.inputs]
    result = []
    for feed in feeds:
        values = [feed[name] for name in names] if isinstance(feed, Mapping) else list(feed)
        result.append({n: np.asarray(v, t) for n, v, t in zip(names, values, types, strict=True)})
    return result
