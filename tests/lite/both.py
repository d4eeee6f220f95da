"""The same calls on LiteRT's own interpreter and on ours, and whether they say the same."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import lite

# Our interpreter on LiteRT itself, and over any engine: LiteRT's and the NumPy reference, as delegates.
BACKENDS = ("itself", "litert", "reference")
ERRORS = (OverflowError, TypeError, AttributeError, OSError, ValueError, RuntimeError)


def theirs(path: Path, **options: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), **options)


def ours(path: Path, backend: str = "itself", **options: Any) -> lite.Interpreter:
    if backend != "itself":
        options["experimental_delegates"] = [lite.load_delegate(backend)]
    return lite.Interpreter(str(path), **options)


@dataclass
class Outcome:
    """What a call came to: a value, or an error of one of ``ERRORS``."""

    value: Any = None
    error: Exception | None = None

    @property
    def kind(self) -> type[Exception] | None:
        return None if self.error is None else next(kind for kind in ERRORS if isinstance(self.error, kind))


def outcome(call: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(call())
    except ERRORS as error:
        return Outcome(error=error)


def assert_same(a: Any, b: Any, where: str = "", *, ulps: int = 0) -> None:
    """Compares types, order of keys, dtypes, shapes and values, all the way down.

    Args:
        a, b: LiteRT's and ours.
        where: what is compared.
        ulps: units in the last place by which floats may differ.
    """
    assert type(a) is type(b), (where, a, b)
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}", ulps=ulps)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for position, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{position}", ulps=ulps)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        if ulps and a.dtype.kind == "f":
            np.testing.assert_array_max_ulp(a, b, ulps)
        else:
            np.testing.assert_array_equal(a, b, err_msg=where)
    else:
        assert a == b, (where, a, b)


def assert_same_outcome(a: Outcome, b: Outcome, where: str = "") -> None:
    assert a.kind is b.kind, (where, a, b)
    assert_same(a.value, b.value, where)


def assert_says(told: Outcome, words: str) -> None:
    """Checks that there is an error which says so; no words, no check."""
    if words:
        assert re.search(words, str(told.error)), told


def quiet_preserving(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Makes an interpreter that keeps all tensors, which LiteRT warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors.*")
        return make(*arguments, experimental_preserve_all_tensors=True, **options)
