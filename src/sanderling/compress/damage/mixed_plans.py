"""Which operators to keep float, cheapest cure first: candidates of mixed precision for the search.

An isolated float operator pays twice, once for its own arithmetic and once for the conversions at its
borders, and it saves only its own weights' noise: its operands come from int8 operators and its result goes
to others. So regions grow from the sites with the worst noise, and a move that extends a region costs less
than one that opens another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sanderling.compress.damage.sensitivity import Sensitivity

# int8 arithmetic takes about 1/2.5 of float's time; converting an element about as much as these many
# multiply-accumulates. Both were measured with LiteRT on x86; they only order the moves.
_SAVED_BY_INT8 = 0.6
_OPERATIONS_PER_CONVERSION = 8.0
_PER_OPERATOR = 0.001
_GOOD_ENOUGH = 0.02
_FIRST_LEVEL = 0.8


@dataclass(frozen=True, slots=True)
class MixedPlan:
    """One candidate.

    Attributes:
        keep_float: names of operators, as ``static_int8`` takes them.
        remaining: predicted damage as a share of that of quantizing everything, 0 to 1.
        cost: predicted extra time as a share of the float model's.
    """

    keep_float: tuple[str, ...]
    remaining: float
    cost: float


def mixed_plans(found: Sensitivity, *, count: int = 6, max_cost: float = 0.5) -> list[MixedPlan]:
    """Proposes lists of operators to keep float, of increasing length, each containing the one before.

    Args:
        found: what ``sensitivity`` measured.
        count: how many plans at most.
        max_cost: the predicted extra time, as a share of the float model's, at which to stop.

    Returns: plans whose predicted damage falls by about the same factor from each to the next; none when
        nothing that can be quantized was seen to do damage.
    """
    ledger = _Ledger(found)
    if ledger.damage(frozenset()) <= 0:
        return []
    path = _greedy(ledger, max_cost)
    return _spread(path, count)


class _Ledger:
    """Predicts damage and cost of a set of float operators."""

    def __init__(self, found: Sensitivity) -> None:
        self._found = found
        self._order = {o.name: position for position, o in enumerate(found.operators)}
        self._weights = {o.name: _finite(o.damage) for o in found.operators}
        self._share = {o.name: o.cost_share for o in found.operators}
        arithmetic = sum(self._share.values()) or 1.0
        elements = sum(s.elements for s in found.sites) or 1
        # A conversion's cost as a share, from the elements that all sites have together.
        self._conversion = {
            s.tensor: s.elements / elements * _OPERATIONS_PER_CONVERSION * arithmetic / 100
            for s in found.sites
        }

    def damage(self, kept: Collection[str]) -> float:
        """Returns: the sum of all noises that ``kept`` does not avoid."""
        left = sum(d for name, d in self._weights.items() if name not in kept)
        return left + sum(_finite(s.damage) for s in self._found.sites if not set(s.operators) <= set(kept))

    def cost(self, kept: Collection[str]) -> float:
        """Returns: extra time as a share of the float model's."""
        inside = set(kept)
        arithmetic = sum(self._share[name] * _SAVED_BY_INT8 + _PER_OPERATOR for name in inside)
        borders = sum(
            self._conversion[s.tensor]
            for s in self._found.sites
            if inside.intersection(s.operators) and not set(s.operators) <= inside
        )
        return arithmetic + borders

    def moves(self, kept: frozenset[str]) -> Iterable[frozenset[str]]:
        """Returns: sets to add: one operator, all around a site, all around two adjacent sites."""
        sites = [frozenset(s.operators) - kept for s in self._found.sites if s.damage > 0]
        yield from (frozenset([name]) for name in self._order if name not in kept)
        yield from (site for site in sites if site)
        worst = sorted(self._found.sites, key=lambda s: s.damage, reverse=True)[:24]
        for a in worst:
            for b in worst:
                if a.tensor < b.tensor and set(a.operators) & set(b.operators):
                    yield (frozenset(a.operators) | frozenset(b.operators)) - kept

    def ordered(self, kept: Collection[str]) -> tuple[str, ...]:
        """Returns: the operators in execution order."""
        return tuple(sorted(kept, key=self._order.__getitem__))


def _greedy(ledger: _Ledger, max_cost: float) -> list[MixedPlan]:
    kept: frozenset[str] = frozenset()
    everything = damage = ledger.damage(kept)
    cost = 0.0
    path: list[MixedPlan] = []
    while damage > everything * _GOOD_ENOUGH:
        best: tuple[float, frozenset[str], float, float] | None = None
        for move in ledger.moves(kept):
            if not move:
                continue
            new = kept | move
            gain, extra = damage - ledger.damage(new), ledger.cost(new) - cost
            score = gain / max(extra, _PER_OPERATOR)
            if gain > 0 and cost + extra <= max_cost and (best is None or score > best[0]):
                best = (score, new, damage - gain, cost + extra)
        if best is None:
            break
        _, kept, damage, cost = best
        path.append(MixedPlan(ledger.ordered(kept), max(damage, 0.0) / everything, cost))
    return path


def _spread(path: list[MixedPlan], count: int) -> list[MixedPlan]:
    """Returns: at most ``count`` plans, at remaining damages a factor apart, and the last one."""
    chosen: list[MixedPlan] = []
    step = (_GOOD_ENOUGH / _FIRST_LEVEL) ** (1 / max(count - 1, 1))
    level = _FIRST_LEVEL
    for plan in path:
        if plan.remaining <= level and len(chosen) < count:
            chosen.append(plan)
            level = plan.remaining * step
    if path and (not chosen or chosen[-1] is not path[-1]):
        chosen = [*chosen[: count - 1], path[-1]]
    return chosen


def _finite(value: float) -> float:
    return min(value, 1e6)
