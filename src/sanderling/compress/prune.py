"""Fewer weights: the least important become zero, the others make up for them on the samples.

Which weights stay and what they become is solved for each layer by itself, in the order of execution, so that
the layer comes closest to what it gave in the original. Training may follow, without labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import check_names, require_float
from sanderling.compress.fitting.layers import Layer, array_of, layers, matrix_of
from sanderling.compress.fitting.quadratic import Mask, Matrix, Rows
from sanderling.compress.fitting.rebuild import Rebuilding
from sanderling.compress.fitting.variations import varied
from sanderling.compress.learning.pupils import trainable
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.sparse import encoded_model
from sanderling.compress.sparsity.prune_training import Pupil, Training
from sanderling.compress.sparsity.pruning import (
    IMPORTANCES,
    SCOPES,
    Project,
    kept_counts,
    largest,
    parse_pattern,
    pattern,
    prune_layer,
    saliences,
)
from sanderling.compress.sparsity.zipped import sizes_told
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.constant import decode
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.training.regularize import REGULARIZERS
from sanderling.training.teach import Schedule

NAME = "prune"
KNOWN = (
    "sparsity", "scope", "pattern", "importance", "fit", "vary", "keep_dense", "depthwise", "encode",
    "minutes", "steps", "seed", "rate", "batch", "stages", "regularizer", "lambda",
)  # fmt: skip
NO_FASTER = "zeros save room, not time: LiteRT's convolutions and XNNPACK multiply by them too"
_SHOWN, _CHARACTERS = 4, 40


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Makes weights zero and fits the others.

    Settings:
        sparsity: share of the weights that become zero, from 0.05 to 0.99 (0.5 when absent).
        scope: ``global``: layers that matter less lose more (when absent); ``layer``: all lose the same
            share.
        pattern: instead of ``sparsity``: ``"2:4"``: of every 4 neighbouring input channels 2 weights stay.
        importance: ``activation``: weights by what they add to the output of their layer on the samples (when
            absent); ``magnitude``: by size alone, in relation to the larger ones of their layer; ``taylor``,
            ``fisher``: by size or square of gradients and weights, which needs the extra ``train``.
        fit: the remaining weights make up for the others by least squares (true when absent).
        vary: pictures moved by a pixel or two are samples too (true when absent).
        keep_dense: operators to leave alone, by the name of their first output tensor.
        depthwise: weights of depthwise convolutions too (false when absent: they are few and each matters).
        encode: store sparse weights without their zeros where that is smaller (true when absent).
        minutes: time for training towards the original's answers, which needs the extra ``train`` (0 when
            absent: not at all).
        steps, seed, batch: as for ``recover``.
        rate: the highest learning rate, as a share of each tensor's typical value (0.001 when absent).
        stages: in how many steps the zeros come while it trains, many at first and few at last; 0 (when
            absent): training begins where the fit ends.
        regularizer: ``none`` (when absent), ``l1``, ``l2`` or ``group``: draws weights towards zero while it
            trains, ``group`` whole output channels.
        lambda: how strongly: its share in the loss at the start (0.01 when absent).

    Raises:
        RecipeError: a setting is wrong, there is nothing to prune, or samples are needed.
        MissingExtra: PyTorch is needed and not installed.
        UnsupportedOperator: an operator cannot be trained through.
        SampleError, InputMismatch: the feeds cannot be read, do not fit, or lead to infinite values.
    """
    wish = _read(settings)
    require_float(model, NAME)
    check_names(model, wish.keep_dense, NAME)
    needed = wish.fit or wish.importance != "magnitude" or wish.training is not None
    if needed and work.calibration is None and work.lessons is None:
        raise RecipeError(
            f"{NAME} needs samples to find the weights that matter and to fit them",
            hint='give --samples, or the settings "fit": false and "importance": "magnitude"',
        )
    folded = compact(fold(model)) if wish.training is None else trainable(model)
    every = layers(folded.main, spare=wish.keep_dense, depthwise=wish.depthwise)
    found = [each for each in every if _divides(folded.main, each, wish.pattern)]
    if not found:
        raise RecipeError(f"{NAME} finds no float weights{_why(wish, len(every))}", where=folded.name)
    pruned, told = _pruned(folded, found, wish, work)
    encoded, count = encoded_model(pruned) if wish.encode else (pruned, 0)
    notes = [*_notes(pruned.main, every, found, wish), *told]
    if count:
        notes.append(f"{count} tensors of weights are stored without their zeros")
    notes += [NO_FASTER, sizes_told(model, encoded, work.folder)]
    return compact(encoded), Applied(notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class _Wish:
    """The settings of ``apply``."""

    sparsity: float
    scope: str
    pattern: tuple[int, int] | None
    importance: str
    fit: bool
    vary: bool
    keep_dense: tuple[str, ...]
    depthwise: bool
    encode: bool
    training: Training | None


def _read(settings: Mapping[str, Any]) -> _Wish:
    options = Options(NAME, settings, KNOWN)
    group = parse_pattern(settings.get("pattern"), NAME)
    if group is not None and not {"sparsity", "scope"}.isdisjoint(settings):
        raise RecipeError(
            f"{NAME} is given a 'pattern' and a 'sparsity' or 'scope'",
            hint="a pattern says both",
        )
    return _Wish(
        options.number("sparsity", 0.5, 0.05, 0.99),
        options.choice("scope", SCOPES, "global"),
        group,
        options.choice("importance", IMPORTANCES, "activation"),
        options.flag("fit", True),
        options.flag("vary", True),
        options.names("keep_dense") or (),
        options.flag("depthwise", False),
        options.flag("encode", True),
        _training(options),
    )


def _training(options: Options) -> Training | None:
    """Returns: how to train, None for not at all."""
    regularizer = options.choice("regularizer", REGULARIZERS, "none")
    minutes = options.number("minutes", 0.0, 0.0, 10_000.0)
    if not minutes:
        if regularizer != "none":
            raise RecipeError(f"a regularizer of {NAME} works while it trains", hint="give 'minutes'")
        return None
    schedule = Schedule(
        minutes,
        int(options.number("steps", 0, 0, 1e7)) or None,
        int(options.number("batch", 32, 1, 4096)),
        options.number("rate", 1e-3, 1e-6, 1.0),
        int(options.number("seed", 0, 0, 2**31)),
    )
    return Training(
        schedule,
        int(options.number("stages", 0, 0, 100)),
        regularizer,
        options.number("lambda", 0.01, 0.0, 100.0),
    )


def _pruned(folded: Model, found: Sequence[Layer], wish: _Wish, work: Work) -> tuple[Model, tuple[str, ...]]:
    """Returns: the pruned model, and what training came to."""
    rebuilding = _rebuilding(folded, found, wish, work)
    before = {} if rebuilding is None else rebuilding.before

    def choose(share: float, graph: Graph, gradients: Mapping[int, Array] | None) -> dict[int, Mask]:
        scores = saliences(graph, found, wish.importance, before, gradients)
        projects = _projects(scores, wish, share)
        return {index: projects[index](each) for index, each in scores.items()}

    training = wish.training
    if training is not None and training.stages:
        pupil = Pupil(folded, folded, found, work, training.schedule.seed)
        model, taught = pupil.train(choose, wish.importance, training)
        return model, taught.told()
    gradients = None
    if wish.importance in ("taylor", "fisher"):
        gradients = Pupil(folded, folded, found, work, 0).gradients(wish.importance)
    scores = saliences(folded.main, found, wish.importance, before, gradients)
    projects = _projects(scores, wish, 1.0)

    def solve(layer: Layer, rows: Rows, weights: Matrix) -> Matrix:
        return prune_layer(rows, weights, projects[layer.tensor])

    fit = rebuilding is not None and wish.fit
    masks = {e.tensor: projects[e.tensor](scores[e.tensor]) for e in found if not fit or e.reader is None}
    pruned = _thinned(folded, found, masks)
    if rebuilding is not None and wish.fit:
        pruned = rebuilding.run(pruned, solve)
    if training is None:
        return pruned, ()
    model, taught = Pupil(pruned, folded, found, work, training.schedule.seed).train(
        choose, wish.importance, training
    )
    return model, taught.told()


def _rebuilding(folded: Model, found: Sequence[Layer], wish: _Wish, work: Work) -> Rebuilding | None:
    staged = wish.training is not None and wish.training.stages > 0
    if not (wish.fit and not staged) and wish.importance != "activation":
        return None
    feeds = work.feeds(NAME)
    more = varied(folded, feeds, work) if wish.vary else feeds
    return Rebuilding(folded, found, more, work, len(feeds))


def _projects(scores: Mapping[int, Matrix], wish: _Wish, share: float) -> dict[int, Project]:
    """Returns: by tensor, which weights to keep when a share of what is to go has gone."""
    if wish.pattern is None:
        counts = kept_counts(scores, wish.sparsity * share, wish.scope)
        return {index: largest(count) for index, count in counts.items()}
    kept, group = wish.pattern
    return dict.fromkeys(scores, pattern(max(kept, round(group - share * (group - kept))), group))


def _thinned(folded: Model, found: Sequence[Layer], masks: Mapping[int, Mask]) -> Model:
    """Returns: the model with zeros where masks [d, O] say so."""
    graph = folded.main
    tensors = list(graph.tensors)
    for layer in found:
        if layer.tensor in masks:
            weights = tensors[layer.tensor]
            matrix = np.where(masks[layer.tensor], matrix_of(graph, layer), np.float32(0))
            tensors[layer.tensor] = replace(weights, data=array_of(graph, layer, matrix))
    return folded.with_main(replace(graph, tensors=tuple(tensors)))


def _divides(graph: Graph, layer: Layer, group: tuple[int, int] | None) -> bool:
    """Returns: whether a pattern fits into the innermost dimension of a layer's weights."""
    return group is None or graph.tensors[layer.tensor].shape[-1] % group[1] == 0


def _why(wish: _Wish, every: int) -> str:
    if every and wish.pattern is not None:
        return f" whose input channels come in groups of {wish.pattern[1]}"
    return ""


def _notes(graph: Graph, every: Sequence[Layer], found: Sequence[Layer], wish: _Wish) -> list[str]:
    shares = []
    zeros, total = 0, 0
    for layer in found:
        data = decode(graph.tensors[layer.tensor])
        gone = data.size - int(np.count_nonzero(data))
        zeros, total = zeros + gone, total + data.size
        shares.append((gone / data.size, layer.name.split(";")[0][-_CHARACTERS:]))
    shares.sort(reverse=True)
    shown = ", ".join(f"{name} {share:.0%}" for share, name in shares[:_SHOWN])
    more = f" and {len(shares) - _SHOWN} more" if len(shares) > _SHOWN else ""
    notes = [f"{zeros / total:.1%} of {total:,} weights are zero: {shown}{more}"]
    if len(every) > len(found) and wish.pattern is not None:
        odd = len(every) - len(found)
        notes.append(f"{odd} tensors stay dense: their channels do not come in groups of {wish.pattern[1]}")
    unfitted = sum(layer.reader is None for layer in found)
    if wish.fit and unfitted:
        notes.append(f"{unfitted} tensors of weights could not be fitted and lost their smallest only")
    return notes


TECHNIQUE = Technique(NAME, "the weights that matter least become zero: for size, not for speed", apply)
