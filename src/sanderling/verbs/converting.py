"""The verb ``convert``: a model of another framework as ``.tflite``, or a model as ONNX, proven to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import ConvertError, UsageError
from sanderling.files import expanded

if TYPE_CHECKING:
    from sanderling.convert.conversion import Wishes
    from sanderling.convert.convert import Converted

LAYOUTS = ("keep", "nhwc")
Shape = Sequence[int]


def convert(
    source: Any,
    output: str | Path,
    *,
    samples: Any = None,
    shape: Shape | Mapping[str, Shape] | None = None,
    layout: str = "keep",
    function: str = "",
    example: Any = None,
    tolerance: float | None = None,
    strict: bool = True,
    tell: Callable[[str, int, int], None] | None = None,
    **reading: Any,
) -> Converted:
    """Converts a model and compares it with its source; the file appears only if they match.

    Args:
        source: a file (``.onnx``, ``.keras``, ``.h5``, ``.pt2``), a SavedModel folder, or a live model.
        output: the ``.tflite`` to write, or the ``.onnx``: of a ``.tflite`` or a zoo model, too.
        samples: what both are compared on: a folder or file, or arrays; None: noise.
        shape: of the only input, or by input name: fixes sizes that the source leaves open (1 is taken for
            an open batch).
        layout: ``nhwc`` takes images with channels last, whatever the source does; ``keep`` does not.
        function: which of several entry points to convert.
        example: for a live ``torch.nn.Module``: a tensor or array, the tuple of its arguments, a dict of
            named ones, or (tuple, dict).
        tolerance: largest error, as a share of an output's scale; None takes 1e-4, and of models that
            compute with integers an RMS of 3 %.
        strict: raise when the result does not match; else look at ``ok`` of what is returned.
        tell: is called with (what, done, total) while it works.
        reading: how samples are read: ``mean``, ``std``, ``scale``, ``preprocess``, ``sample_rate``,
            ``limit``.

    Raises:
        ConvertError: the source cannot be converted, or the result does not match it; names the worst output.
        MissingExtra: the source's framework is not installed.
    """
    from sanderling.convert.conversion import Wishes
    from sanderling.convert.convert import convert as make
    from sanderling.verbs.find import one_of

    path = expanded(output)
    if path.suffix.lower() not in (".tflite", ".onnx"):
        raise UsageError(f"got {path.name!r}, expected a name that ends in .tflite or .onnx", where="output")
    wishes = Wishes(_shapes(shape), one_of(layout, LAYOUTS, "layout"), function, example)
    more: Any = {"samples": samples, "reading": reading, "tolerance": tolerance, "tell": tell}
    if path.suffix.lower() == ".onnx":
        done = _onnx(source, path, wishes, more)
    else:
        done = make(source, path, wishes, **more)
    if strict and not done.ok:
        raise ConvertError(done.proof.sentence(), where=str(path), hint="nothing was written")
    return done


def _onnx(source: Any, path: Path, wishes: Wishes, more: Mapping[str, Any]) -> Converted:
    """Writes ONNX of a ``.tflite``, a zoo model, or (on the way over ``.tflite``) of anything else."""
    from sanderling.convert.to_onnx import to_onnx
    from sanderling.verbs.find import find_model

    if not isinstance(source, str | Path):
        raise UsageError(
            "ONNX is written of a .tflite", where="source", hint="convert the live model to a .tflite first"
        )
    if wishes.shapes or wishes.layout != "keep" or wishes.function or wishes.example is not None:
        raise UsageError(
            "a .tflite is written as it is", where="shape, layout, function", hint="leave these out"
        )
    return to_onnx(find_model(source), path, **more)


def _shapes(shape: Shape | Mapping[str, Shape] | None) -> dict[str, tuple[int, ...]]:
    named = shape if isinstance(shape, Mapping) else {} if shape is None else {"": shape}
    shapes = {name: tuple(int(size) for size in sizes) for name, sizes in named.items()}
    for name, sizes in shapes.items():
        if any(size < 1 for size in sizes):
            raise UsageError(f"the shape {list(sizes)} has a size below 1", where=f"shape {name}".strip())
    return shapes
