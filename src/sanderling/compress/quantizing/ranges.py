"""Ranges of activations for static quantization: one run of the float model serves every method.

The float model runs once over the calibration feeds with all of its tensors preserved; each tensor's values
go into a histogram, from which minimum and maximum, percentiles, the ranges of least squared error and those
of least relative entropy can be read. The histograms are kept beside the feeds, so that five recipes
calibrate once.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting.litert import feed_inputs, invoke, load
from sanderling.compress.quantizing.histogram import HALF, Histogram, Range
from sanderling.errors import SampleError
from sanderling.graph.edit import producers
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType

METHODS = ("minmax", "percentile", "mse", "entropy")
_COUNTED = 1 << 17  # values of a tensor that go into its histogram per feed
_CACHE_VERSION = 2

Histograms = Mapping[int, Histogram]


def observe(file: Path, model: Model, feeds: Feeds, *, threads: int = 1) -> Histograms:
    """Runs a float model over the feeds, or takes what an earlier call left beside them.

    Args:
        file: the model's file, as LiteRT is to run it.
        model: the same model, read.
        feeds: calibration feeds by ``model.input_names()``.
        threads: CPU threads for LiteRT.

    Returns: by tensor index of the main graph, for every float32 input and every float32 result.

    Raises:
        InputMismatch: a feed lacks an input, or its shape or dtype does not fit.
        RunError: LiteRT cannot load or run the model.
        SampleError: every value of some tensor is NaN or infinite.
    """
    cache = feeds.file.with_name(f"{feeds.file.stem}.ranges-{_fingerprint(file, feeds)}.npz")
    if cache.exists():
        found = _read(cache)
        if found is not None:
            return found
    histograms = _run(file, model, feeds, threads)
    _write(cache, histograms)
    return histograms


def choose(histogram: Histogram, method: str, percent: float = 99.99) -> Range:
    """Returns: a tensor's range, which always holds zero.

    Args:
        histogram: of the tensor's values.
        method: one of ``METHODS``.
        percent: for ``percentile``: the share of values to keep.
    """
    if method == "percentile":
        return histogram.percentile(percent)
    if method == "mse":
        return histogram.mse()
    if method == "entropy":
        return histogram.entropy()
    return histogram.minmax()


def observed_tensors(graph: Graph) -> list[int]:
    """Returns: indices of the float32 tensors that exist at run time: inputs and results of nodes."""
    indices = dict.fromkeys([*graph.inputs, *sorted(producers(graph))])
    return [
        i for i in indices if graph.tensors[i].dtype is DType.FLOAT32 and not graph.tensors[i].is_constant
    ]


def _run(file: Path, model: Model, feeds: Feeds, threads: int) -> Histograms:
    interpreter = load(file, threads, preserve=True)
    names = model.input_names()
    wanted = observed_tensors(model.main)
    histograms = {index: Histogram() for index in wanted}
    for number, feed in enumerate(feeds):
        feed_inputs(interpreter, names, feed)
        invoke(interpreter)
        for index in wanted:
            values = _value(interpreter, index)
            if values is not None:
                histograms[index].update(values, _sample(values, number))
    empty = [i for i, h in histograms.items() if h.empty and h.ignored]
    if empty:
        raise SampleError(
            f"all values of tensor '{model.main.tensors[empty[0]].name}' are NaN or infinite",
            where=model.name,
            hint="check that the samples are preprocessed as the model expects",
        )
    return {i: h for i, h in histograms.items() if not h.empty}


def _value(interpreter: Any, index: int) -> npt.NDArray[np.float32] | None:
    """Returns: a tensor's values, None for one that this call did not compute."""
    try:
        values: npt.NDArray[np.float32] = interpreter.get_tensor(index)
    except ValueError:
        return None
    return values if values.size else None


def _sample(values: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
    """Returns: at most about ``_COUNTED`` values, evenly over all channels, others in every feed."""
    if values.size <= _COUNTED:
        return values
    step = -(-values.size // _COUNTED)
    channels = values.shape[-1] if values.ndim else 1
    while gcd(step, channels) != 1:
        step += 1
    return values.ravel()[number % step :: step]


def _fingerprint(file: Path, feeds: Feeds) -> str:
    """Returns: 16 hexadecimal digits for a model and the feeds as they are on disk now."""
    status = feeds.file.stat()
    digest = hashlib.blake2b(digest_size=8, person=b"ranges%d" % _CACHE_VERSION)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    digest.update(b"%d %d" % (status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


def _write(cache: Path, histograms: Histograms) -> None:
    order = sorted(histograms)
    rows = [histograms[i] for i in order]
    arrays = {
        "tensors": np.array(order, np.int64),
        "exponents": np.array([_NO_EXPONENT if h.exponent is None else h.exponent for h in rows], np.int64),
        "counts": np.array([h.counts for h in rows], np.int64).reshape(-1, 2 * HALF),
        "zeros": np.array([h.zeros for h in rows], np.int64),
        "extremes": np.array([[h.low, h.high] for h in rows], np.float64).reshape(-1, 2),
        "ignored": np.array([h.ignored for h in rows], np.int64),
        "channels": np.array([-1 if h.sums is None else h.sums.size for h in rows], np.int64),
        "sums": np.concatenate([np.empty(0), *(h.sums for h in rows if h.sums is not None)]),
        "rows": np.array([h.rows for h in rows], np.int64),
    }
    temporary = cache.with_suffix(".partial")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    temporary.replace(cache)  # another worker never reads half a file


_NO_EXPONENT = -(1 << 20)


def _read(cache: Path) -> Histograms | None:
    """Returns: the cached histograms, None when the file is of no use (it is then written again)."""
    try:
        with cache.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found, place = {}, 0
        for row, tensor in enumerate(arrays["tensors"]):
            exponent = int(arrays["exponents"][row])
            channels = int(arrays["channels"][row])
            sums = arrays["sums"][place : place + channels] if channels >= 0 else None
            place += max(channels, 0)
            low, high = (float(v) for v in arrays["extremes"][row])
            found[int(tensor)] = Histogram(
                None if exponent == _NO_EXPONENT else exponent,
                arrays["counts"][row],
                int(arrays["zeros"][row]),
                low,
                high,
                int(arrays["ignored"][row]),
                sums,
                int(arrays["rows"][row]),
            )
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, zlib.error):
        return None
    return found
