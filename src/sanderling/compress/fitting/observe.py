"""Runs a model for the values of a few inner tensors, and no further than they need."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting.litert import feed_inputs, invoke, load
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.passes import run
from sanderling.tflite import write


def observe(
    model: Model,
    tensors: Sequence[int],
    feeds: Feeds,
    file: Path,
    *,
    threads: int = 1,
    only: Collection[int] | None = None,
) -> Iterator[dict[int, Array]]:
    """Runs a model over feeds. The tensors become its outputs, so that LiteRT still computes at full speed.

    Args:
        model: a verified model.
        tensors: indices of float tensors of its main graph.
        feeds: calibration feeds by ``model.input_names()``.
        file: where to put the shortened model; replaced.
        threads: CPU threads for LiteRT.
        only: numbers of the feeds to run; None for all.

    Yields: for every feed, the tensors' values by index.

    Raises:
        InputMismatch: a feed lacks an input, or its shape or dtype does not fit.
        RunError: LiteRT cannot load or run the model.
    """
    names = model.input_names()
    given = dict(zip(model.main.inputs, names, strict=True))
    wanted = [index for index in dict.fromkeys(tensors) if index not in given]
    interpreter = None
    if wanted:
        write(_shortened(model, wanted), file)
        interpreter = load(file, threads)
    for number, feed in enumerate(feeds):
        if only is not None and number not in only:
            continue
        values = {index: feed[given[index]] for index in tensors if index in given}
        if interpreter is not None:
            feed_inputs(interpreter, names, feed)
            invoke(interpreter)
            details = interpreter.get_output_details()
            for index, detail in zip(wanted, details, strict=True):
                values[index] = interpreter.get_tensor(detail["index"])
        yield values


def _shortened(model: Model, outputs: Sequence[int]) -> Model:
    """Returns: the model with other outputs, and without what these do not need."""
    graph = replace(model.main, outputs=tuple(outputs))
    shortened = Model((graph, *model.graphs[1:]))
    return run(shortened, ("drop_dead_code",))[0]
