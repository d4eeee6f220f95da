"""Milliseconds as a function of the groups' widths, from measurements of one group at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sanderling.compress.slimming.tracer import ChannelMap
from sanderling.compress.slimming.widths import Counts, Macs
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph

Table = Mapping[str, Mapping[str, float]]
_ROUNDS = 200
_TINY = 1e-12


def check(table: object, found: ChannelMap) -> Table:
    """Returns: a table of latencies as it stands in a recipe, {group: {width: ms}}.

    Raises:
        RecipeError: it is none, or is about other channels than the model's.
    """
    if not isinstance(table, Mapping) or not table:
        raise _wrong(f"is {table!r}, expected an object: group of channels → width → ms")
    sizes = {group.name: len(group) for group in found.groups}
    for name, row in table.items():
        if name not in sizes:
            raise _wrong(f"names '{name}', the model has no channels of that name that can go")
        if not isinstance(row, Mapping) or str(sizes[name]) not in row:
            raise _wrong(f"lacks the time of '{name}' at its full width of {sizes[name]}")
        for width, ms in row.items():
            number = isinstance(ms, int | float) and not isinstance(ms, bool) and 0 < ms < float("inf")
            if not number or not str(width).isdigit() or not 0 < int(width) <= sizes[name]:
                raise _wrong(f"says {ms!r} ms for {width!r} channels of '{name}'")
    return table


def _wrong(what: str) -> RecipeError:
    return RecipeError(f"setting 'latency' of slim {what}", hint="give what optimize measured on the device")


class Latency(Macs):
    """Estimates the latency of a call.

    An operator takes the time that its share of its channels' widths says, as arithmetic does; but a width
    counts for what was measured (12 channels may take as long as 16), and how long the whole operator takes
    follows from the measured times of all groups around it.
    """

    def __init__(self, graph: Graph, found: ChannelMap, table: Table) -> None:
        """Reads a table that ``check`` let through.

        Args:
            graph: what ``channels.trace`` saw.
            found: what it found.
            table: milliseconds of the operators around a group, by its name and width.
        """
        super().__init__(graph, found)
        full = np.array([float(table.get(g.name, {}).get(str(len(g)), np.nan)) for g in found.groups])
        around = np.zeros((len(full), self._work.size), np.bool_)
        if self._work.size:
            around |= (self._wide + self._narrow)[:, :-1].T > 0
        self._fit(full, around)
        self._effective: list[tuple[Counts, Counts]] = []
        for number, group in enumerate(found.groups):
            row = table.get(group.name)
            measured = sorted((int(width), float(ms)) for width, ms in row.items()) if row else []
            self._effective.append(self._shares_left(number, measured, len(group)))

    def _fit(self, full: Counts, around: npt.NDArray[np.bool_]) -> None:
        """Turns the operators' arithmetic into milliseconds that add up, around every group, to what was
        measured: iterative proportional fitting from what the arithmetic alone would say."""
        known = np.flatnonzero(~np.isnan(full))
        macs = sum(float(self._work[around[group]].sum()) for group in known)
        rate = float(np.nansum(full)) / max(macs, _TINY)
        self._work, self._fixed = self._work * rate, self._fixed * rate
        for _ in range(_ROUNDS):
            for group in known:
                inside = around[group]
                total = float(self._work[inside].sum())
                if total > 0:
                    self._work[inside] *= (full[group] / total) ** 0.5  # damped: the measurements disagree

    def _shares_left(
        self, number: int, measured: list[tuple[int, float]], size: int
    ) -> tuple[Counts, Counts]:
        """Returns: widths, and for each the share of the full width that it counts for."""
        widths, shares = [0.0], [0.0]
        whole = measured[-1][1] if measured else 1.0
        slowest = 0.0
        for width, ms in measured:
            slowest = max(slowest, ms)  # a narrower group is never slower: it could be padded
            widths.append(float(width))
            shares.append(max(self._share(number, min(slowest / whole, 1.0)), shares[-1]))
        if widths[-1] < size:
            widths.append(float(size))
            shares.append(1.0)
        shares[-1] = 1.0
        shares[0] = shares[1] if measured else 0.0  # nothing is known below the narrowest that was measured
        return np.array(widths), np.array(shares)

    def _share(self, number: int, ratio: float) -> float:
        """Returns: the share of a group's channels with which its operators would take this part of their
        time: the root of a quadratic, as some operators read and write the same group."""
        if not self._work.size:
            return ratio
        wide, narrow = self._wide[:, number], self._narrow[:, number]
        inside = (wide + narrow) > 0
        work, wide, narrow = self._work[inside], wide[inside], narrow[inside]
        square = float(np.sum(work * wide * narrow))
        linear = float(np.sum(work * (wide * (1 - narrow) + narrow * (1 - wide))))
        rest = float(np.sum(work * (1 - wide) * (1 - narrow))) - ratio * float(work.sum())
        if square < _TINY * max(linear, _TINY):
            root = -rest / max(linear, _TINY)
        else:
            root = (-linear + max(linear**2 - 4 * square * rest, 0.0) ** 0.5) / (2 * square)
        return float(np.clip(root, 0.0, 1.0))

    def _left(self, widths: Counts) -> Counts:
        columns = [np.interp(widths[:, g], *curve) for g, curve in enumerate(self._effective)]
        return np.stack(columns, axis=1) if columns else np.ones_like(widths)
