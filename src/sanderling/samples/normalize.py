"""From pixels (0..255) to what a model was trained on: stated, read from the model, or guessed aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.errors import FormatError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input, Picture, integer_range

Numbers = float | Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Normalization:
    """real = (pixel − mean) / std, with pixels in 0..255; one value, or one per channel.

    Attributes:
        mean, std: in units of pixels.
        name: for people: ``0..1``.
        certain: it was given or read from the model, not guessed.
        why: where it comes from, one sentence, stated to the user.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str = ""
    certain: bool = False
    why: str = ""

    def __call__(self, pixels: Array) -> npt.NDArray[np.float32]:
        """Args: pixels [...,C] in 0..255. Returns: float32 of the same shape."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        normalized: npt.NDArray[np.float32] = (np.asarray(pixels, np.float32) - mean) / std
        return normalized


UNIT = Normalization((0.0,), (255.0,), "0..1")
SIGNED = Normalization((127.5,), (127.5,), "-1..1")
RAW = Normalization((0.0,), (1.0,), "0..255")
HYPOTHESES = (UNIT, SIGNED, RAW)


def normalization_given(mean: Numbers, std: Numbers, scale: float | None) -> Normalization | None:
    """Reads what the user stated: real = (pixel × scale − mean) / std.

    Means and deviations of at most 1 without a scale (torchvision's 0.485 / 0.229) count pixels from 0 to
    1, so the scale is then 1/255.

    Raises:
        UsageError: a deviation or scale is zero or not finite, or the lengths do not go together.
    """
    if mean is None and std is None and scale is None:
        return None
    means = np.atleast_1d(np.asarray(0.0 if mean is None else mean, np.float64))
    stds = np.atleast_1d(np.asarray(1.0 if std is None else std, np.float64))
    fractions = bool(means.any()) and float(np.abs(means).max()) <= 1 and float(np.abs(stds).max()) <= 1
    used = scale if scale is not None else (1 / 255 if fractions else 1.0)
    numbers = np.concatenate([means, stds, [used]])
    if not np.isfinite(numbers).all() or used == 0 or not stds.all():
        raise UsageError(
            "mean, std and scale must be finite, and std and scale not zero", where="--mean, --std, --scale"
        )
    if 1 not in (means.size, stds.size) and means.size != stds.size:
        raise UsageError(
            f"mean has {means.size} values and std {stds.size}",
            where="--mean, --std",
            hint="give one, or one per channel",
        )
    why = f"normalisation as given: (pixel x {used:.6g} - {_words(means)}) / {_words(stds)}"
    if fractions and scale is None:
        why += " (mean and std are at most 1, so pixels were taken as 0..1)"
    return Normalization(_tuple(means / used), _tuple(stds / used), "given", True, why)


def _words(values: npt.NDArray[np.float64]) -> str:
    return f"{values[0]:g}" if values.size == 1 else "[" + ", ".join(f"{v:g}" for v in values) + "]"


def _tuple(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def normalization_from_metadata(model: Model, position: int = 0) -> Normalization | None:
    """Reads NormalizationOptions of an input from the model's TFLite metadata.

    Returns: the normalization, or None when the model states none.

    Raises:
        FormatError: the metadata is damaged.
    """
    from sanderling.tflite.metadata import read_metadata

    metadata = read_metadata(model)
    if metadata is None or position >= len(metadata.inputs):
        return None
    tensor = metadata.inputs[position]
    if not tensor.mean or not tensor.std:
        return None
    mean, std = np.asarray(tensor.mean), np.asarray(tensor.std)
    # Pixels of 0..255 must stay finite in single precision; damaged files state deviations of 1e-40.
    if not np.isfinite([*mean, *std]).all() or np.abs(std).min() < 1e-30 or np.abs(mean).max() > 1e8:
        raise FormatError(
            f"the metadata's normalisation is unusable: mean {mean}, std {std}", where=model.name
        )
    if 1 not in (mean.size, std.size) and mean.size != std.size:
        raise FormatError(f"the metadata gives {mean.size} means and {std.size} stds", where=model.name)
    name = f"mean {_words(mean)}, std {_words(std)}"
    why = f"normalisation from the model's metadata: {name}"
    return Normalization(_tuple(mean), _tuple(std), name, True, why)


def normalization_from_range(low: float, high: float, why: str) -> Normalization | None:
    """Maps pixels 0..255 to the range of real values that an input was made for.

    Args:
        low, high: the range, as the file records it.
        why: where the range stands, to be stated.

    Returns: one of the usual normalizations where the range is close to it, else None.
    """
    for hypothesis, ends in ((UNIT, (0, 1)), (SIGNED, (-1, 1)), (RAW, (0, 255)), (RAW, (-128, 127))):
        tolerance = 0.03 * (ends[1] - ends[0])
        if abs(low - ends[0]) <= tolerance and abs(high - ends[1]) <= tolerance:
            mean = (128.0,) if ends[0] == -128 else hypothesis.mean
            name = "-128..127" if ends[0] == -128 else hypothesis.name
            return Normalization(mean, hypothesis.std, name, True, f"pixels fed as {name}: {why}")
    return None


def normalization_from_input(spec: Input) -> Normalization | None:
    """Reads the range of pixels off an input's own quantization, or the range recorded with it."""
    quant = spec.quant
    if quant is None:
        return None
    if spec.is_quantized and quant.scale.size == 1:
        low, high = integer_range(spec.dtype)
        scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
        ends = ((low - zero) * scale, (high - zero) * scale)
        return normalization_from_range(*ends, f"the input's scale {scale:.6g} and zero point {zero} say so")
    if quant.min.size == 1 and quant.max.size == 1:
        ends = (float(quant.min[0]), float(quant.max[0]))
        return normalization_from_range(*ends, "the range recorded with the input says so")
    return None


def normalization_from_name(spec: Input) -> Normalization | None:
    """Reads the range off a name that a well-known exporter gives to nothing else."""
    if "normalized_input_image_tensor" not in spec.name:
        return None
    why = (
        f"pixels fed as {SIGNED.name}: TensorFlow's object detection exporter names such inputs {spec.name!r}"
    )
    return Normalization(SIGNED.mean, SIGNED.std, SIGNED.name, False, why)


def choose(
    hypotheses: Sequence[Normalization], outputs_by_hypothesis: Mapping[str, Sequence[Sequence[Array]]]
) -> tuple[Normalization, str]:
    """Guesses the normalization from a classifier's answers under each hypothesis.

    A classifier fed the right range tells its inputs apart and is sure; fed the wrong one it tends to
    give the same class to everything. Anything that is not a classifier gives no evidence, and the first
    hypothesis stands.

    Args:
        hypotheses: what may be, the default first.
        outputs_by_hypothesis: hypothesis name → outputs of each sample, in the model's order.

    Returns: the choice and one sentence that says why, and that it is a guess.
    """
    default = hypotheses[0]
    scores: dict[str, tuple[float, float]] = {}
    for hypothesis in hypotheses:
        answers = _distributions(outputs_by_hypothesis.get(hypothesis.name, ()))
        if answers is not None:
            mean = answers.mean(axis=0)
            diversity = float(-(mean * np.log(mean + 1e-12)).sum())
            scores[hypothesis.name] = (float(answers.max(axis=1).mean()), diversity)
    if len(hypotheses) == 1 or len(scores) < len(hypotheses):
        return default, f"no normalisation was stated: pixels {default.name} assumed"
    most_diverse = max(diversity for _, diversity in scores.values())
    fair = [h for h in hypotheses if scores[h.name][1] >= 0.5 * most_diverse]
    best = max(fair, key=lambda h: scores[h.name][0])
    # Close calls prove nothing: the default stands unless another one is clearly surer.
    if default in fair and scores[best.name][0] < scores[default.name][0] + 0.02:
        best = default
    words = ", ".join(f"{h.name}: {scores[h.name][0]:.2f}" for h in hypotheses)
    return best, (
        f"no normalisation was stated: pixels {best.name} guessed from the model's answers"
        f" (mean top probability {words})"
    )


def _distributions(samples: Sequence[Sequence[Array]]) -> npt.NDArray[np.float64] | None:
    """Returns: [samples, classes] probabilities of the first output that is a distribution, or None."""
    if len(samples) < 4:
        return None
    for output in range(len(samples[0])):
        rows = [np.asarray(s[output], np.float64).reshape(-1) for s in samples]
        if len({r.size for r in rows}) != 1 or not 2 <= rows[0].size <= 25_000:
            continue
        table = np.stack(rows)
        if np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(axis=1), 1, atol=0.05):
            return table
    return None


def channels_fit(normalization: Normalization, picture: Picture) -> bool:
    """Returns: whether the means and deviations go with the picture's number of channels."""
    return all(len(v) in (1, picture.channels) for v in (normalization.mean, normalization.std))
