"""Fewer channels: the float model does less arithmetic on every engine, without training.

Channels go where the layers that read them can best be made up for it by least squares on the samples; each
such layer is then fitted, in the order of execution, to what it gave in the original while it reads what the
slimmer layers before it really give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress._slimming import Slimming
from sanderling.compress._widths import allocate, allowed
from sanderling.compress.applied import Applied
from sanderling.compress.calibration import load_feeds
from sanderling.compress.eligible import require_float
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model

NAME = "slim"
_GRANULARITIES = (4, 8, 16)


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Removes channels and fits the remaining weights.

    Settings:
        keep: share of the multiply-accumulates to come down to, from 0.05 to 1 (0.75 when absent).
        widths: instead: {name of the tensor that a group of channels begins with: channels to keep}; all
            other groups stay whole.
        granularity: 4, 8 or 16: channel counts are multiples of it (8 when absent).
    """
    options = Options(NAME, settings, ("keep", "widths", "granularity"))
    keep = options.number("keep", 0.75, 0.05, 1.0)
    granularity = _granularity(settings)
    require_float(model, NAME)
    if work.calibration is None:
        raise RecipeError(f"{NAME} needs samples to fit the remaining weights", hint="give --samples")
    slimming = Slimming(fold(model), load_feeds(work.calibration), work.folder, work.threads)
    groups = slimming.found.groups
    if not any(len(allowed(group, granularity)) > 1 for group in groups):
        raise RecipeError(f"{NAME} finds no channels to remove{_why(slimming)}", where=model.name)
    seen = slimming.look()
    orders = slimming.orders(seen, granularity)
    curves = slimming.curves(seen, orders, granularity)
    widths = allocate(slimming.macs, curves, keep)
    gone = [c for g, o, w in zip(groups, orders, widths, strict=True) for c in o.order[: len(g) - w]]
    if not gone:
        return model, Applied(notes=("no channels were removed",))
    narrow, hit = slimming.cut(seen, gone)
    fitted = slimming.fit(narrow, seen, hit, gone)
    share = slimming.share(widths)
    return compact(fitted), Applied(notes=(f"{share:.0%} of MACs", ))


def _granularity(settings: Mapping[str, Any]) -> int:
    value = settings.get("granularity", 8)
    if isinstance(value, bool) or value not in _GRANULARITIES:
        raise RecipeError(f"setting 'granularity' of {NAME} is {value!r}", hint="give 4, 8 or 16")
    return int(value)


def _why(slimming: Slimming) -> str:
    return ""


TECHNIQUE = Technique(
    NAME, "fewer channels, refitted on samples: less arithmetic, so faster on every engine", apply, True
)
