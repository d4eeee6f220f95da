"""Which front end a model was trained with: stated by the user or the model, else told by its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import FormatError, SampleError, UsageError
from sanderling.files import expanded
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.features.described import FrontEnd, from_json, read_front_end
from sanderling.samples.features.micro import Gain, Micro, Noise
from sanderling.samples.features.presets import PRESETS, preset
from sanderling.samples.features.spectral import Signal, Spectral
from sanderling.samples.inputs import Input

Wanted = str | Path | Mapping[str, Any] | FrontEnd | None


@dataclass(frozen=True, slots=True)
class Table:
    """How an input holds features.

    Attributes:
        frames: how many, −1 for any.
        features: values per frame.
        bands_first: [features, frames] instead of [frames, features].
    """

    frames: int
    features: int
    bands_first: bool = False

    def arranged(self, features: Signal, spec: Input) -> Array:
        """Args: features [frames, features]. Returns: in the input's own shape."""
        rows = features.T if self.bands_first else features
        sizes = [d if d >= 0 else len(features) for d in spec.dims]
        return rows.reshape(sizes)


def table_of(spec: Input, features: int) -> Table | None:
    """Decides how an input holds features of that many values a frame.

    Returns: None where its shape does not fit them.
    """
    plain = tuple(d for d in spec.body if d != 1)
    if len(plain) == 2 and plain[1] == features:
        return Table(plain[0], features)
    if len(plain) == 2 and plain[0] == features:
        return Table(plain[1], features, bands_first=True)
    if len(plain) == 1 and plain[0] > 0 and plain[0] % features == 0:
        return Table(plain[0] // features, features)
    return None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A front end that fits an input, and how it was found; ``guessed`` from the input's shape alone."""

    front_end: FrontEnd
    table: Table
    why: str
    guessed: bool = False


def front_end_for(model: Model | None, spec: Input, wanted: Wanted = None) -> Chosen | None:
    """Decides the front end of an input.

    Args:
        model: whose input it is; None leaves its own settings out.
        wanted: a preset's name, a JSON file, its content, or a front end; None takes the model's own
            parameters, else the preset whose shape the input has.

    Returns: None when nothing was stated and nothing known fits.

    Raises:
        UsageError: there is no such preset, or the file describes no front end.
        SampleError: the one that was stated does not fit the input.
    """
    if wanted is not None:
        front_end, words = _stated(wanted)
        return _fitting(front_end, spec, words)
    own = None if model is None else _own(model)
    if own is not None:
        return _fitting(own, spec, "the front end's settings are in the model's parameters")
    for each in PRESETS:
        table = table_of(spec, each.front_end.features)
        rows = len(spec.body) > 1
        if table is not None and table.frames in each.frames and (rows or each.flat):
            why = f"GUESS: by the input's shape, features of {each.what}; give --front-end to be sure"
            return Chosen(each.front_end, table, why, guessed=True)
    return None


def _stated(wanted: str | Path | Mapping[str, Any] | FrontEnd) -> tuple[FrontEnd, str]:
    if isinstance(wanted, (Spectral, Micro)):
        return wanted, f"front end {wanted.name!r} as given"
    if isinstance(wanted, Mapping):
        return from_json(wanted, "front end"), "front end as given"
    path = expanded(wanted)
    if path.suffix.lower() == ".json":
        return read_front_end(path), f"front end of {path.name}"
    found = preset(str(wanted))
    if found is None:
        names = ", ".join(each.name for each in PRESETS)
        raise UsageError(
            f"there is no front end {str(wanted)!r}",
            where="--front-end",
            hint=f"give a .json file or one of: {names}",
        )
    return found.front_end, f"front end {found.name!r} as given: {found.what}"


def _fitting(front_end: FrontEnd, spec: Input, why: str) -> Chosen:
    table = table_of(spec, front_end.features)
    if table is None:
        raise SampleError(
            f"front end {front_end.name!r} gives frames of {front_end.features} values, which do not fit"
            f" input {spec.name!r} ({spec})",
            hint="its last axis, or its last but a trailing 1, should be that many",
        )
    if front_end.clip and table.frames > front_end.frames(front_end.clip):
        raise SampleError(
            f"front end {front_end.name!r} makes {front_end.frames(front_end.clip)} frames of a clip of"
            f" {front_end.clip} samples, input {spec.name!r} takes {table.frames}",
            hint="make its clip longer or its hop shorter",
        )
    return Chosen(front_end, table, why)


def _own(model: Model) -> Micro | None:
    """Reads the settings that Silicon Labs' toolkit writes into a model.

    Raises:
        FormatError: they are damaged, or not possible.
    """
    from sanderling.tflite.parameters import PARAMETERS, read_parameters

    found = read_parameters(model)
    if "fe.sample_rate_hz" not in found:
        return None

    def number(name: str, usual: float) -> float:
        value = found.get(f"fe.{name}", usual)
        if isinstance(value, (str, tuple)) or not np.isfinite(value) or not abs(value) < 1e9:
            raise FormatError(f"fe.{name} is {value!r}, expected a number", where=PARAMETERS)
        return float(value)

    def single(name: str, usual: float) -> float:
        return round(number(name, usual), 6)  # 0.05 was stored as 0.0500000007

    def samples(name: str, usual: float) -> int:
        return int(number(name, usual) * rate / 1000)

    rate = int(number("sample_rate_hz", 16000))
    noise = Noise(
        single("noise_reduction_even_smoothing", 0.025),
        single("noise_reduction_odd_smoothing", 0.06),
        single("noise_reduction_min_signal_remaining", 0.05),
        int(number("noise_reduction_smoothing_bits", 10)),
    )
    gain = Gain(single("pcan_strength", 0.95), number("pcan_offset", 80), int(number("pcan_gain_bits", 21)))
    settings: dict[str, Any] = {
        "window": samples("window_size_ms", 25),
        "hop": samples("window_step_ms", 10),
        "channels": int(number("filterbank_n_channels", 32)),
        "low": number("filterbank_lower_band_limit", 125),
        "high": number("filterbank_upper_band_limit", 7500),
        "noise": noise if number("noise_reduction_enable", 0) else None,
        "gain": gain if number("pcan_enable", 0) else None,
        "log_shift": int(number("log_scale_shift", 6)) if number("log_scale_enable", 1) else -1,
        "notch": single("dc_notch_filter_coefficient", 0.95) if number("dc_notch_filter_enable", 0) else 0.0,
        "output": "range" if number("quantize_dynamic_scale_enable", 0) else "int8",
        "range_db": number("quantize_dynamic_scale_range_db", 40),
        "clip": samples("sample_length_ms", 1000),
    }
    try:
        return Micro(str(found.get("name", "model's own")), rate, **settings)
    except UsageError as error:
        raise FormatError(f"its front end cannot be made: {error.what}", where=PARAMETERS) from error
