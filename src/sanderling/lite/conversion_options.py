"""The names with which scripts written for ``tf.lite.TFLiteConverter`` say what they want."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from sanderling.errors import UsageError


@enum.unique
class Optimize(enum.Enum):
    """How to shrink a model. All of TensorFlow's names mean the same by now: quantize."""

    DEFAULT = "DEFAULT"
    OPTIMIZE_FOR_SIZE = "OPTIMIZE_FOR_SIZE"
    OPTIMIZE_FOR_LATENCY = "OPTIMIZE_FOR_LATENCY"
    EXPERIMENTAL_SPARSITY = "EXPERIMENTAL_SPARSITY"


@enum.unique
class OpsSet(enum.Enum):
    """Which operators the result may have.

    ``TFLITE_BUILTINS_INT8`` leaves no float operator where LiteRT has an integer kernel;
    ``EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8`` keeps 16 bits of activations. Operators of
    TensorFlow itself never come out: ``SELECT_TF_OPS`` is taken and has no effect.
    """

    TFLITE_BUILTINS = "TFLITE_BUILTINS"
    SELECT_TF_OPS = "SELECT_TF_OPS"
    TFLITE_BUILTINS_INT8 = "TFLITE_BUILTINS_INT8"
    EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 = (
        "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
    )


class RepresentativeDataset:
    """Samples that ranges of activations are found on.

    Args:
        input_gen: a function without arguments that yields one list of arrays, or a dict by input name, for
            each sample.
    """

    def __init__(self, input_gen: Callable[[], Iterable[Any]]) -> None:
        self.input_gen = input_gen


class TargetSpec:
    """What the result may be made of.

    Attributes:
        supported_ops: members of ``OpsSet``.
        supported_types: ``[np.float16]`` stores weights in half precision; ``[np.int8]`` is as
            ``TFLITE_BUILTINS_INT8``.
    """

    def __init__(self, supported_ops: Any = None, supported_types: Any = None) -> None:
        self.supported_ops = {OpsSet.TFLITE_BUILTINS} if supported_ops is None else supported_ops
        self.supported_types = set() if supported_types is None else supported_types


def member(kind: type[enum.Enum], value: object, where: str) -> Any:
    """Returns: a member, which may also be of TensorFlow's own enumeration.

    Raises:
        UsageError: there is none of that name.
    """
    name = value.name if isinstance(value, enum.Enum) else str(value)
    if name not in kind.__members__:
        known = ", ".join(kind.__members__)
        raise UsageError(f"there is no {name!r}", where=where, hint=f"take one of {kind.__name__}: {known}")
    return kind.__members__[name]


def dtype_of(value: Any, where: str) -> np.dtype[Any]:
    """Returns: NumPy's dtype, also of one of TensorFlow's.

    Raises:
        UsageError: it is none.
    """
    try:
        found: np.dtype[Any] = np.dtype(getattr(value, "as_numpy_dtype", value))
    except TypeError:
        raise UsageError(f"got {value!r}, expected a dtype such as np.int8", where=where) from None
    return found
