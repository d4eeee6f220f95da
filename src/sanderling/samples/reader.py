"""Reads samples one by one: a user's preprocess, checks, and a bounded cache of what was decoded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.samples.inputs import Input, fit
from sanderling.samples.samples import Feed
from sanderling.samples.source import Source, digest

CACHE_BYTES = 256 << 20


def function_identity(function: str | Callable[..., Any]) -> str:
    """Returns: the same text as long as a user's function stays the same."""
    if isinstance(function, str):
        path = Path(function.rpartition(":")[0])
        return digest(function, path.read_bytes() if path.is_file() else b"")
    code = getattr(function, "__code__", None)
    words = (
        f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
    )
    return digest(words, code.co_code if code else b"", code.co_names if code else "")


@dataclass
class Reader:
    """index → inputs of one call, checked. Can be sent to another process; the cache stays behind.

    Attributes:
        source: where the samples are.
        inputs: what the model takes.
        preprocess: the user's function, or ``file.py:fn``, or None. It is called with one sample: a PIL
            image for image files, (waveform [frames] in −1..1, rate in Hz) for WAVs, the row for arrays
            and tables (a dict of rows where there are several arrays), the path for other files. It
            returns the input's array, with or without batch axis, or a dict of arrays by input name.
    """

    source: Source
    inputs: tuple[Input, ...]
    preprocess: str | Callable[..., Any] | None = None
    _cache: OrderedDict[int, Feed] = field(default_factory=OrderedDict, repr=False)
    _cached_bytes: int = 0
    _lock: Any = field(default_factory=threading.Lock, repr=False)
    _function: Callable[..., Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "inputs": self.inputs, "preprocess": self.preprocess}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(Reader(**state).__dict__)

    def __call__(self, index: int) -> Feed:
        with self._lock:
            found = self._cache.get(index)
        if found is None:
            found = self._preprocessed(index) if self.preprocess is not None else self.source.feed(index)
            self._keep(index, found)
        return dict(found)

    def _keep(self, index: int, feed: Feed) -> None:
        """The first samples stay: a whole pass over more than fits would push out each one before its use."""
        size = sum(array.nbytes for array in feed.values())
        with self._lock:
            if index not in self._cache and self._cached_bytes + size <= CACHE_BYTES:
                for array in feed.values():
                    array.flags.writeable = False
                self._cache[index] = feed
                self._cached_bytes += size

    def _preprocessed(self, index: int) -> Feed:
        if self._function is None:
            from sanderling.runtime.user_code import user_function

            given = self.preprocess
            self._function = user_function(given, "--preprocess") if isinstance(given, str) else given
        assert self._function is not None
        name = self.source.name(index)
        try:
            made = self._function(*self.source.raw(index))
        except SampleError:
            raise
        except (Exception, SystemExit) as error:  # the user's code may raise anything; it is told, not hidden
            raise SampleError(f"preprocess failed ({type(error).__name__}: {error})", where=name) from error
        return fit_all(made, self.inputs, name)

    def thumbnail(self, index: int) -> bytes | None:
        """Returns: PNG bytes of the sample as a person would see it, or None."""
        return self.source.thumbnail(index)

    def name(self, index: int) -> str:
        """Returns: a name for people."""
        return self.source.name(index)


def fit_all(made: object, inputs: Sequence[Input], where: str) -> Feed:
    """Checks what a user's ``preprocess`` returned, adding the batch axis where it lacks.

    Raises:
        SampleError: inputs are missing, unknown, or do not fit.
    """
    if isinstance(made, Mapping):
        names = [i.name for i in inputs]
        if set(made) != set(names):
            raise SampleError(f"preprocess returned {sorted(made)}, the model takes {names}", where=where)
        arrays = [np.array(made[name]) for name in names]  # copies: a function may reuse its buffer
    elif isinstance(made, (list, tuple)) and len(inputs) > 1:
        if len(made) != len(inputs):
            raise SampleError(f"preprocess returned {len(made)} arrays for {len(inputs)} inputs", where=where)
        arrays = [np.array(value) for value in made]
    elif len(inputs) == 1:
        arrays = [np.array(made)]
    else:
        raise SampleError(
            f"preprocess returned one array, the model has {len(inputs)} inputs: return a dict", where=where
        )
    feed = {}
    for array, spec in zip(arrays, inputs, strict=True):
        bare = spec.batched and array.ndim == len(spec.dims) - 1
        feed[spec.name] = fit(array[None] if bare else array, spec, where)
    return feed
