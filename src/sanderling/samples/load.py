"""The way in: a user's data and a model give ``Samples``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import FormatError, SampleError, UsageError
from sanderling.files import expanded
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.evidence import normalization_from_graph, plausible
from sanderling.samples.features.choose import Wanted
from sanderling.samples.inputs import Input, integer_range, keeps_state, model_inputs, picture_of
from sanderling.samples.labels import class_numbers, labels_for
from sanderling.samples.normalize import (
    HYPOTHESES,
    UNIT,
    Normalization,
    Numbers,
    channels_fit,
    choose,
    normalization_from_input,
    normalization_from_metadata,
    normalization_from_name,
    normalization_given,
)
from sanderling.samples.open import Manner, Opened, open_arrays, open_path
from sanderling.samples.reader import Reader, function_identity
from sanderling.samples.samples import Feed, Samples
from sanderling.samples.source import Source, digest
from sanderling.samples.synthetic import synthetic_rows

Run = Callable[[Feed], Sequence[Array]]
_GUESS_SAMPLES = 16


def load_samples(
    source: str | Path | Mapping[str, Any] | Array | Samples | None,
    model: Model,
    *,
    labels: str | Path | Sequence[Any] | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    scale: float | None = None,
    preprocess: str | Callable[..., Any] | None = None,
    sample_rate: int | None = None,
    front_end: Wanted = None,
    hop: float | None = None,
    tokenizer: str | Path | None = None,
    limit: int | None = None,
    count_synthetic: int = 64,
    seed: int = 0,
    run: Run | None = None,
) -> Samples:
    """Loads a user's data as inputs of a model.

    Args:
        source: a folder of images, WAV or .npy files; an image, a WAV, an .npz, .npy or .csv; arrays in
            memory (one, or by input name); a .txt of sentences, or a list of them; samples already loaded;
            None for synthetic noise.
        model: the float model; its inputs decide how the data are read.
        labels: a CSV (``file,label`` or ``index,label``), a file with one label per line, or one label
            per sample. A folder's own ``labels.csv`` is used when this is None.
        mean, std, scale: pixels are fed as (pixel × scale − mean) / std; see ``normalization_given``.
        preprocess: a function of the user's, or ``file.py:fn``; see ``reader.Reader``.
        sample_rate: Hz that WAVs are resampled to; None takes the model's metadata, else leaves them.
        front_end: makes features of WAVs: a preset's name, a JSON file or its content; None takes the
            model's own, else the one that its input's shape tells.
        hop: seconds from one window of a WAV to the next; None for the front end's own, else side by side.
        tokenizer: a ``tokenizer.json`` for sentences; None takes the one beside the model.
        limit: use at most this many samples, spread evenly over the source (the first ones of a
            stateful model).
        count_synthetic: how many samples to make up without a source.
        seed: of the synthetic noise.
        run: runs the float model once; lets a normalization that nobody stated be guessed from its answers.

    Returns: the samples. Everything that was guessed is in ``notes``.

    Raises:
        SampleError: the data cannot be read or do not fit the model.
        UsageError: an option is wrong.
    """
    if isinstance(source, Samples):
        return source if limit is None else _limited(source, limit)
    if sample_rate is not None and not 1 <= sample_rate <= 10_000_000:
        raise UsageError(f"a sample rate of {sample_rate} Hz is not possible", where="--sample-rate")
    if hop is not None and not 0 < hop < 1e6:
        raise UsageError(f"windows {hop} s apart are not possible", where="--hop")
    inputs = model_inputs(model)
    if not inputs:
        raise SampleError("the model has no inputs to feed", where=str(model.source or model.name))
    manner = Manner(model, preprocess is not None, sample_rate, hop, front_end, tokenizer)
    opened = _open(source, model, inputs, manner, count_synthetic, seed)
    notes = [*opened.source.notes, *opened.notes]
    given = normalization_given(mean, std, scale)
    settled = (
        settle_normalization(opened.source, model, inputs, given, run, seed=seed)
        if preprocess is None
        else _Settled(opened.source, UNIT, _ignored(given))
    )
    found, label_notes = _labels(settled.source, opened.label_file, labels, model)
    notes += [*settled.notes, *label_notes]
    samples = replace(
        _samples(settled, inputs, preprocess, found),
        notes=tuple(dict.fromkeys(notes)),
        synthetic=source is None,
        sequential=keeps_state(model),
    )
    if limit is not None:
        samples = _limited(samples, limit)
    samples[0]  # an unfit source is told now rather than in the middle of a search
    return samples


def _samples(
    settled: _Settled,
    inputs: tuple[Input, ...],
    preprocess: str | Callable[..., Any] | None,
    labels: Sequence[Any] | None,
) -> Samples:
    reader = Reader(settled.source, inputs, preprocess)
    return Samples(
        read=reader,
        indices=tuple(range(len(settled.source))),
        origin=settled.source.origin,
        fingerprint=_fingerprint(settled, inputs, preprocess, labels),
        labels=labels,
        thumbnail=reader.thumbnail,
        name_of=reader.name,
        # UNIT itself stands for "nothing was decided": raw pixels, or none at all.
        normalization=None if settled.normalization is UNIT else settled.normalization,
    )


def _ignored(given: Normalization | None) -> tuple[str, ...]:
    """Returns: what to tell about a normalization that a preprocess function makes pointless."""
    return (
        ()
        if given is None
        else ("mean, std and scale were not used: the preprocess function makes the inputs",)
    )


def _open(
    source: Any, model: Model, inputs: tuple[Input, ...], manner: Manner, count_synthetic: int, seed: int
) -> Opened:
    if source is None:
        if manner.preprocessed:
            raise UsageError(
                "there are no samples to preprocess", where="--preprocess", hint="give --samples"
            )
        return Opened(synthetic_rows(model, inputs, count_synthetic, seed))
    if isinstance(source, (str, Path)):
        notes: tuple[str, ...] = ()
        if manner.rate is None:
            rate, notes = _rate_from_metadata(model)
            manner = replace(manner, rate=rate)
        opened = open_path(expanded(source), inputs, manner)
        return replace(opened, notes=opened.notes + notes)
    return open_arrays(source, inputs, manner)


def _rate_from_metadata(model: Model) -> tuple[int | None, tuple[str, ...]]:
    from sanderling.tflite.metadata import read_metadata

    try:
        metadata = read_metadata(model)
    except FormatError as error:
        return None, (f"the model's metadata is damaged and was not used ({error.what})",)
    rate = metadata.inputs[0].sample_rate if metadata and metadata.inputs else 0
    return (rate, (f"the model's metadata ask for {rate} Hz",)) if rate else (None, ())


def _limited(samples: Samples, limit: int) -> Samples:
    if limit < 1:
        raise UsageError(f"got a limit of {limit} samples, at least 1 is needed", where="--limit")
    if limit >= len(samples):
        return samples
    if samples.sequential:
        return samples.first(limit)
    # Sources are often sorted by class: the first ones alone would show only one of them.
    return samples.take([int(p) for p in np.linspace(0, len(samples) - 1, limit).round()])


def _labels(
    source: Source, label_file: Path | None, given: str | Path | Sequence[Any] | None, model: Model
) -> tuple[list[Any] | None, tuple[str, ...]]:
    if given is not None:
        return labels_for(source, Path(given) if isinstance(given, str) else given, model)
    if source.labels is not None:
        return class_numbers(source.labels, model, source.origin)
    if label_file is not None:
        values, notes = labels_for(source, label_file, model)
        return values, (f"labels taken from {label_file}", *notes)
    return None, ()


def _fingerprint(settled: _Settled, inputs: tuple[Input, ...], preprocess: Any, labels: object) -> str:
    shapes = [f"{i.name}{i.dims}{i.dtype.value}{i.quant.scale if i.quant else ''}" for i in inputs]
    made = function_identity(preprocess) if preprocess is not None else ""
    how = (settled.normalization.mean, settled.normalization.std)
    return digest(settled.source.identity(), shapes, how, made, labels)


@dataclass(frozen=True, slots=True)
class _Settled:
    source: Source
    normalization: Normalization
    notes: tuple[str, ...] = ()


def settle_normalization(
    source: Source,
    model: Model,
    inputs: Sequence[Input],
    given: Normalization | None,
    run: Run | None,
    *,
    seed: int = 0,
    position: int | None = None,
) -> _Settled:
    """Decides how pixels become inputs: as given, else by metadata, else by what the file records, else
    by the first operators, else by the model's answers, else 0..1. A guess is stated as one.

    Raises:
        UsageError: the given means do not go with the picture's channels.
    """
    if position is None:
        position = next((i for i, spec in enumerate(inputs) if picture_of(spec) is not None), None)
    if given is not None:
        return _as_given(source, inputs, given)
    if position is None or not source.normalized:
        return _Settled(source, UNIT)
    spec = inputs[position]
    picture = picture_of(spec)
    assert picture is not None
    if not spec.dtype.is_float and not (spec.is_quantized and not spec.dtype.value.startswith("u")):
        return _Settled(source, UNIT, (f"input {spec.name!r} ({spec.dtype.value}) takes raw pixels",))
    notes: list[str] = []
    found = normalization_from_input(spec)
    if found is None or not spec.is_quantized:
        try:
            found = normalization_from_metadata(model, position) or found
        except FormatError as error:
            notes.append(f"the model's metadata is damaged and was not used ({error.what})")
    if found is not None and not channels_fit(found, picture):
        notes.append(f"not used, for it does not go with {picture.channels} channels: {found.why}")
        found = None
    if found is None and spec.is_quantized:
        found = _full_range(spec)
    if found is None:
        found = normalization_from_graph(model, position, picture) or normalization_from_name(spec)
    if found is None:
        found = _guess(source, model, position, spec, run)
    return _Settled(source.normalize(found), found, (*notes, found.why))


def _as_given(source: Source, inputs: Sequence[Input], given: Normalization) -> _Settled:
    for spec in inputs:
        picture = picture_of(spec)
        if picture is not None and not channels_fit(given, picture):
            raise UsageError(
                f"got {max(len(given.mean), len(given.std))} means or stds, input {spec.name!r} has"
                f" {picture.channels} channels",
                where="--mean, --std",
            )
    return _Settled(source.normalize(given), given, (given.why,))


def _full_range(spec: Input) -> Normalization | None:
    """Spreads the pixels over all the real values that a quantized input can hold."""
    if spec.quant is None or spec.quant.scale.size != 1:
        return None
    low, high = integer_range(spec.dtype)
    scale, zero = float(spec.quant.scale[0]), int(spec.quant.zero_point[0])
    if not scale > 0:
        return None
    least, most = (low - zero) * scale, (high - zero) * scale
    std = 255 / (most - least)
    name = f"{least:.3g}..{most:.3g}"
    why = f"GUESS: no normalisation was stated: pixels spread over {name}, all that the input can hold"
    return Normalization((-least * std,), (std,), name, False, why)


def _guess(source: Source, model: Model, position: int, spec: Input, run: Run | None) -> Normalization:
    picture = picture_of(spec)
    assert picture is not None
    few = sorted({int(i) for i in np.linspace(0, len(source) - 1, _GUESS_SAMPLES).round()})
    pixels = [found for i in few if (found := source.pixels(i)) is not None]
    remaining = plausible(model, position, spec, picture, pixels)
    outputs: dict[str, list[Sequence[Array]]] = {}
    if run is not None and len(remaining) > 1:
        for hypothesis in remaining:
            fed = source.normalize(hypothesis)
            outputs[hypothesis.name] = [run(fed.feed(i)) for i in few]
    best, why = choose(remaining, outputs)
    if len(remaining) == 1:
        why = f"no normalisation was stated: pixels {best.name} guessed from the first convolution's weights"
    elif len(remaining) < len(HYPOTHESES):
        why += f" (the first convolution's weights speak against {RAW_NAME})"
    return replace(best, certain=False, why=f"GUESS: {why}; give --mean and --std to be sure")


RAW_NAME = HYPOTHESES[-1].name
