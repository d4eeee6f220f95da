"""Fewer channels: the float model does less arithmetic on every engine, without training.

Channels go where the operators that read them can best make up for it, by least squares on the samples. Every
operator behind a cut is then fitted, in the order of execution, to what it gave in the original, while it
reads what the slimmer ones before it really give. This pays where int8 does not (CPUs without int8 dot
products), and int8 may follow it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import load_feeds
from sanderling.compress.eligible import require_float
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold, own_weights
from sanderling.compress.slimming.channels import ChannelMap, Group
from sanderling.compress.slimming.latencies import Latency, check
from sanderling.compress.slimming.slimmed import Slimming
from sanderling.compress.slimming.widths import Macs, allowed
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model

NAME = "slim"
GRANULARITIES = (4, 8, 16)
_NARROWEST = 4
_SHOWN = 4


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Removes channels and fits the weights of what remains.

    Settings:
        keep: share of the multiply-accumulates to come down to, from 0.05 to 1 (0.75 when absent).
        by: ``macs``, or ``latency``: then ``keep`` is a share of the time that a call takes on the device
            that ``latency`` was measured on. ``latency`` where that is given, else ``macs``.
        latency: {name of a group of channels: {width: milliseconds}}, of the operators around the group, its
            full width and some others.
        widths: instead of ``keep``: {name of a group of channels: how many remain}; a group is called by
            the first tensor that holds its channels, and those that are not named stay whole.
        granularity: 4, 8 or 16: with ``keep``, the number of channels is a multiple of it (8 when absent).

    Raises:
        RecipeError: a setting is wrong, or the model has no channels that can be removed.
        SampleError, InputMismatch: the feeds cannot be read, do not fit, or lead to infinite values.
    """
    options = Options(NAME, settings, ("keep", "by", "latency", "widths", "granularity"))
    by = options.choice("by", ("macs", "latency"), "latency" if "latency" in settings else "macs")
    keep = options.number("keep", 0.75, 0.05, 1.0)
    granularity = _granularity(settings)
    require_float(model, NAME)
    if work.calibration is None:
        raise RecipeError(f"{NAME} needs samples to fit the remaining weights", hint="give --samples")
    slimming = Slimming(own_weights(fold(model)), load_feeds(work.calibration), work.folder, work.threads)
    groups = slimming.found.groups
    wanted = _widths(settings, groups)
    if wanted is None and not any(len(allowed(group, granularity)) > 1 for group in groups):
        raise RecipeError(
            f"{NAME} finds no channels to remove{_why(slimming.found)}",
            where=model.name,
            hint="use another technique for this model",
        )
    if wanted is None and keep >= 1.0:
        return model, Applied(notes=("all channels stay",))
    cost = slimming.macs
    if by == "latency":
        cost = Latency(slimming.graph, slimming.found, check(settings.get("latency"), slimming.found))
    widths = slimming.choose(keep, granularity, cost) if wanted is None else wanted
    narrow = compact(slimming.slimmed(widths))
    return narrow, Applied(notes=tuple(_notes(slimming, widths, cost, keep if wanted is None else None)))


def _granularity(settings: Mapping[str, Any]) -> int:
    value = settings.get("granularity", 8)
    if isinstance(value, bool) or value not in GRANULARITIES:
        raise RecipeError(
            f"setting 'granularity' of {NAME} is {value!r}", hint="give 4, 8 or 16: channels per step"
        )
    return int(value)


def _widths(settings: Mapping[str, Any], groups: Sequence[Group]) -> list[int] | None:
    """Returns: how many channels of every group are to remain, None when that is not told."""
    told = settings.get("widths")
    if told is None:
        return None
    if not isinstance(told, Mapping):
        raise RecipeError(
            f"setting 'widths' of {NAME} is {told!r}", hint="give an object: operator's output → channels"
        )
    known = {group.name: len(group) for group in groups}
    for name, width in told.items():
        if name not in known:
            raise RecipeError(
                f"{NAME} is to narrow '{name}', the model has no channels of that name that can go",
                hint="those that can are " + ", ".join(_short(n) for n in list(known)[:_SHOWN]),
            )
        lowest = min(_NARROWEST, known[name])
        if isinstance(width, bool) or not isinstance(width, int) or not lowest <= width <= known[name]:
            raise RecipeError(
                f"{NAME} is to leave {width!r} channels of '{name}'",
                hint=f"give a whole number from {lowest} to {known[name]}",
            )
    return [int(told.get(group.name, len(group))) for group in groups]


def _notes(slimming: Slimming, widths: Sequence[int], cost: Macs, keep: float | None) -> list[str]:
    groups = slimming.found.groups
    narrower = [(g, w) for g, w in zip(groups, widths, strict=True) if w < len(g)]
    narrower.sort(key=lambda pair: pair[1] - len(pair[0]))
    shown = ", ".join(f"{_short(g.name)} {len(g)} → {w}" for g, w in narrower[:_SHOWN])
    more = f" and {len(narrower) - _SHOWN} more" if len(narrower) > _SHOWN else ""
    share = slimming.macs.total(widths) / max(slimming.macs.full, 1.0)
    told = (
        f"{share:.0%} of the multiply-accumulates remain, {len(narrower)} of {len(groups)} groups of "
        f"channels are narrower: {shown}{more}"
    )
    notes = [told if narrower else "all channels stay"]
    reached = cost.total(widths) / max(cost.full, 1e-30)
    if cost is not slimming.macs:
        notes.append(f"about {reached:.0%} of the time remains, by what each width takes on the device")
    if keep is not None and reached > keep + 0.005:
        notes.append(f"{keep:.0%} cannot be reached: {_limit(cost is slimming.macs)}")
    return [*notes, *_stay(slimming.found)]


def _limit(arithmetic: bool) -> str:
    least = "no group may get narrower than an eighth of its width"
    return least if arithmetic else f"{least}, nor where that would save no time"


def _short(name: str) -> str:
    # Converters join the names of all operators that they fused with ";": the first says which it is.
    return name.split(";")[0]


def _stay(found: ChannelMap) -> list[str]:
    """Returns: one sentence on the channels that no one could remove, if there is a reason worth telling."""
    reasons: Counter[str] = Counter()
    for frozen in found.frozen:
        if not frozen.reason.startswith("is "):  # inputs, outputs and shapes: nothing one would expect to go
            reasons[frozen.reason] += frozen.count
    told = [f"{count} channels stay, each {reason}" for reason, count in reasons.most_common(2)]
    return ["; ".join(told)] if told else []


def _why(found: ChannelMap) -> str:
    reasons = Counter({frozen.reason: 0 for frozen in found.frozen})
    for frozen in found.frozen:
        reasons[frozen.reason] += frozen.count
    told = ", ".join(f"{count} of them each {reason}" for reason, count in reasons.most_common(2))
    return f" ({told})" if told else ""


TECHNIQUE = Technique(
    NAME,
    "fewer channels, the rest fitted on samples: less arithmetic, so faster on every engine",
    apply,
    needs_calibration=True,
)
