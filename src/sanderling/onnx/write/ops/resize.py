"""Images in another size."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import Array
from sanderling.onnx.write.builder import Value, first_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


@tflite_op("RESIZE_BILINEAR")
def bilinear(call: Call) -> list[Value]:
    sizes, target = call.shape()[1:3], call.out_shape()[1:3]
    return [_resize(call, _scales(sizes, target), _transformation(call), mode="linear")]


@tflite_op("RESIZE_NEAREST_NEIGHBOR")
def nearest(call: Call) -> list[Value]:
    """Looked up, position by position, where ONNX's rounding picks another neighbour than TFLite's."""
    sizes, target = call.shape()[1:3], call.out_shape()[1:3]
    picked = [_picked(call, size, out) for size, out in zip(sizes, target, strict=True)]
    transformation = _transformation(call)
    if transformation == "asymmetric":
        scales = _scales(sizes, target)
        theirs = [
            np.floor(np.arange(out, dtype=np.float32) / np.float32(scale)).astype(np.int64)
            for out, scale in zip(target, scales, strict=True)
        ]
        if all(np.array_equal(a, b) for a, b in zip(picked, theirs, strict=True)):
            return [_resize(call, scales, transformation, mode="nearest", nearest_mode="floor")]
    name, order = call.read(0, first_order(4)), first_order(4)
    for axis, positions in enumerate(picked):
        name = call.op("Gather", name, call.constant(positions), axis=2 + axis)
    return [call.give(name, order)]


def _resize(call: Call, scales: tuple[float, ...], transformation: str, **attrs: str) -> Value:
    order = first_order(4)
    factors = call.constant(np.array((1, 1, *scales), np.float32))
    result = call.op(
        "Resize", call.read(0, order), "", factors, coordinate_transformation_mode=transformation, **attrs
    )
    return call.give(result, order)


def _transformation(call: Call) -> str:
    if call.attr("align_corners", False):
        return "align_corners"
    return "half_pixel" if call.attr("half_pixel_centers", False) else "asymmetric"


def _scales(sizes: tuple[int, ...], target: tuple[int, ...]) -> tuple[float, ...]:
    """Returns: factors (float32) from which ONNX's rule, ⌊size × factor⌋, leads to the target."""
    found = []
    for size, out in zip(sizes, target, strict=True):
        factor = np.float32(out / size)
        while size * float(factor) < out:
            factor = np.nextafter(factor, np.float32(np.inf))
        found.append(float(factor))
    return tuple(found)


def _picked(call: Call, size: int, out: int) -> Array:
    """Returns: the positions that TFLite takes.

    Source: TFLite ``kernels/internal/reference/reference_ops.h``, GetNearestNeighbor.
    """
    align, half = bool(call.attr("align_corners", False)), bool(call.attr("half_pixel_centers", False))
    scale = np.float32((size - 1) / (out - 1)) if align and out > 1 else np.float32(size) / np.float32(out)
    places = (np.arange(out, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    # C's roundf: halves away from zero
    rounded = np.floor(places + np.float32(0.5)) if align else np.floor(places)
    picked: Array = np.minimum(np.maximum(rounded.astype(np.int64), 0), size - 1)
    return picked
