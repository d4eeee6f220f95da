"""Which weights go: saliences, how many of each layer, and patterns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sanderling.compress.fitting.layers import Layer, laid_out, matrix_of
from sanderling.compress.fitting.quadratic import RIDGES, Mask, Matrix, Quadratic, Rows, error_of
from sanderling.compress.fitting.sampling import Rows as Samples
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph
from sanderling.graph.types import Array

SCOPES = ("global", "layer")
IMPORTANCES = ("activation", "magnitude", "taylor", "fisher")
_TINY = float(np.finfo(np.float64).tiny)
_UNSEEN = 1e-3  # how strong an input is taken to be beyond what the samples show, against the mean of all
_FEWEST_KEPT = 0.01  # of a layer's weights, under a global threshold
_BIG = 2e9  # multiply-accumulates of one step beyond which only one ridge is tried

Project = Callable[[Matrix], Mask]


def saliences(
    graph: Graph,
    found: Sequence[Layer],
    importance: str,
    before: Mapping[int, Samples],
    gradients: Mapping[int, Array] | None = None,
) -> dict[int, Matrix]:
    """Says how much every weight matters, on a scale that all layers share.

    Args:
        graph: folded.
        found: the layers.
        importance: ``activation``: mean square of what a weight adds to the output, against that of the
            output; ``magnitude``: its square against those of all weights of its layer that are as large or
            larger; ``taylor``, ``fisher``: by ``gradients``, what the answers lose without it.
        before: samples of the layers' operands, by position.
        gradients: by tensor, mean sizes for ``taylor`` and mean squares for ``fisher``.

    Returns: by tensor, [d, O] as ``matrix_of`` lays weights out.

    Sources: Sun et al., A simple and effective pruning approach for large language models (2023), eq. 1; Lee
    et al., Layer-adaptive sparsity for the magnitude-based pruning (2021), eq. 4.
    """
    told = {}
    for layer in found:
        squares = matrix_of(graph, layer).astype(np.float64) ** 2
        if gradients is not None:
            slopes = gradients.get(layer.tensor, np.zeros(graph.tensors[layer.tensor].shape))
            laid = laid_out(graph, layer, slopes).astype(np.float64)
            told[layer.tensor] = squares * laid if importance == "fisher" else np.sqrt(squares) * laid
            continue
        samples = None if layer.reader is None else before.get(layer.reader.position)
        if importance == "magnitude":
            told[layer.tensor] = _among_larger(squares)
        elif samples is None or layer.reader is None:
            told[layer.tensor] = squares / max(float(squares.sum()), _TINY)
        else:
            operand = samples.operand - samples.operand.mean(0) * layer.reader.centred
            energy = float(np.var(operand @ layer.reader.matrix, axis=0, dtype=np.float64).sum())
            strength = np.asarray(np.mean(np.square(operand), axis=0, dtype=np.float64))
            strength = strength + _UNSEEN * (float(strength.mean()) or 1.0)
            added = squares * strength[:, None]
            told[layer.tensor] = added / max(energy, float(added.sum()) * _UNSEEN, _TINY)
    return told


def _among_larger(squares: Matrix) -> Matrix:
    flat = squares.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    scores = np.empty_like(flat)
    scores[order] = flat[order] / np.maximum(np.cumsum(flat[order]), _TINY)
    return scores.reshape(squares.shape)


def kept_counts(saliences: Mapping[int, Array], sparsity: float, scope: str) -> dict[int, int]:
    """Decides how many weights of each tensor stay.

    Args:
        saliences: how much each weight matters, by tensor; comparable between tensors for ``global``.
        sparsity: share of all weights that become zero.
        scope: ``global``: one threshold for all; ``layer``: the same share of each.
    """
    if scope == "layer":
        return {index: _kept(each.size, sparsity) for index, each in saliences.items()}
    least = {index: max(1, int(each.size * _FEWEST_KEPT)) for index, each in saliences.items()}
    total = sum(each.size for each in saliences.values())
    wanted = _kept(total, sparsity)
    # Each tensor's dearest few stay whatever the threshold: a layer without weights passes nothing on.
    ranked = {index: np.sort(each, axis=None)[::-1] for index, each in saliences.items()}
    rest = np.concatenate([each[least[index] :] for index, each in ranked.items()])
    homes = np.repeat(np.arange(len(ranked)), [each.size - least[i] for i, each in ranked.items()])
    dearest = np.argsort(-rest, kind="stable")[: max(wanted - sum(least.values()), 0)]
    more = np.bincount(homes[dearest], minlength=len(ranked))
    return {index: least[index] + int(extra) for index, extra in zip(ranked, more, strict=True)}


def _kept(size: int, sparsity: float) -> int:
    return max(1, round(size * (1.0 - sparsity)))


def largest(count: int) -> Project:
    """Returns: keeps the ``count`` dearest of a matrix."""

    def project(saliences: Matrix) -> Mask:
        flat = saliences.reshape(-1)
        mask = np.zeros(flat.size, np.bool_)
        mask[np.argpartition(flat, flat.size - count)[flat.size - count :]] = True
        return mask.reshape(saliences.shape)

    return project


def pattern(kept: int, group: int) -> Project:
    """Returns: keeps the ``kept`` dearest of every ``group`` neighbouring rows."""

    def project(saliences: Matrix) -> Mask:
        grouped = saliences.reshape(-1, group, saliences.shape[1])
        order = np.argsort(-grouped, axis=1, kind="stable")
        mask = np.zeros(grouped.shape, np.bool_)
        np.put_along_axis(mask, order[:, :kept], True, axis=1)
        return mask.reshape(saliences.shape)

    return project


def parse_pattern(text: object, technique: str) -> tuple[int, int] | None:
    """Reads ``"2:4"``.

    Returns: (kept, of how many), None for no pattern.

    Raises:
        RecipeError: it is no such text.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2})", text) if isinstance(text, str) else None
    numbers = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < numbers[0] < numbers[1] <= 32:
        raise RecipeError(
            f"setting 'pattern' of {technique} is {text!r}", hint='give N:M with N < M ≤ 32, e.g. "2:4"'
        )
    return numbers


def prune_layer(rows: Rows, weights: Matrix, project: Project) -> Matrix:
    """Chooses which weights of a layer stay and fits them, held to the original by a ridge that is judged on
    held-out feeds.

    Args:
        rows: what goes in and should come out.
        weights: [d, O] the original's.
        project: which weights to keep, from their saliences.
    """
    whole = Quadratic(rows, weights)
    mask = whole.support(project)
    begin = whole.masked(mask, weights)
    if weights.shape[0] ** 2 * weights.shape[1] > _BIG or not rows.held.any() or rows.held.all():
        return begin
    fitted, judging = rows.split()
    part = Quadratic(fitted, weights)
    errors = []
    for ridge in RIDGES:
        part.ridge(ridge)
        tried = part.masked(mask, begin)
        errors.append(error_of(judging, tried, fitted.bias(tried)))
    whole.ridge(RIDGES[int(np.argmin(errors))])
    return whole.masked(mask, begin)
