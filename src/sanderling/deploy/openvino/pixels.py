"""Pre-processing inside the network: it is given bytes of pixels, and resizes, normalizes and stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.deploy.order import Example, Order
from sanderling.engines.openvino import library
from sanderling.graph.types import Array, DType
from sanderling.samples.inputs import Input, Picture, picture_of
from sanderling.samples.pixels import encode, in_colours
from sanderling.tasks.input_kind import find_kind
from sanderling.tasks.inputs.image import ImageInput

# Pillow's filters, which OpenVINO repeats; to it the picture of any size is given where there is one.
_RESIZING = {"bilinear": "RESIZE_BILINEAR_PILLOW", "bicubic": "RESIZE_BICUBIC_PILLOW"}
_LAYOUTS = ("NHWC", "NCHW")
_MOST_STEPS = 32  # of 256: beyond, it is another picture


@dataclass(frozen=True, slots=True)
class Inside:
    """An input whose pixels are prepared in the network.

    Attributes:
        position: of the input.
        settings: how a picture becomes the model's own input.
        spec: that input.
        picture: where height, width and channels are in it.
    """

    position: int
    settings: ImageInput
    spec: Input
    picture: Picture

    @property
    def resizes(self) -> bool:
        """Whether it takes pictures of any size: the whole picture is shown, by a filter that there is."""
        own = self.settings
        greyed = own.colour == "grey" and self.picture.channels > 1
        return own.resize == "stretch" and own.central == 1 and own.filter in _RESIZING and not greyed

    @property
    def outside(self) -> ImageInput:
        """What is left to be done to a picture before."""
        colour = "rgb" if self.settings.colour == "bgr" else self.settings.colour
        return replace(self.settings, mean=None, std=None, colour=colour, invert=False)

    @property
    def taken(self) -> Input:
        """What the network takes: bytes, with channels last, at the input's own size."""
        batch = self.spec.dims[0]
        dims = (batch, self.picture.height, self.picture.width, self.picture.channels)
        return Input(self.spec.name, dims, dims, DType.UINT8, None, True)


def inside(order: Order) -> tuple[tuple[Inside, ...], str]:
    """Decides which inputs' pixels are prepared in the network.

    Returns: they, and why a picture is not among them; "" where all are.
    """
    found, reason = [], ""
    for position, (spec, settings) in enumerate(zip(order.inputs, order.spec.inputs, strict=False)):
        picture = picture_of(spec)
        if not isinstance(settings, ImageInput) or picture is None:
            continue
        one = Inside(position, settings, spec, picture)
        why = _unfit(one, order.examples)
        if why:
            reason = f"input {spec.name!r} takes what run.py prepares, not pixels: {why}"
        else:
            found.append(one)
    return tuple(found), reason


def _unfit(one: Inside, examples: Sequence[Example]) -> str:
    spec = one.spec
    if one.picture.layout not in _LAYOUTS:
        return f"its layout is {one.picture.layout}"
    if spec.dtype.is_packed or (spec.dtype.numpy.kind != "f" and spec.dtype.numpy.itemsize > 1):
        return f"it is {spec.dtype.value}"
    if not spec.dtype.is_float and not spec.is_quantized and one.settings.mean is not None:
        return f"it is {spec.dtype.value} without a scale, and has a normalization"
    if any(pixels(one, example) is None for example in examples):
        return "the samples are numbers that no pixels give"
    return ""


def pixels(one: Inside, example: Example) -> Array | None:
    """Returns: what the network is fed for an example, uint8 [N,H,W,C]; None where no pixels give that."""
    given, name = example.given.get(one.spec.name), one.spec.name
    if hasattr(given, "getbands"):
        found = find_kind("image").feed(given, one.outside, one.taken, example.name)
        return np.asarray(found.array)
    back = _back(one, example.feeds[name])
    if np.abs(back - np.rint(back)).max(initial=0) > 1e-2 or back.min() < -0.5 or back.max() > 255.5:
        return None
    return np.asarray(np.rint(back).astype(np.uint8))


def resized_off(one: Inside, example: Example) -> float:
    """Returns: the largest difference of an example's picture as the network resizes it from Pillow's, in
    steps of 256: OpenVINO rounds some pixels to the neighbour."""
    ov = library.load()
    from openvino import opset13 as ops

    image = in_colours(example.given[one.spec.name], one.picture.channels)
    whole = np.asarray(image).reshape(1, image.height, image.width, one.picture.channels)
    end = ops.parameter(list(one.spec.shape), one.spec.dtype.numpy)
    nothing = ov.Model([ops.result(end)], [end], "preparation")
    alone = prepare(nothing, [replace(one, position=0)])
    given = library.core().compile_model(alone, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([whole])[0]
    wanted = pixels(one, example)
    assert wanted is not None  # else its pixels would not be prepared there
    return _steps_off(one, np.asarray(given), wanted)


def _steps_off(one: Inside, given: Array, wanted: Array) -> float:
    """Returns: by how many steps of brightness the pixels at most differ that stored values come from."""
    for steps in range(_MOST_STEPS):
        ends = [
            _stored(one, np.clip(wanted.astype(np.int16) + by, 0, 255).astype(np.uint8)).astype(np.float64)
            for by in (-steps, steps)
        ]
        slack = 1e-5 * max(1.0, float(np.abs(ends).max(initial=0)))  # of floats
        low, high = np.minimum(*ends) - slack, np.maximum(*ends) + slack
        if ((low <= given) & (given <= high)).all():
            return float(steps)
    return float(_MOST_STEPS)


def _stored(one: Inside, shown: Array) -> Array:
    """Returns: what the model stores for pixels [N,H,W,C]."""
    seen = shown[0, ..., ::-1] if _reversed(one) else shown[0]
    seen = 255 - seen if one.settings.invert else seen
    return encode(seen, one.spec, one.picture, one.settings.normalization, one.spec.name)


def _back(one: Inside, stored: Array) -> Array:
    """Returns: the pixels [N,H,W,C] that the network was given, from what it makes of them."""
    values = stored if one.picture.layout == "NHWC" else np.moveaxis(stored, 1, -1)
    found = _restored(one, np.asarray(values, np.float64))
    return found[..., ::-1] if _reversed(one) else found


def _restored(one: Inside, stored: Array) -> Array:
    """Returns: the pixels that an input's stored values come from, before they are rounded."""
    settings, spec = one.settings, one.spec
    if _is_raw(one):
        found = stored + 128 if spec.dtype is DType.INT8 else stored
    else:
        if spec.is_quantized:
            assert spec.quant is not None
            stored = (stored - spec.quant.zero_point) * spec.quant.scale
        mean, std = settings.normalization.mean, settings.normalization.std
        found = stored * np.asarray(std) + np.asarray(mean)
    return np.asarray(255 - found if settings.invert else found)


def _is_raw(one: Inside) -> bool:
    """Whether the model takes the pixels themselves: see ``samples.pixels.encode``."""
    dtype = one.spec.dtype
    whole = dtype is DType.UINT8 or not (dtype.is_float or one.spec.is_quantized)
    return whole and one.settings.mean is None


def _reversed(one: Inside) -> bool:
    return one.settings.colour == "bgr" and one.picture.channels == 3


def prepare(network: Any, found: Sequence[Inside]) -> Any:
    """Puts the preparation before a network. Returns: another ``openvino.Model``."""
    if not found:
        return network
    ov = library.load()
    from openvino.preprocess import PrePostProcessor, ResizeAlgorithm

    processor = PrePostProcessor(network)
    for one in found:
        port = processor.input(one.position)
        batch, height, width, channels = one.taken.dims
        shape = [batch, -1, -1, channels] if one.resizes else [batch, height, width, channels]
        port.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_shape(shape)
        steps = port.preprocess()
        if one.resizes:
            steps.resize(getattr(ResizeAlgorithm, _RESIZING[one.settings.filter]))
        if _reversed(one):
            steps.reverse_channels()
        steps.custom(_arithmetic(one))
        port.model().set_layout(ov.Layout(one.picture.layout))
    return processor.build()


def _arithmetic(one: Inside) -> Any:
    """Returns: what makes the model's stored values of pixels [N,H,W,C], as nodes of OpenVINO's."""
    from openvino import opset13 as ops

    settings, kind = one.settings, one.spec.dtype.numpy

    def real(given: Any) -> Any:
        node = ops.convert(given, "f32")
        if settings.invert:
            node = ops.subtract(_constant(255), node)
        own = settings.normalization
        node = ops.divide(ops.subtract(node, _constant(own.mean)), _constant(own.std))
        return node if kind == np.float32 else ops.convert(node, kind)

    def looked_up(given: Any) -> Any:
        table = _table(one)
        rows = np.arange(table.shape[1], dtype=np.int32) * 256 if table.shape[1] > 1 else np.int32(0)
        index = ops.add(ops.convert(given, "i32"), ops.constant(rows))
        return ops.gather(
            ops.constant(np.ascontiguousarray(table.T).ravel()), index, ops.constant(np.int32(0))
        )

    made = real if one.spec.dtype.is_float else looked_up
    return lambda given: made(given).output(0)


def _constant(values: Any) -> Any:
    from openvino import opset13 as ops

    return ops.constant(np.asarray(values, np.float32))


def _table(one: Inside) -> Array:
    """Returns: what an integer input stores for every pixel, [256,C], or [256,1] where all channels agree.

    Computed rather than left to float32 in the network: where a pixel lies between two integers, as with a
    mean of 127.5 it always does, rounding errors would decide.
    """
    channels = one.picture.channels
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], channels, axis=2)
    if one.settings.invert:
        ramp = 255 - ramp
    spec = replace(one.spec, dims=(256, 1, channels), shape=(256, 1, channels), batched=False)
    row = Picture(256, 1, channels, "HWC")
    table = encode(ramp, spec, row, one.settings.normalization, spec.name)[:, 0, :]
    return table[:, :1] if (table == table[:, :1]).all() else table
