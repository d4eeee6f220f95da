"""Resizing of images: by TFLite's kernels where they mean the same, else as products with fixed matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.onnx.read.builder import Value, last_order
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.ops.pad import gathered
from sanderling.onnx.read.registry import onnx_op


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis that changes its size: from, to, and ONNX's scale."""

    size: int
    out: int
    scale: float


@onnx_op("Resize", "Upsample")
def resize(call: Call) -> list[Value]:
    sizes = call.shape()
    axes = _axes(call, sizes)
    changing = [axis for axis, each in enumerate(axes) if each.size != each.out or each.scale != 1.0]
    if not changing:
        return [call.value(0)]
    mode = str(call.attr("mode", "nearest"))
    rule = _rule(call)
    if mode == "nearest":
        places = {axis: _nearest(call, axes[axis], rule) for axis in changing}
        return [_taken(call, axes, changing, places)]
    if mode not in ("linear", "bilinear", "cubic"):
        raise UnsupportedOperator(f"the mode {mode!r}")
    if mode != "cubic" and changing == [2, 3] and len(sizes) == 4:
        fast = _bilinear(call, axes, rule)
        if fast is not None:
            return [fast]
    return [_mixed(call, axes, changing, mode, rule)]


def _rule(call: Call) -> str:
    if call.node.op == "Upsample" or call.opset < 11:
        return "asymmetric"
    return str(call.attr("coordinate_transformation_mode", "half_pixel"))


def _axes(call: Call, sizes: tuple[int, ...]) -> list[_Axis]:
    named = [axis % len(sizes) for axis in call.attr("axes", tuple(range(len(sizes))))]
    found = [_Axis(size, size, 1.0) for size in sizes]
    scales, wanted = _stated(call)
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    if wanted is not None:
        if policy != "stretch":
            pick = min if policy == "not_larger" else max
            ratio = pick(w / sizes[axis] for w, axis in zip(wanted, named, strict=True))
            wanted = tuple(int(np.floor(ratio * sizes[axis] + 0.5)) for axis in named)
            scales = (ratio,) * len(named)
        for i, (out, axis) in enumerate(zip(wanted, named, strict=True)):
            scale = scales[i] if scales is not None else out / sizes[axis]
            found[axis] = _Axis(sizes[axis], int(out), scale)
    elif scales is not None:
        for scale, axis in zip(scales, named, strict=True):
            found[axis] = _Axis(sizes[axis], int(np.floor(sizes[axis] * scale)), float(scale))
    else:
        raise UnsupportedOperator("neither scales nor sizes")
    return found


def _stated(call: Call) -> tuple[tuple[float, ...] | None, tuple[int, ...] | None]:
    """Returns: scales and sizes, of which one is there."""
    place = 1 if call.node.op == "Upsample" or call.opset < 11 else 2
    if "scales" in call.node.attrs:
        return tuple(call.node.attrs["scales"]), None
    if call.has(3):
        return None, tuple(int(each) for each in call.known(3, "sizes").reshape(-1))
    if call.has(place):
        return tuple(float(each) for each in call.known(place, "scales").reshape(-1)), None
    return None, None


def _coordinates(axis: _Axis, rule: str) -> Array:
    """Returns: where each element of the result lies in the source [out].

    Source: ONNX operator Resize, ``coordinate_transformation_mode``.
    """
    x = np.arange(axis.out, dtype=np.float64)
    match rule:
        case "half_pixel":
            return (x + 0.5) / axis.scale - 0.5
        case "pytorch_half_pixel":
            return (x + 0.5) / axis.scale - 0.5 if axis.out > 1 else np.zeros(axis.out)
        case "align_corners":
            return x * (axis.size - 1) / (axis.out - 1) if axis.out > 1 else np.zeros(axis.out)
        case "asymmetric":
            return x / axis.scale
        case "tf_half_pixel_for_nn":  # of opsets 11 and 12, and what tf2onnx writes in all
            return (x + 0.5) / axis.scale
        case "half_pixel_symmetric":
            adjusted = axis.out / (axis.scale * axis.size)
            return axis.size / 2 * (1 - adjusted) + (x + 0.5) / axis.scale - 0.5
        case _:
            raise UnsupportedOperator(f"the rule {rule!r}")


def _nearest(call: Call, axis: _Axis, rule: str) -> Array:
    x = _coordinates(axis, rule)
    kind = str(call.attr("nearest_mode", "round_prefer_floor"))
    if call.node.op == "Upsample" or call.opset < 11:
        kind = "floor"
    rounding: dict[str, Callable[[Array], Array]] = {
        "floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    }  # fmt: skip
    if kind not in rounding:
        raise UnsupportedOperator(f"the rounding {kind!r}")
    return np.asarray(np.clip(rounding[kind](x), 0, axis.size - 1)).astype(np.int64)


def _taken(call: Call, axes: list[_Axis], changing: list[int], places: dict[int, Array]) -> Value:
    x = call.value(0)
    if len(axes) == 4 and set(changing) <= {2, 3}:
        every = {axis: places.get(axis, np.arange(axes[axis].size)) for axis in (2, 3)}
        for centers in (False, True):
            if all(np.array_equal(_tflite_nearest(axes[a], centers), every[a]) for a in (2, 3)):
                operand = call.builder.integers(axes[2].out, axes[3].out)
                image = call.builder.stored(x, last_order(4))
                index = call.emit("RESIZE_NEAREST_NEIGHBOR", (image, operand), align_corners=False,
                                  half_pixel_centers=centers)  # fmt: skip
                return Value(index, last_order(4))
    index = x.index
    for axis in changing:
        index = gathered(call, index, x.order.index(axis), places[axis])
    return Value(index, x.order)


def _tflite_nearest(axis: _Axis, centers: bool) -> Array:
    """Returns: which elements TFLite's RESIZE_NEAREST_NEIGHBOR takes [out]."""
    scale = np.float32(axis.size) / np.float32(axis.out)
    offset = np.float32(0.5 if centers else 0.0)
    taken = np.floor((np.arange(axis.out, dtype=np.float32) + offset) * scale)
    return np.asarray(np.minimum(taken, axis.size - 1)).astype(np.int64)


def _bilinear(call: Call, axes: list[_Axis], rule: str) -> Value | None:
    """Returns: what RESIZE_BILINEAR gives, None where it would give something else."""
    exact = all(abs(axis.out - axis.size * axis.scale) < 1e-6 for axis in axes[2:])
    flags = {"align_corners": (True, False), "half_pixel": (False, True), "pytorch_half_pixel": (False, True),
             "asymmetric": (False, False), "half_pixel_symmetric": (False, True)}.get(rule)  # fmt: skip
    small = rule == "pytorch_half_pixel" and min(axis.out for axis in axes[2:]) == 1
    if flags is None or not exact or small or call.attr("exclude_outside", 0) or call.attr("antialias", 0):
        return None
    image = call.builder.stored(call.value(0), last_order(4))
    operand = call.builder.integers(axes[2].out, axes[3].out)
    index = call.emit(
        "RESIZE_BILINEAR", (image, operand), align_corners=flags[0], half_pixel_centers=flags[1]
    )
    return Value(index, last_order(4))


def _mixed(call: Call, axes: list[_Axis], changing: list[int], mode: str, rule: str) -> Value:
    """Returns: each axis that changes multiplied by the matrix [out, in] of its weights."""
    if call.attr("antialias", 0):
        raise UnsupportedOperator("resizing that filters before it (antialias)")
    x = call.value(0)
    for axis in changing:
        weights = _weights(call, axes[axis], mode, rule)
        order = (*(a for a in x.order if a != axis), axis)
        operand = call.constant(weights).index
        index = call.emit(
            "FULLY_CONNECTED", (call.builder.stored(x, order), operand, -1), fused_activation_function="NONE",
            weights_format="DEFAULT", keep_num_dims=True, asymmetric_quantize_inputs=False,
        )  # fmt: skip
        x = Value(index, order)
    return x


def _weights(call: Call, axis: _Axis, mode: str, rule: str) -> Array:
    x = _coordinates(axis, rule)
    base = np.floor(x).astype(np.int64)
    part = x - base
    if mode == "cubic":
        near, factors = range(-1, 3), _cubic(part, float(call.attr("cubic_coeff_a", -0.75)))
    else:
        near, factors = range(2), [1 - part, part]
    matrix = np.zeros((axis.out, axis.size))
    rows = np.arange(axis.out)
    for step, factor in zip(near, factors, strict=True):
        place = base + step
        inside = (place >= 0) & (place < axis.size)
        kept = np.where(inside, factor, 0.0) if call.attr("exclude_outside", 0) else factor
        np.add.at(matrix, (rows, np.clip(place, 0, axis.size - 1)), kept)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _cubic(part: Array, a: float) -> list[Array]:
    """Returns: the weights of the four neighbours. Source: Keys, 1981, equation 15, with free ``a``."""

    def near(d: Array) -> Array:
        return np.asarray((a + 2) * d**3 - (a + 3) * d**2 + 1)

    def far(d: Array) -> Array:
        return np.asarray(a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a)

    return [far(1 + part), near(part), near(1 - part), far(2 - part)]
