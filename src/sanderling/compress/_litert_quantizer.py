"""The only file that touches ``litert-quantizer``: file in, recipe as data, quantized file out."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import RecipeError

Policy = Literal[
    "static_wi8_ai8", "static_wi4_ai8", "dynamic_wi8_afp32", "dynamic_wi4_afp32", "weightonly_wi8_afp32",
    "weightonly_wi4_afp32",
]  # fmt: skip
ArrayRange = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
_OURS = {"CONV_2D_TRANSPOSE": "TRANSPOSE_CONV"}  # the quantizer's name → TFLite's
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_VIRTUAL = {"INPUT", "OUTPUT"}


@cache
def supported(policy: Policy) -> frozenset[str]:
    """Returns: the operators, by TFLite's names, that the quantizer has for a kind of quantization."""
    from litert_quantizer import default_policy

    names = json.loads(default_policy.DEFAULT_JSON_POLICY)["ops_per_config"][policy]
    return frozenset(_OURS.get(name, name) for name in names if name not in _VIRTUAL)


def quantizer_operator(name: str) -> str:
    """Returns: the quantizer's name of an operator."""
    return _THEIRS.get(name, name)


@cache
def all_operators() -> tuple[str, ...]:
    """Returns: all operators that a rule can name, by the quantizer's names, without inputs and outputs."""
    from litert_quantizer import qtyping

    return tuple(o.value for o in qtyping.TFLOperationName if o.value not in {"*", *_VIRTUAL})


def quantize(
    source: Path, out: Path, rules: Sequence[Mapping[str, Any]], ranges: Mapping[str, ArrayRange]
) -> None:
    """Quantizes a file.

    Args:
        source: a model as ``prepare.given_names`` makes it.
        out: where the result goes. Its weights may lie outside of the flatbuffer.
        rules: the recipe in the quantizer's own form, later rules win (see ``quantizer_rules.py``).
        ranges: of activations (shape [1]), and of weights (1 in every dimension but the channels').

    Raises:
        RecipeError: the quantizer failed, with its words.
    """
    from litert_quantizer import quantizer

    statistics = {
        name: {"min": low.astype(np.float32), "max": high.astype(np.float32)}
        for name, (low, high) in ranges.items()
    }
    said = io.StringIO()
    # The boundary to a library that raises whatever its internals raise: all of it becomes one sentence.
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work = quantizer.Quantizer(str(source))
            work.load_quantization_recipe([dict(rule) for rule in rules])
            result = work.quantize(statistics, enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:
        raise RecipeError(
            f"litert-quantizer failed on this model ({type(error).__name__}: {str(error)[:300]})",
            hint="keep the operators concerned float with 'keep_float', or use another technique",
        ) from error
    if result.quantized_model is None:
        raise RecipeError("litert-quantizer returned no model")
    out.write_bytes(result.quantized_model)
