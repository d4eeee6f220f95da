"""What every engine is held against: LiteRT's reference kernels, or its builtin ones where it has none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from sanderling.engines.registry import find
from sanderling.errors import ModelError, RunError
from sanderling.graph.constant import real
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType
from sanderling.tflite import write
from tests.conformance.variants import Variant

# LiteRT's set of reference kernels lacks these, or has wrong ones: LOCAL_RESPONSE_NORMALIZATION sums one
# channel too few, SUM on integers forgets the scales.
NO_REFERENCE = {
    "CEIL", "ELU", "LOCAL_RESPONSE_NORMALIZATION", "ROUND", "SEGMENT_SUM", "STABLEHLO_AND",
    "STABLEHLO_SHIFT_LEFT", "SUM",
}  # fmt: skip


class NoKernelError(Exception):
    """LiteRT has no kernel for these types; the text says what it answered."""


def ask(variant: Variant, folder: Path) -> tuple[Model, Path, list[Array], list[Array]]:
    """Runs a variant in LiteRT without XNNPACK.

    Returns: the model, its file, what it was fed, and the outputs.

    Raises:
        NoKernelError: LiteRT refuses it.
    """
    model, fed = variant.build()
    path = folder / f"{variant.id}.tflite"
    write(model, path)
    kernels = "builtin" if variant.op.name in NO_REFERENCE else "reference"
    try:
        outputs = run(path, model, fed, kernels)
    except (ModelError, RunError) as error:
        raise NoKernelError(str(error)) from None
    return model, path, fed, outputs


answer = cache(ask)


def ask_weight_only(variant: Variant, folder: Path) -> list[Array]:
    """Returns: LiteRT's outputs when its weights are the real numbers that the integers stand for."""
    model, fed = variant.build()
    graph = model.main
    tensors = tuple(
        replace(t, data=real(t), type=replace(t.type, dtype=DType.FLOAT32, quant=None)) if t.quant else t
        for t in graph.tensors
    )
    path = folder / f"{variant.id}-weight-only.tflite"
    written = model.with_main(replace(graph, tensors=tensors))
    write(written, path)
    return run(path, written, fed, "reference")


weight_only_answer = cache(ask_weight_only)


def run(path: Path, model: Model, fed: list[Array], kernels: str) -> list[Array]:
    """Returns: LiteRT's outputs with the given kernels."""
    runner = find("litert").load(path, model, options={"kernels": kernels})
    try:
        return runner.run(fed)
    finally:
        runner.close()
