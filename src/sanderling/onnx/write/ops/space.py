"""Between the batch, the depth and the two axes of an image."""

from __future__ import annotations

from sanderling.onnx.write.builder import Value, first_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


@tflite_op("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def depth(call: Call) -> list[Value]:
    order = first_order(4)
    attrs: dict[str, object] = {"blocksize": int(call.attr("block_size", 1))}
    if call.node.op == "DEPTH_TO_SPACE":
        return [call.give(call.op("DepthToSpace", call.read(0, order), mode="DCR", **attrs), order)]
    return [call.give(call.op("SpaceToDepth", call.read(0, order), **attrs), order)]


@tflite_op("SPACE_TO_BATCH_ND")
def space_to_batch(call: Call) -> list[Value]:
    blocks, amounts = call.numbers(1, "block"), call.known(2, "paddings")
    batch, *sizes = call.shape()
    name, count = call.read(), len(blocks)
    if amounts.any():
        rest = [0] * (len(sizes) - count)
        target = call.ints(0, *amounts[:, 0].tolist(), *rest, 0, *amounts[:, 1].tolist(), *rest)
        name = call.op("Pad", name, target, call.scalar(0, call.computed_dtype()))
    padded = [size + int(more) for size, more in zip(sizes, amounts.sum(axis=1), strict=False)]
    split = [part for size, block in zip(padded, blocks, strict=True) for part in (size // block, block)]
    name = call.reshape(name, (batch, *split, *sizes[count:]))
    inner, outer = range(2, 2 * count + 1, 2), range(1, 2 * count + 1, 2)
    tail = range(2 * count + 1, 2 * count + 1 + len(sizes) - count)
    name = call.op("Transpose", name, perm=(*inner, 0, *outer, *tail))
    return [call.give(call.reshape(name, call.out_shape()))]


@tflite_op("BATCH_TO_SPACE_ND")
def batch_to_space(call: Call) -> list[Value]:
    blocks, crops = call.numbers(1, "block"), call.known(2, "crops")
    _, *sizes = call.shape()
    count = len(blocks)
    fewer = call.out_shape()[0]
    name = call.reshape(call.read(), (*blocks, fewer, *sizes))
    pairs = [axis for i in range(count) for axis in (count + 1 + i, i)]
    name = call.op("Transpose", name, perm=(count, *pairs, *range(2 * count + 1, count + 1 + len(sizes))))
    grown = [size * block for size, block in zip(sizes, blocks, strict=False)]
    name = call.reshape(name, (fewer, *grown, *sizes[count:]))
    if crops.any():
        ends = [size - int(crop) for size, crop in zip(grown, crops[:, 1], strict=True)]
        axes = call.ints(*range(1, count + 1))
        name = call.op("Slice", name, call.ints(*crops[:, 0].tolist()), call.ints(*ends), axes)
    return [call.give(name)]
