"""Convolutions of rows, images and volumes, and their transposed forms."""

from __future__ import annotations

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.window import Window, as_row, from_image, image_of, padded, padding, window_of


@onnx_op("Conv")
def conv(call: Call) -> list[Value]:
    weights = call.value(1)
    shape = call.builder.shape(weights)
    image, spatial = image_of(call)
    frame = window_of(call, call.attr("kernel_shape", shape[2:]), call.shape()[2:])
    if spatial == 1:
        weights = _as_rows(call, weights)
        frame = as_row(frame)
    index = _convolve(call, image, weights, frame, int(call.attr("group", 1)))
    return [from_image(call, index, spatial)]


def _as_rows(call: Call, weights: Value) -> Value:
    """Returns: weights [O, I, K] as [O, I, 1, K]."""
    o, i, k = call.builder.shape(weights)
    return call.plain(call.builder.reshape(call.builder.plain(weights), (o, i, 1, k)))


def _convolve(call: Call, image: int, weights: Value, frame: Window, groups: int) -> int:
    builder = call.builder
    sizes = builder.graph.tensors[image].shape[1:-1]
    word, pads = padding(frame, sizes)
    image = padded(call, image, pads)
    filters, depth = builder.shape(weights)[:2]
    channels = builder.graph.tensors[image].shape[-1]
    if channels != depth * groups or filters % groups:
        raise UnsupportedOperator(
            f"{channels} channels, {groups} groups and {filters} filters of depth {depth}"
        )
    bias = _bias(call, 2, filters)
    if len(frame.kernel) == 3:
        return _volume(call, image, weights, bias, frame, word, groups)
    steps = _steps(frame, word)
    if groups == channels and depth == 1 and groups > 1:
        kernel = builder.stored(weights, (1, 2, 3, 0))
        return call.emit(
            "DEPTHWISE_CONV_2D", (image, kernel, bias), depth_multiplier=filters // channels, **steps
        )
    kernel = builder.stored(weights, (0, 2, 3, 1))
    return call.emit("CONV_2D", (image, kernel, bias), **steps)


def _steps(frame: Window, word: str) -> dict[str, object]:
    return {
        "padding": word, "stride_h": frame.strides[0], "stride_w": frame.strides[1],
        "dilation_h_factor": frame.dilations[0], "dilation_w_factor": frame.dilations[1],
        "fused_activation_function": "NONE",
    }  # fmt: skip


def _bias(call: Call, position: int, filters: int) -> int:
    given = call.optional(position)
    if given is not None:
        return call.builder.plain(given)
    return call.builder.constant(np.zeros(filters, np.float32), f"{call.name}/bias").index


def _volume(call: Call, image: int, weights: Value, bias: int, frame: Window, word: str, groups: int) -> int:
    steps = {
        "padding": word, "fused_activation_function": "NONE",
        **{f"stride_{axis}": frame.strides[i] for i, axis in enumerate("dhw")},
        **{f"dilation_{axis}_factor": frame.dilations[i] for i, axis in enumerate("dhw")},
    }  # fmt: skip
    kernel = call.builder.stored(weights, (2, 3, 4, 1, 0))
    if groups == 1:
        return call.emit("CONV_3D", (image, kernel, bias), **steps)
    parts = [
        call.emit("CONV_3D", (part, kernel_part, bias_part), **steps)
        for part, kernel_part, bias_part in zip(
            split(call, image, 4, groups), split(call, kernel, 4, groups), split(call, bias, 0, groups),
            strict=True,
        )
    ]  # fmt: skip
    return call.emit("CONCATENATION", parts, axis=4, fused_activation_function="NONE")


def split(call: Call, index: int, axis: int, count: int) -> list[int]:
    """Returns: a tensor cut in equal parts along an axis."""
    if count == 1:
        return [index]
    operand = call.builder.constant(np.array(axis, np.int32)).index
    return call.builder.emit_many("SPLIT", (operand, index), count, name=call.name, num_splits=count)


_ALONE = {"fused_activation_function": "NONE"}


@onnx_op("ConvTranspose")
def conv_transpose(call: Call) -> list[Value]:
    weights = call.value(1)
    image, spatial = image_of(call)
    if spatial == 3:
        raise UnsupportedOperator("a transposed convolution of volumes")
    if spatial == 1:
        i, o, k = call.builder.shape(weights)
        weights = call.plain(call.builder.reshape(call.builder.plain(weights), (i, o, 1, k)))
    weights = _dilated(call, weights, spatial)
    groups = int(call.attr("group", 1))
    kernel = call.builder.shape(weights)[2:]
    sizes = call.builder.graph.tensors[image].shape[1:3]
    strides = _raised(call, "strides", spatial, 1)
    crops, out = _crops(call, sizes, kernel, strides, spatial)
    filters = call.builder.shape(weights)[1] * groups
    # Beyond the last element that the kernel reaches there is the bias alone, which has to come later then.
    beyond = any(
        c + o > (s - 1) * t + k for c, o, s, t, k in zip(crops, out, sizes, strides, kernel, strict=True)
    )
    bias = _bias(call, 2, filters) if call.has(2) and not beyond else -1
    biases = split(call, bias, 0, groups) if bias >= 0 else [-1] * groups
    kernels = split(call, call.builder.plain(weights), 0, groups)
    parts = [
        _transposed(call, (part, call.plain(kernel_part), bias_part), strides, crops, out)
        for part, kernel_part, bias_part in zip(split(call, image, 3, groups), kernels, biases, strict=True)
    ]
    index = parts[0] if groups == 1 else call.emit("CONCATENATION", parts, axis=3, **_ALONE)
    if beyond and call.has(2):
        index = call.emit("ADD", (index, _bias(call, 2, filters)), **_ALONE)
    return [from_image(call, index, spatial)]


def _raised(call: Call, name: str, spatial: int, default: int) -> tuple[int, ...]:
    given = tuple(call.attr(name, (default,) * spatial))
    return (default, *given) if spatial == 1 else given


def _dilated(call: Call, weights: Value, spatial: int) -> Value:
    """Returns: weights with zeros between them, in place of a dilation that TFLite has not."""
    dilations = _raised(call, "dilations", spatial, 1)
    if max(dilations) == 1:
        return weights
    known = call.builder.known(weights)
    if known is None:
        raise UnsupportedOperator("a dilation with weights that only a run tells")
    i, o, h, w = known.shape
    wide = np.zeros((i, o, (h - 1) * dilations[0] + 1, (w - 1) * dilations[1] + 1), known.dtype)
    wide[:, :, :: dilations[0], :: dilations[1]] = known
    return call.builder.constant(wide, f"{call.name}/weights")


def _crops(
    call: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], spatial: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns: how many rows and columns to leave out in front, and the sizes of the result."""
    full = tuple((s - 1) * t + k for s, t, k in zip(sizes, strides, kernel, strict=True))
    extra = _raised(call, "output_padding", spatial, 0)
    wanted = call.node.attrs.get("output_shape")
    auto = call.attr("auto_pad", "NOTSET")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        # A kernel smaller than its stride does not reach that far, and ONNX Runtime adds nothing.
        wanted = tuple(min(s * t, f) for s, t, f in zip(sizes, strides, full, strict=True))[-spatial:]
    if wanted is not None:
        out = tuple(wanted)[-spatial:]
        out = (1, *out) if spatial == 1 else out
        total = tuple(max(0, f + e - o) for f, e, o in zip(full, extra, out, strict=True))
        # Only SAME_UPPER leaves the odd element out behind. Source: ONNX operator ConvTranspose.
        return tuple(t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total), out
    given = tuple(call.attr("pads", (0,) * (2 * spatial)))
    before, behind = given[:spatial], given[spatial:]
    if spatial == 1:
        before, behind = (0, *before), (0, *behind)
    out = tuple(f + e - a - b for f, e, a, b in zip(full, extra, before, behind, strict=True))
    return tuple(before), out


def _transposed(
    call: Call, operands: tuple[int, Value, int], strides: tuple[int, ...], crops: tuple[int, ...],
    out: tuple[int, ...],
) -> int:  # fmt: skip
    """Adds a TRANSPOSE_CONV by weights [inputs, outputs, height, width], and what cuts the result to size."""
    image, weights, bias = operands
    builder = call.builder
    batch, *sizes, _ = builder.graph.tensors[image].shape
    _, filters, *kernel = builder.shape(weights)
    full = [(s - 1) * t + k for s, t, k in zip(sizes, strides, kernel, strict=True)]
    # SAME cuts half of what is too much in front.
    same = all(
        -(-o // t) == s and c == max(0, f - o) // 2
        for o, t, s, c, f in zip(out, strides, sizes, crops, full, strict=True)
    )
    shape = builder.integers(batch, *(out if same else full), filters)
    given = (shape, builder.stored(weights, (1, 2, 3, 0)), image, *((bias,) if bias >= 0 else ()))
    index = call.emit("TRANSPOSE_CONV", given, padding="SAME" if same else "VALID", stride_h=strides[0],
                      stride_w=strides[1], **_ALONE)  # fmt: skip
    return index if same else _cropped(call, index, crops, out)


def _cropped(call: Call, index: int, crops: tuple[int, ...], out: tuple[int, ...]) -> int:
    """Returns: the rows and columns that are wanted, zeros where there are none."""
    shape = call.builder.graph.tensors[index].shape
    lacking = [max(0, c + o - size) for c, o, size in zip(crops, out, shape[1:3], strict=True)]
    index = padded(call, index, tuple((0, each) for each in lacking))
    shape = call.builder.graph.tensors[index].shape
    if shape[1:3] == out:
        return index
    begin = call.builder.integers(0, *crops, 0)
    size = call.builder.integers(shape[0], *out, shape[3])
    return call.emit("SLICE", (index, begin, size))
