"""Which variant of an operator is taken: what a name means, and which ones are worth compiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from math import inf

import numpy as np

from sanderling.ops.kernel import Kernel, Limits, Variant

WORKGROUP = (64, 1, 1)  # of all kernels but cooperative ones: another shape would be another pipeline
SOFTWARE_WORKGROUP = (32, 1, 1)
WIDTHS = (32, 64, 128, 256)  # of workgroups that a tuner may choose from
MOST_NAMES = 10  # of variants among whose sets the best is looked for
# What one more kernel has to save in every call: it takes SwiftShader 65 ms to compile, is as a rule compiled
# twice (with and without a residual), and should have paid for that within 25 calls.
WORTH_MS = 2 * 65 / 25


def named(found: Sequence[Variant], name: str, limits: Limits) -> tuple[Variant, int]:
    """Returns: the variant that a name means, the first if none does; and its workgroups' width, 0 for the
    usual one.

    Args:
        name: of a variant, or with a width of ``WIDTHS`` behind it: ``direct_4x8@128``.
    """
    wanted, _, width = name.partition("@")
    known = {str(n): n for n in WIDTHS if n <= limits.invocations} | {"": 0}
    chosen = next((variant for variant in found if variant.name == wanted), None)
    return (found[0], 0) if chosen is None or width not in known else (chosen, known[width])


def frugal(found: Mapping[int, Sequence[Variant]]) -> dict[int, str]:
    """Chooses for a whole graph, where what variants cost is estimated: on software adapters.

    There compiling a kernel takes longer than many models run. So few different ones are taken: of all sets
    of variants the one for which what all nodes take and what has to be compiled is least.

    Args:
        found: position of a node → its variants, the cheapest first.

    Returns: position → name of the variant to take, for those that should not take the first.
    """
    nodes = {p: ways for p, ways in found.items() if ways and ways[0].cost_ms is not None}
    costs: dict[str, dict[int, float]] = {}
    kernels: dict[str, int] = {}
    for position, ways in nodes.items():
        for way in ways:
            if way.cost_ms is not None:
                costs.setdefault(way.name, {})[position] = way.cost_ms
                kernels[way.name] = len({k.body for k in way.kernels if isinstance(k, Kernel)})
    if not nodes:
        return {}
    names = sorted(costs)[:MOST_NAMES]
    table = np.array([[costs[name].get(p, inf) for p in nodes] for name in names])
    best, least = np.zeros(0, np.intp), inf
    for chosen in chain.from_iterable(combinations(range(len(names)), n) for n in range(1, len(names) + 1)):
        rows = table[list(chosen)]
        total = rows.min(axis=0).sum() + WORTH_MS * sum(kernels[names[k]] for k in chosen)
        if total < least:
            best, least = np.array(chosen)[rows.argmin(axis=0)], total
    taken = dict(zip(nodes, (names[k] for k in best), strict=False))
    return {position: name for position, name in taken.items() if name != nodes[position][0].name}
