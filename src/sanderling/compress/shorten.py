"""Fewer layers: whole blocks of a transformer or a residual network go, what remains keeps its weights.

A block adds something to what passes by, so the network without it still computes, only not the same. Which
blocks can best be missed is measured: each time the one goes without which the answers on the samples stay
closest to the original's. Without training the answers suffer soon; ``distill`` brings them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import Feeds, load_feeds
from sanderling.compress.eligible import require_float
from sanderling.compress.fitting.answers import answers, unexplained_variance
from sanderling.compress.fitting.observe import observe
from sanderling.compress.learning.stream import Block, blocks, without
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.passes import run

NAME = "shorten"
_FEEDS = 16  # more order the blocks no better
_VALUES = 50_000_000  # of the original's answers, kept in memory
_SHOWN = 8


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Removes blocks.

    Settings:
        layers: how many blocks remain, from 0 to as many as there are; half of them when absent.
        keep: instead of ``layers``: numbers of the blocks that remain, from zero, in the graph's order.
        choose: with ``layers``: ``damage`` removes what the answers on the samples can best do without,
            ``spacing`` keeps the first, the last, and evenly spaced ones between. ``damage`` when absent,
            and ``spacing`` where there are no samples.

    Raises:
        RecipeError: a setting is wrong, or the model has no blocks that can be removed.
        SampleError, InputMismatch: the feeds cannot be read or do not fit.
    """
    options = Options(NAME, settings, ("layers", "keep", "choose"))
    choose = options.choice("choose", ("damage", "spacing"), "damage" if work.calibration else "spacing")
    require_float(model, NAME)
    model = fold(model)
    found = blocks(model.main)
    if not found:
        raise RecipeError(
            f"{NAME} finds no blocks to remove: no operators whose results are only added to what they read",
            where=model.name,
            hint="use another technique for this model, slim for example",
        )
    kept = _told(settings, len(found))
    if kept is None:
        count = _layers(settings, len(found))
        damage = choose == "damage" and count < len(found)
        kept = _least_damage(model, found, count, work) if damage else _spaced(len(found), count)
    gone = [block for number, block in enumerate(found) if number not in kept]
    if not gone:
        return model, Applied(notes=("all blocks stay",))
    graph, _ = without(model.main, gone)
    shorter, _ = run(model.with_main(graph), ("drop_dead_code",))
    return shorter, Applied(notes=(_note(model.main, found, kept),))


def _told(settings: Mapping[str, Any], count: int) -> frozenset[int] | None:
    """Returns: the numbers of the blocks that are to remain, None when they are not told."""
    told = settings.get("keep")
    if told is None:
        return None
    listed = isinstance(told, list | tuple)
    numbers = list(told) if listed else []
    whole = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < count for n in numbers)
    if not listed or not whole or "layers" in settings:
        raise RecipeError(
            f"setting 'keep' of {NAME} is {told!r}",
            hint=f"give a list of numbers from 0 to {count - 1}, and no 'layers' beside it",
        )
    return frozenset(numbers)


def _layers(settings: Mapping[str, Any], count: int) -> int:
    value = settings.get("layers", max(1, count // 2))
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= count:
        raise RecipeError(
            f"setting 'layers' of {NAME} is {value!r}",
            hint=f"the model has {count} blocks that can go, give a whole number from 0 to {count}",
        )
    return value


def _spaced(count: int, layers: int) -> frozenset[int]:
    """Returns: numbers at equal distances, the first and the last among them."""
    if layers < 2:
        return frozenset(range(layers))
    return frozenset(int(n) for n in np.linspace(0, count - 1, layers).round())


def _least_damage(model: Model, found: Sequence[Block], layers: int, work: Work) -> frozenset[int]:
    """Removes blocks one by one, each time the one that the answers can best do without."""
    if work.calibration is None:
        raise RecipeError(f"{NAME} needs samples to measure which blocks matter", hint="give --samples")
    judge = _Judge(model, load_feeds(work.calibration), work)
    kept = frozenset(range(len(found)))
    while len(kept) > layers:
        trials = [kept - {number} for number in sorted(kept)]
        errors = [judge.error([b for n, b in enumerate(found) if n not in trial]) for trial in trials]
        kept = trials[int(np.argmin(errors))]
    return kept


class _Judge:
    """Compares shortened models with the original on samples."""

    def __init__(self, model: Model, feeds: Feeds, work: Work) -> None:
        self.model, self.feeds, self.work = model, feeds, work
        self.tensors = answers(model.main)
        size = sum(model.main.tensors[index].type.size for index in self.tensors)
        self.numbers = frozenset(range(min(len(feeds), max(1, min(_FEEDS, _VALUES // max(size, 1))))))
        self.want = self._run(model, self.tensors)

    def error(self, gone: Sequence[Block]) -> float:
        """Returns: how far the answers are from the original's without these blocks."""
        graph, moved = without(self.model.main, gone)
        tensors = [moved.get(index, index) for index in self.tensors]
        got = self._run(self.model.with_main(graph), tensors)
        pairs = list(zip(self.tensors, tensors, strict=True))
        error = unexplained_variance(
            self.tensors, self.want, [{old: values[new] for old, new in pairs} for values in got]
        )
        return error if np.isfinite(error) else float("inf")

    def _run(self, model: Model, tensors: Sequence[int]) -> list[dict[int, Array]]:
        file = self.work.folder / "part.tflite"
        runs = observe(model, tensors, self.feeds, file, threads=self.work.threads, only=self.numbers)
        return list(islice(runs, len(self.numbers)))


def _note(graph: Graph, found: Sequence[Block], kept: frozenset[int]) -> str:
    numbers = ", ".join(str(number) for number in sorted(kept)[:_SHOWN])
    more = f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else ""
    which = f" (numbers {numbers}{more}, counted from zero)" if kept else ""
    nodes = sum(len(b.nodes) for n, b in enumerate(found) if n not in kept)
    return f"{len(kept)} of {len(found)} blocks remain{which}, {nodes} of {len(graph.nodes)} operators go"


TECHNIQUE = Technique(
    NAME,
    "fewer layers: blocks of a transformer or residual network go; faster everywhere, to be trained then",
    apply,
)
