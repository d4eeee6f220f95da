"""Few values for many weights, so that any zip makes the file small: k-means, then least squares on samples.

Layers are done in the order of execution, each so that it comes closest to what it gave in the original. The
values are 8-bit integers times a power of two: quantizing to int8 or float16 afterwards changes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import check_names, require_float
from sanderling.compress.fitting.layers import Layer, array_of, layers, matrix_of
from sanderling.compress.fitting.quadratic import Matrix, Quadratic, Rows
from sanderling.compress.fitting.rebuild import Rebuilding
from sanderling.compress.fitting.variations import varied
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.quantizing.weights import AXIS
from sanderling.compress.sparsity.codebook import Codes, share
from sanderling.compress.sparsity.zipped import sizes_told
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.constant import decode
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model

NAME = "share"
KNOWN = ("values", "per", "fit", "vary", "keep_zeros", "keep", "depthwise")
LEAST, MOST = 2, 128


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Gives the weights of every tensor (or channel) few values.

    Settings:
        values: how many, from 2 to 128 (16 when absent).
        per: ``tensor`` (when absent) or ``channel``: who shares; channels keep more of the answers and make
            larger zips.
        fit: the choice is made by what operators give on the samples (true when absent); false: by k-means on
            the weights alone, without samples.
        vary: pictures moved by a pixel or two are samples too (true when absent).
        keep_zeros: weights that are zero stay zero, and zero is one of the values (true when absent).
        keep: operators to leave alone, by the name of their first output tensor.
        depthwise: weights of depthwise convolutions too (false when absent: they are few and each matters).

    Raises:
        RecipeError: a setting is wrong, there are no weights, or samples are needed.
        SampleError, InputMismatch: the feeds cannot be read, do not fit, or lead to infinite values.
    """
    wish = _read(settings)
    require_float(model, NAME)
    check_names(model, wish.keep, NAME)
    if wish.fit and work.calibration is None and work.lessons is None:
        raise RecipeError(
            f"{NAME} needs samples to choose values by what operators give",
            hint='give --samples, or the setting "fit": false',
        )
    folded = compact(fold(model))
    found = layers(folded.main, spare=wish.keep, depthwise=wish.depthwise)
    if not found:
        raise RecipeError(f"{NAME} finds no float weights", where=folded.name)
    shared = _shared(folded, found, wish, work)
    count, most = _counted(shared.main, found, wish)
    notes = (
        f"{count:,} weights of {len(found)} tensors have at most {most} values per {wish.per}; this saves "
        "room inside of a zip, not time: the arithmetic stays float",
        sizes_told(model, shared, work.folder),
    )
    return compact(shared), Applied(notes=notes)


@dataclass(frozen=True, slots=True)
class _Wish:
    """The settings of ``apply``."""

    values: int
    per: str
    fit: bool
    vary: bool
    keep_zeros: bool
    keep: tuple[str, ...]
    depthwise: bool


def _read(settings: Mapping[str, Any]) -> _Wish:
    options = Options(NAME, settings, KNOWN)
    count = options.number("values", 16, LEAST, MOST)
    if count != int(count):
        raise RecipeError(f"setting 'values' of {NAME} is {count:g}", hint="give a whole number")
    return _Wish(
        int(count),
        options.choice("per", ("tensor", "channel"), "tensor"),
        options.flag("fit", True),
        options.flag("vary", True),
        options.flag("keep_zeros", True),
        options.names("keep") or (),
        options.flag("depthwise", False),
    )


def _shared(folded: Model, found: Sequence[Layer], wish: _Wish, work: Work) -> Model:
    graph = folded.main

    def solve(layer: Layer, rows: Rows | None, weights: Matrix) -> Matrix:
        problem = None if rows is None else Quadratic(rows, weights)
        groups = _groups(graph, layer, wish.per)
        turned = layer.reader is None and _channels_are_rows(layer)
        matrix = weights.T if turned else weights
        found = share(problem, matrix, groups, wish.values, keep_zeros=wish.keep_zeros).weights()
        return found.T if turned else found

    tensors = list(graph.tensors)
    for layer in found:
        if layer.reader is None or not wish.fit:
            matrix = solve(layer, None, matrix_of(graph, layer).astype(np.float64))
            tensors[layer.tensor] = replace(tensors[layer.tensor], data=array_of(graph, layer, matrix))
    begun = folded.with_main(replace(graph, tensors=tuple(tensors)))
    if not wish.fit:
        return begun
    feeds = work.feeds(NAME)
    more = varied(folded, feeds, work) if wish.vary else feeds
    return Rebuilding(folded, found, more, work, len(feeds)).run(begun, solve)


def _channels_are_rows(layer: Layer) -> bool:
    """Returns: whether output channels are the rows of ``matrix_of``, for layers that are no product."""
    return AXIS.get(layer.op, 0) != 0


def _groups(graph: Graph, layer: Layer, per: str) -> Codes:
    """Returns: [columns] which columns of a layer's matrix share their values."""
    shape = graph.tensors[layer.tensor].shape
    rows = layer.reader is None and _channels_are_rows(layer)
    columns = shape[-1] if rows else matrix_of(graph, layer).shape[1]
    if per == "tensor":
        return np.zeros(columns, np.int64)
    # A transposed convolution has a column for each tap of a channel, other products one for each channel.
    channels = columns if rows else shape[0]
    return np.repeat(np.arange(channels), columns // channels)


def _counted(graph: Graph, found: Sequence[Layer], wish: _Wish) -> tuple[int, int]:
    """Returns: how many weights share, and the largest number of values that a tensor or channel has."""
    count = most = 0
    for layer in found:
        data = decode(graph.tensors[layer.tensor])
        axis = AXIS.get(layer.op, 0)
        parts = [data] if wish.per == "tensor" else np.moveaxis(data, axis, 0)
        most = max(most, *(np.unique(part).size for part in parts))
        count += data.size
    return count, most


TECHNIQUE = Technique(NAME, "few values for many weights: small inside of a zip, not faster", apply)
