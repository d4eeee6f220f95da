"""The other way: a ``.tflite`` as ONNX, compared with itself on ONNX Runtime."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sanderling.convert.conversion import Reference
from sanderling.convert.convert import Converted, beside, proof_samples
from sanderling.convert.onnx import reference_of
from sanderling.convert.proof import Tell, litert, prove
from sanderling.errors import MissingExtra, StorageError
from sanderling.graph.graph import Model
from sanderling.passes import pipeline as passes
from sanderling.tflite import write


def to_onnx(
    source: Path,
    output: Path,
    *,
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    tell: Tell | None = None,
) -> Converted:
    """Writes a ``.tflite`` as ONNX and compares both; the file appears only if they match.

    Args:
        source: the ``.tflite``.
        output: the ``.onnx`` to write.
        samples, reading, tolerance, tell: see ``convert``.

    Raises:
        UnsupportedOperator: an operator has no counterpart in ONNX.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")):
        raise MissingExtra("writing ONNX models", "onnx")
    from sanderling.onnx.write import export
    from sanderling.runtime.loading import read_model

    model = read_model(source)
    if tell is not None:
        tell(f"writing {output.name}", 0, 0)
    began = time.monotonic()
    content = export(model)
    converted = time.monotonic() - began
    with beside(output) as unproven:
        _save(unproven, content)
        began = time.monotonic()
        loaded = proof_samples(samples, model, reading or {})
        engine = f"ONNX Runtime {version('onnxruntime')}"
        result = reference_of(unproven, _edges(model, inputs=True), _edges(model, inputs=False))
        with litert(source) as run, _other_kernels(model, unproven.parent) as other:
            proof = prove(
                model, result, run, loaded, engine=engine, other=other, tolerance=tolerance, tell=tell
            )
        if proof.ok:
            unproven.replace(output)
    return Converted(
        output if proof.ok else None, model, proof, "sanderling → ONNX",
        loaded.notes, len(content), converted, time.monotonic() - began,
    )  # fmt: skip


@contextmanager
def _other_kernels(model: Model, folder: Path) -> Iterator[Reference]:
    """Runs a model on LiteRT without XNNPACK, which alone knows MediaPipe's operator."""
    path = folder / "builtin.tflite"
    write(passes.run(model, ("replace_transpose_conv_bias",))[0], path)
    with litert(path, "builtin") as run:
        yield run


def _edges(model: Model, *, inputs: bool) -> Sequence[tuple[str, tuple[int, ...]]]:
    """Returns: names of inputs or outputs, and the order of their axes, which stays."""
    names = model.input_names() if inputs else model.output_names()
    indices = model.main.inputs if inputs else model.main.outputs
    ranks = [len(model.main.tensors[i].shape) for i in indices]
    return [(name, tuple(range(rank))) for name, rank in zip(names, ranks, strict=True)]


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror or error})", where=str(path)) from None
