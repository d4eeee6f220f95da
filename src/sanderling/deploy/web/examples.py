"""What a page asks its own model, and what must come out: few bytes that decide whether it computes right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np

from sanderling.deploy.answering import answered
from sanderling.deploy.examples import picture
from sanderling.deploy.order import Example, Order
from sanderling.deploy.web.blob import Blob
from sanderling.deploy.web.pictures import coarse, keep_pixels, shown
from sanderling.engines.registry import find
from sanderling.graph.types import Array
from sanderling.samples.inputs import picture_of
from sanderling.samples.pixels import encode, side_or_default
from sanderling.tasks.inputs.image import ImageInput, input_side, pixels_of, placed

MOST = 4096  # values of an output that are kept
_MANY = 1024  # floats of an input, from which on they are rounded to 16 bits
_LEVELS = 32767
_SEED = 2463534242  # of the noise that a page makes itself
_GOLDEN = 0.6180339887
_SIDES = (512, 384, 256)  # of a picture for people, in pixels


@dataclass(frozen=True, slots=True)
class Asked:
    """An example as a page asks it.

    Attributes:
        example: where it comes from.
        feeds: what the model is fed: by input's name, as it stores them.
        pixels: uint8 [H,W,C] of those that are pictures.
        noise: the pixels are noise, which needs not be kept.
        outputs: LiteRT's answers to these.
    """

    example: Example
    feeds: Mapping[str, Array]
    pixels: Mapping[str, Array]
    noise: bool
    outputs: Mapping[str, Array]


def ask(order: Order) -> list[Asked]:
    """Answers the examples again in LiteRT, made such that they need little room."""
    fed = []
    for number, example in enumerate(order.examples):
        pixels = _pixels(order, example, number)
        feeds = {
            port.name: _encoded(order, i, pixels[port.name]) if port.name in pixels
            else _plain(example.feeds[port.name])
            for i, port in enumerate(order.inputs)
        }  # fmt: skip
        fed.append((example, feeds, pixels))
    answers = answered(find("litert").load(order.file, order.model), [feeds for _, feeds, _ in fed])
    return [Asked(*each, order.noise, outputs) for each, outputs in zip(fed, answers, strict=True)]


def _pictures(order: Order) -> list[int]:
    """Returns: positions of the inputs that take pictures."""
    kinds = zip(order.spec.inputs, order.inputs, strict=False)
    return [
        i for i, (s, spec) in enumerate(kinds) if isinstance(s, ImageInput) and picture_of(spec) is not None
    ]


def _pixels(order: Order, example: Example, number: int) -> dict[str, Array]:
    """Returns: uint8 [H,W,C] of the inputs that take pictures, by name; a page makes noise itself."""
    found = {}
    for position in _pictures(order):
        spec, settings = order.inputs[position], order.spec.inputs[position]
        raw, form = example.given[spec.name], picture_of(spec)
        assert form is not None
        if order.noise:
            shape = (side_or_default(form.height), side_or_default(form.width), form.channels)
            found[spec.name] = noise_bytes(_SEED + number, int(np.prod(shape))).reshape(shape)
        elif hasattr(raw, "getbands"):
            place = placed(raw.size, input_side(form, raw.size, settings), settings)
            found[spec.name] = coarse(pixels_of(raw, place, form.channels, settings))
    return found


def _encoded(order: Order, position: int, pixels: Array) -> Array:
    spec = order.inputs[position]
    form = picture_of(spec)
    assert form is not None
    sized = replace(form, height=pixels.shape[0], width=pixels.shape[1])
    return encode(pixels, spec, sized, order.spec.inputs[position].normalization, spec.name)


def _plain(values: Array) -> Array:
    """Returns: many floats rounded to what 16 bits hold."""
    if values.dtype != np.float32 or values.size < _MANY or np.abs(values).max() > 60_000:
        return values
    return values.astype(np.float16).astype(np.float32)


def noise_bytes(seed: int, count: int) -> Array:
    """Returns: bytes that ``files/data.js`` makes, too.

    Source: Marsaglia, Xorshift RNGs (2003): the generator of 32 bits by shifts of 13, 17 and 5.
    """
    state, found = seed & 0xFFFFFFFF, bytearray(count)
    for i in range(count):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        found[i] = state >> 24
    return np.frombuffer(bytes(found), np.uint8)


def keep(asked: Asked, number: int, order: Order, blob: Blob) -> dict[str, Any]:
    """Puts an example into the blob. Returns: how the page finds it there."""
    inputs = []
    for spec in order.inputs:
        if spec.name in asked.pixels and asked.noise:
            kept: dict[str, Any] = {"noise": _SEED + number, "size": list(asked.pixels[spec.name].shape)}
        elif spec.name in asked.pixels:
            kept = keep_pixels(asked.pixels[spec.name], blob)
        else:
            kept = _keep_array(asked.feeds[spec.name], blob)
        inputs.append(kept)
    outputs = [_keep_answer(asked.outputs[name], blob) for name in order.model.output_names()]
    example = asked.example
    return {"name": example.name, "lines": list(example.lines[:40]), "inputs": inputs, "outputs": outputs}


def _keep_array(values: Array, blob: Blob) -> dict[str, Any]:
    narrow = values.astype("<f2") if values.dtype == np.float32 and values.size >= _MANY else None
    if narrow is not None and np.array_equal(narrow.astype("<f4"), values):
        return {"half": blob.add(narrow)}
    return {"array": blob.add(values)}


def places(size: int) -> Array:
    """Returns: which values of an output of this size are compared: all, or evenly spread ones.

    Source: multiples of the golden ratio are spread the most evenly over a circle.
    """
    if size <= MOST:
        return np.arange(size)
    return np.arange(MOST, dtype=np.int64) * step(size) % size


def step(size: int) -> int:
    """Returns: a number near the golden share of a size that has no divisor in common with it."""
    return next(n for n in range(max(1, round(size * _GOLDEN)), size + 2) if gcd(n, size) == 1)


def _keep_answer(values: Array, blob: Blob) -> dict[str, Any]:
    flat = values.reshape(-1)
    seen = flat[places(flat.size)]
    told: dict[str, Any] = {"size": flat.size}
    if flat.size > MOST:
        told["step"] = step(flat.size)
    if values.dtype.kind != "f":
        return told | {"array": blob.add(seen)}
    largest = float(np.abs(flat).max(initial=0))
    levels = np.rint(seen.astype(np.float64) / (largest or 1) * _LEVELS).astype("<i2")
    return told | {"largest": largest, "levels": blob.add(levels)}


def sample(example: Example, side: int, blob: Blob) -> dict[str, Any] | None:
    """Puts the picture of an example into the blob, for people to try.

    Returns: how it is found there; None for an example without one.
    """
    image = example.whole if example.whole is not None else picture(example.given)
    if image is None:
        return None
    data, mime = shown(image, side)
    return {"name": example.name, "mime": mime, "from": blob.add(data)}


def chosen(asked: Sequence[Asked], order: Order, blob: Blob, room: int) -> tuple[list[Any], list[Any]]:
    """Puts as many examples and pictures into the blob as there is room for, and the smallest in any case.

    Args:
        room: bytes of text.

    Returns: the examples and the pictures.
    """
    sizes = []
    for number, each in enumerate(asked):
        mark = blob.mark()
        keep(each, number, order, blob)
        sizes.append(blob.text_size(mark))
        blob.back(mark)
    ranked = sorted(range(len(asked)), key=sizes.__getitem__)
    room -= sizes[ranked[0]]
    examples = [keep(asked[ranked[0]], ranked[0], order, blob)]
    samples, room = _samples([] if order.noise else [a.example for a in asked], blob, room)
    for number in ranked[1:]:
        room -= sizes[number]
        if room < 0:
            break
        examples.append(keep(asked[number], number, order, blob))
    return examples, samples


def _samples(examples: Sequence[Example], blob: Blob, room: int) -> tuple[list[Any], int]:
    """Returns: pictures for people, each as large as there is room for, and the room that is left."""
    found = []
    for number, each in enumerate(examples):
        if each.whole is not None and any(each.whole is other.whole for other in examples[:number]):
            continue  # another part of the same picture
        for side in _SIDES:
            mark = blob.mark()
            kept = sample(each, side, blob)
            if kept is None:
                break
            if blob.text_size(mark) <= room or (number == 0 and side == _SIDES[-1]):
                room -= blob.text_size(mark)
                found.append(kept)
                break
            blob.back(mark)
    return found, room
