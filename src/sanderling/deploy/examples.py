"""Examples for a bundle: things given, what the model is fed, and what LiteRT answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.deploy.answering import answered
from sanderling.deploy.order import Example
from sanderling.engines.registry import find
from sanderling.errors import DeployError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.pipeline.pipeline import Pipeline
from sanderling.pipeline.settle import UNASKED
from sanderling.samples.inputs import picture_of
from sanderling.samples.synthetic import synthetic_rows
from sanderling.tasks.sound import Waveform

_SEED = 0
_LOOKED_AT = 24  # samples, among which those are taken in which there is something to see
_RATE, _SOUND_SECONDS = 16_000, 4


def examples_of(
    pipeline: Pipeline, file: Path, model: Model, samples: Any, count: int
) -> tuple[Example, ...]:
    """Answers a few samples, and settles on the way what the pipeline knows of the task.

    Args:
        pipeline: of the model, on LiteRT.
        file, model: the model.
        samples: as ``Pipeline.sources`` takes them; None for noise.
        count: at most so many. Samples in which there is something to see go first: an answer of no boxes
            says little about a model, and a page is to open with a picture of which it can tell something.

    Raises:
        DeployError: no sample can be read, or the model answers with NaN or infinity.
        SampleError, UsageError: there are no samples there.
    """
    given = _noise(model, pipeline, count) if samples is None else samples
    found: list[tuple[bool, Example]] = []
    for looked, (item, answer, seen) in enumerate(pipeline.examined(pipeline.sources(given)), 1):
        whole = None if pipeline.cropper is None else picture(item.open())
        for number, each in enumerate(seen, 1):
            name = item.short or Path(item.name).name  # a bundle says nothing of this machine's folders
            name = name if len(seen) == 1 else f"{name} ({number})"
            feeds = {port: fed.array for port, fed in each.fed.items()}
            example = Example(name, each.given, feeds, {}, answer.lines, answer.data, whole)
            found.append((answer.found, example))
        telling = sum(shows for shows, _ in found)
        if telling >= count or (len(found) >= count and looked >= _LOOKED_AT):
            break
    if not found:
        raise DeployError("no sample could be read, so nothing could be compared", where=str(samples))
    found.sort(key=lambda each: not each[0])
    return tuple(_answered(file, model, [example for _, example in found[:count]]))


def _answered(file: Path, model: Model, examples: Sequence[Example]) -> Iterator[Example]:
    """Yields: the examples with the outputs of LiteRT's interpreter, as it stores them."""
    answers = answered(find("litert").load(file, model), [example.feeds for example in examples])
    for example, outputs in zip(examples, answers, strict=True):
        _require_finite(outputs, example.name)
        yield replace(example, outputs=outputs)


def _require_finite(outputs: Mapping[str, Array], where: str) -> None:
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DeployError(
                f"output {name!r} holds NaN or infinity, with which nothing can be compared",
                where=where,
                hint="give other samples, or mend the model",
            )


def _noise(model: Model, pipeline: Pipeline, count: int) -> list[Any]:
    """Returns: noise as the model takes it, pictures and sounds where it takes those. A detector finds
    nothing in noise: what it would cut out is noise as well."""
    from PIL import Image

    inputs = pipeline.machine.inputs
    asked = [port for port in pipeline.ports if port.kind.name not in UNASKED]
    if [port.kind.name for port in asked] == ["sound"]:
        signal = np.random.default_rng(_SEED).normal(0, 0.1, (_RATE * max(_SOUND_SECONDS, count), 1))
        return [Waveform(signal.astype(np.float32), _RATE)]
    rows = synthetic_rows(model, inputs, count, _SEED)
    picture = picture_of(inputs[0]) if len(inputs) == 1 and pipeline.ports[0].kind.name == "image" else None
    if picture is not None and pipeline.cropper is None:
        found = [rows.pixels(n) for n in range(len(rows))]
        pixels = [np.asarray(each, np.uint8).squeeze() for each in found if each is not None]
        if len(pixels) == len(rows) and all(p.ndim == 2 or p.shape[2] in (3, 4) for p in pixels):
            return [Image.fromarray(each) for each in pixels]
    return [dict(rows.feed(n)) for n in range(len(rows))]


def picture(item: Mapping[str, Any]) -> Any:
    """Returns: the first picture (PIL) among what was given, None without."""
    return next((raw for raw in item.values() if hasattr(raw, "getbands")), None)
