"""A Keras file, read and converted in a process of its own, where it may crash or fill the memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.keras.archive import check
from sanderling.convert.keras.legacy import mended
from sanderling.convert.keras.lower import conversion_of, lower, told
from sanderling.convert.lowered import keep, lowered_apart
from sanderling.errors import ConvertError, FormatError

_HERE = "sanderling.convert.keras.isolated"
_MOST_WEIGHTS, _SPARE = 4, 16 << 20  # times the file's size, and bytes beyond that


def convert_file(path: Path, wishes: Wishes) -> Conversion:
    """Converts a ``.keras`` or ``.h5`` file.

    Raises:
        ConvertError, FormatError: see ``archive.check`` and ``lower``.
    """
    return conversion_of(lowered_apart("Keras", f"{_HERE}:load", path, wishes))


def load(path: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Reads and lowers a file; called in the worker.

    Returns: see ``keep``.

    Raises:
        ConvertError, FormatError: see ``archive.check``; Keras cannot read it, or it cannot be converted.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    model = read(Path(path))
    return keep(lower(model, {name: tuple(sizes) for name, sizes in shapes.items()}))


class _TooLarge(Exception):
    """A file whose config asks for more memory than its weights can fill."""


@contextmanager
def _bounded(limit: int) -> Iterator[None]:
    """Counts the bytes of the variables that Keras makes, however few letters a config needs for many."""
    from keras.src.backend import Variable

    own, made = Variable.__init__, [0]

    def counted(self: Any, initializer: Any, shape: Any = None, *args: Any, **kwargs: Any) -> None:
        made[0] += 4 * prod(size or 1 for size in shape) if shape is not None else 0
        if made[0] > limit:
            raise _TooLarge(f"describes weights of more than {limit} bytes, which the file does not hold")
        own(self, initializer, shape, *args, **kwargs)

    with patch.object(Variable, "__init__", counted):
        yield


def read(path: Path) -> Any:
    """Returns: the model of a file, by Keras on the backend that the environment names.

    Raises:
        ConvertError, FormatError: see ``archive.check``; or Keras cannot read it.
    """
    check(path)
    # A user's keras.json is of no concern to what a file means.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_HOME"] = folder
        import keras

        readable = mended(path, Path(folder))
        try:
            with _bounded(_MOST_WEIGHTS * path.stat().st_size + _SPARE):
                return keras.models.load_model(readable, compile=False, safe_mode=True)
        except _TooLarge as error:
            raise FormatError(str(error), where=str(path), hint="save it again") from None
        except Exception as error:
            raise ConvertError(
                f"Keras {keras.__version__} cannot read it ({told(error)})",
                where=str(path),
                hint="save it again as .keras with a recent Keras",
            ) from error
