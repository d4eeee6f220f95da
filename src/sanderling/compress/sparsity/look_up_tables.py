"""TFLite Micro's own form of shared weights: a few bits each, and a table of what they stand for.

A custom operator before each operator with such weights unpacks them into the arena when it is reached, so
that flash holds 4 bits for one of 16 values. No other runtime has that operator: this is the last step before
a microcontroller, and only a search for one tries it.

Source: TFLite Micro's ``decode_state_lut.cc`` and the notes in ``micro/compression/decode.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, WEIGHTS
from sanderling.graph.constant import decode
from sanderling.graph.edit import compact
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType

OPERATOR = "TFLM_DECODE"
MOST_VALUES = 128  # indices have up to 7 bits
_READERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_DTYPES = frozenset({DType.INT8, DType.INT16, DType.FLOAT32})
_TABLE, _VERSION, _WHOLE_TENSOR = 0, 1, 15
_HEADER_BYTES = 16
_OVERHEAD_BYTES = 256  # of the operator and its tensors


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A constant as indices into tables.

    Attributes:
        indices: flat uint8, ``bits`` each, the first in the highest bits.
        ancillary: flat uint8: the header, then the tables one after the other.
    """

    indices: npt.NDArray[np.uint8]
    ancillary: npt.NDArray[np.uint8]


def with_look_up_tables(model: Model) -> tuple[Model, int]:
    """Packs weights of few values wherever that makes the file smaller.

    Args:
        model: weights with up to 128 values per tensor, or per output channel.

    Returns: a model that only TFLite Micro runs, and how many tensors are packed; with 0 the model is as it
    was.
    """
    graph = model.main
    tensors, nodes, packed = list(graph.tensors), list[Node](), dict[int, tuple[int, int]]()
    for node in graph.nodes:
        index = node.inputs[WEIGHTS[node.op]] if node.op in _READERS else -1
        if index >= 0 and index not in packed and (found := _smaller(graph, index)) is not None:
            name = tensors[index].name
            tensors += [_bytes(f"{name}_indices", found.indices), _bytes(f"{name}_table", found.ancillary)]
            packed[index] = (len(tensors) - 2, len(tensors) - 1)
        if index in packed:
            # What is unpacked lives until the next operator only: each reader has its own.
            tensors.append(replace(_joined(graph.tensors[index]), data=None))
            out = len(tensors) - 1
            nodes.append(Node(CUSTOM, packed[index], (out,), custom_code=OPERATOR))
            place = WEIGHTS[node.op]
            node = replace(node, inputs=(*node.inputs[:place], out, *node.inputs[place + 1 :]))
        nodes.append(node)
    if not packed:
        return model, 0
    done = replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))
    return compact(model.with_main(done)), len(packed)


def without_look_up_tables(model: Model) -> tuple[Model, int]:
    """Unpacks what ``with_look_up_tables`` packed.

    Returns: a model that any runtime runs, with the same answers, and how many tensors were packed; with 0
    the model is as it was.
    """
    graph = model.main
    tensors, kept, count = list(graph.tensors), list[Node](), 0
    unpacked = {node.outputs[0] for node in graph.nodes if node.kind == OPERATOR}
    for node in graph.nodes:
        if node.kind != OPERATOR:
            kept.append(node)
            bias = (
                node.inputs[BIAS[node.op]] if node.op in _READERS and len(node.inputs) > BIAS[node.op] else -1
            )
            if bias >= 0 and unpacked.intersection(node.inputs):
                tensors[bias] = _joined(tensors[bias])  # XNNPACK wants as many scales as the weights have
            continue
        indices, ancillary = (decode(graph.tensors[index]) for index in node.inputs[:2])
        out = tensors[node.outputs[0]]
        tensors[node.outputs[0]] = replace(out, data=unpack_values(Packed(indices, ancillary), out.type))
        count += 1
    if not count:
        return model, 0
    return compact(model.with_main(replace(graph, tensors=tuple(tensors), nodes=tuple(kept)))), count


def unpack_values(packed: Packed, kind: TensorType) -> Array:
    """Returns: the constant that ``pack_values`` packed, of this shape and element type."""
    axis, bits, stride = packed.ancillary[5] >> 4, int(packed.ancillary[5] & 7), int(packed.ancillary[6])
    tables = packed.ancillary[_HEADER_BYTES:].view(kind.dtype.numpy).reshape(-1, stride)
    stream = np.unpackbits(packed.indices)[: kind.size * bits].reshape(-1, bits)
    codes = (stream.astype(np.int64) << np.arange(bits - 1, -1, -1)).sum(axis=1).reshape(kind.shape)
    if axis == _WHOLE_TENSOR:
        return np.asarray(tables[0][codes])
    shape = [1] * len(kind.shape)
    shape[axis] = -1
    return np.asarray(tables[np.arange(kind.shape[axis]).reshape(shape), codes])


def pack_values(values: Array, axis: int | None) -> Packed | None:
    """Packs an array.

    Args:
        values: any shape.
        axis: one table for each place along it, which must be the first or the last; None for one table.

    Returns: None where there are more than 128 values in a table, or one in each.
    """
    parts = [values] if axis is None else list(np.moveaxis(values, axis, 0))
    tables = [np.unique(part) for part in parts]
    most = max(table.size for table in tables)
    if not 1 < most <= MOST_VALUES:
        return None
    bits = int(most - 1).bit_length()
    codes = [np.searchsorted(table, part) for table, part in zip(tables, parts, strict=True)]
    whole = codes[0] if axis is None else np.moveaxis(np.stack(codes), 0, axis)
    spread = (whole.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    header = np.zeros(_HEADER_BYTES, np.uint8)
    header[:2] = _TABLE, 1
    header[4:7] = _VERSION, (_WHOLE_TENSOR if axis is None else axis) << 4 | bits, 1 << bits
    padded = np.stack([np.pad(table, (0, (1 << bits) - table.size)) for table in tables])
    ancillary = np.concatenate([header, np.ascontiguousarray(padded).reshape(-1).view(np.uint8)])
    return Packed(np.packbits(spread.astype(np.uint8).reshape(-1)), ancillary)


def _smaller(graph: Graph, index: int) -> Packed | None:
    tensor = graph.tensors[index]
    if not tensor.is_constant or tensor.dtype not in _DTYPES or tensor.is_variable or index in graph.outputs:
        return None
    # Another reader would need the constant as it was, which then stays in the file.
    readers = [node for node in graph.nodes if index in node.inputs]
    if any(node.op not in _READERS or node.inputs.index(index) != WEIGHTS[node.op] for node in readers):
        return None
    values = decode(tensor)
    quant = _joined(tensor).quant
    found = pack_values(values, None if quant is None else quant.axis)
    if found is None or found.indices.nbytes + found.ancillary.nbytes + _OVERHEAD_BYTES >= values.nbytes:
        return None
    return found


def _joined(tensor: Tensor) -> Tensor:
    """Returns: the tensor with one scale where all of its channels have the same.

    TFLite Micro looks for a table for each scale, whatever the header says.
    """
    quant = tensor.quant
    if quant is None or np.unique(quant.scale).size != 1 or np.unique(quant.zero_point).size != 1:
        return tensor
    one = Quant.of(float(quant.scale[0]), int(quant.zero_point[0]))
    return replace(tensor, type=replace(tensor.type, quant=one))


def _bytes(name: str, data: npt.NDArray[np.uint8]) -> Tensor:
    return Tensor(name, TensorType((data.size,), DType.UINT8), data)
