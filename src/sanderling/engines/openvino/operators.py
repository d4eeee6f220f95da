"""Which operators OpenVINO 2026.4 translates from ``.tflite``, and which it translates to something else.

Source: measured, by reading one model per operator code; ``tests/engines/test_openvino.py`` repeats it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import YES, DType, Verdict, no
from sanderling.ops.registry import find

TRANSLATED = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND",
    "BROADCAST_ARGS", "BROADCAST_TO", "CAST", "CEIL", "COMPLEX_ABS", "CONCATENATION", "CONV_2D", "CONV_3D",
    "COS", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU",
    "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD",
    "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "GREATER", "GREATER_EQUAL", "HARD_SWISH",
    "L2_NORMALIZATION", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
    "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MATRIX_DIAG", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "ONE_HOT", "PACK", "PAD", "PADV2", "POW", "PRELU", "QUANTIZE",
    "RANGE", "RANK", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RELU", "RELU6",
    "RELU_0_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE",
    "REVERSE_V2", "RFFT2D", "ROUND", "RSQRT", "SCATTER_ND", "SEGMENT_SUM", "SELECT", "SELECT_V2", "SHAPE",
    "SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT",
    "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STABLEHLO_COMPOSITE", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNIQUE", "UNPACK", "WHERE", "WHILE", "ZEROS_LIKE",
})  # fmt: skip
_STATE = {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
_HELD = {
    DType.FLOAT32, DType.FLOAT16, DType.INT4, DType.INT8, DType.UINT8, DType.INT16, DType.UINT16,
    DType.INT32, DType.INT64, DType.BOOL,
}  # fmt: skip
# Of quantized operands LiteRT's kernels take the stored integers here, without their scale: see
# ``ops/_bare.py``. OpenVINO takes the real numbers that they stand for.
_BARE = {"CAST", "FLOOR_DIV", "FLOOR_MOD", "MATRIX_DIAG", "NEG", "SCATTER_ND"}
_DEEPEST = 16  # composites within composites
_INT32 = np.iinfo(np.int32)


def supported(model: Model, graph: Graph, node: Node) -> Verdict:
    """Returns: whether OpenVINO translates the operator, to what it is, with the operands that it has."""
    if node.op == "STABLEHLO_COMPOSITE":
        return _composite(model, node)
    if node.op == CUSTOM:
        return no(f"OpenVINO has no translator for the custom operator {node.custom_code}")
    if node.op in _STATE:
        return no(f"{node.op}: OpenVINO keeps no state of a .tflite model between calls")
    if node.op not in TRANSLATED:
        return no(f"OpenVINO has no translator for {node.op}")
    tensors = [t for t in (*graph.operands(node), *graph.results(node)) if t is not None]
    for tensor in tensors:
        if reason := _unusable(tensor):
            return no(f"{node.op}: {reason}")
    if node.attrs.get("fused_activation_function") == "TANH":
        return no(f"{node.op}: LiteRT ignores a fused TANH, OpenVINO does not")
    if node.op in _BARE and any(tensor.type.is_quantized for tensor in tensors):
        return no(f"{node.op}: LiteRT computes with the stored integers, OpenVINO with the real numbers")
    if node.op in _MISTRANSLATED and (reason := _mistranslated(graph, node)):
        return no(f"{node.op}: {reason}")
    return YES


def _mistranslated(graph: Graph, node: Node) -> str:
    """Returns: why it would not give LiteRT's answer, "" where it does."""
    declared = find(node.op)
    assert declared is not None, node.op
    try:  # what follows counts on the operands that the operator takes
        declared.infer(node, graph.operands(node), graph.results(node))
    except InvalidGraph as error:
        return f"its operands do not fit it ({error.what})"
    return _MISTRANSLATED[node.op](graph, node)


def _composite(model: Model, node: Node, depth: int = 1) -> Verdict:
    """OpenVINO knows one composite by its name; we put the operators of its graph in the place of any."""
    number = int(node.attrs.get("decomposition_subgraph_index", 0))
    if not 0 < number < len(model.graphs) or depth > _DEEPEST:
        return no("STABLEHLO_COMPOSITE: there is no graph to put in its place")
    for inner in model.graphs[number].nodes:
        if inner.op == node.op:
            verdict = _composite(model, inner, depth + 1)
        else:
            verdict = supported(model, model.graphs[number], inner)
        if not verdict:
            return verdict
    return YES


def _unusable(tensor: Tensor) -> str:
    """Returns: why OpenVINO cannot hold a tensor, or ""."""
    if tensor.is_variable:
        return f"tensor {tensor.name!r} is a variable, and OpenVINO keeps no state between calls"
    if tensor.dtype not in _HELD:
        return f"tensor {tensor.name!r} is {tensor.dtype.value}, which OpenVINO does not compute with"
    if tensor.quant is not None and tensor.quant.block is not None:
        return f"tensor {tensor.name!r} is quantized in blocks"
    plain = tensor.data if tensor.dtype is DType.INT64 and tensor.sparsity is None else None
    if plain is not None and not fits_int32(plain):
        return f"tensor {tensor.name!r} has values beyond 32 bits, to which OpenVINO cuts int64"
    return ""


def fits_int32(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> bool:
    """Returns: whether nothing is lost when OpenVINO's CPU and GPU plugins compute int64 in 32 bits."""
    return not values.size or (int(values.min()) >= _INT32.min and int(values.max()) <= _INT32.max)


def _int8_extremum(graph: Graph, node: Node) -> str:
    if any(t.dtype is DType.INT8 and t.type.is_quantized for t in graph.results(node)):
        return "OpenVINO's int8 kernel gives -1 where the extremum is another"
    return ""


def _padded_blocks(graph: Graph, node: Node) -> str:
    pads, result = graph.tensors[node.inputs[2]], graph.results(node)[0]
    if not result.type.is_quantized or result.dtype is DType.INT16:
        return ""
    if pads.data is None or np.any(pads.data):
        return "OpenVINO pads quantized values with the least integer instead of the zero point"
    return ""


def _nearest(graph: Graph, node: Node) -> str:
    """OpenVINO takes floor(x · in / out) for half-pixel centres, too: most often the same pixels."""
    if not node.attrs.get("half_pixel_centers"):
        return ""
    source, size = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
    told = source.shape_signature or source.shape
    if size.data is None or len(told) != 4 or min(told[1:3]) < 0:
        return "OpenVINO ignores half_pixel_centers, which matters for some sizes, and these are open"
    for given, wanted in zip(told[1:3], size.data.reshape(-1).tolist(), strict=True):
        x = np.arange(wanted)
        if np.any((2 * x + 1) * given // (2 * wanted) != x * given // wanted):
            return f"OpenVINO ignores half_pixel_centers, which matters from {given} to {wanted} pixels"
    return ""


def _scattered_once(graph: Graph, node: Node) -> str:
    indices = graph.tensors[node.inputs[0]]
    if indices.data is not None:
        rows = indices.data.reshape(-1, indices.shape[-1])
        if len(np.unique(rows, axis=0)) == len(rows):
            return ""
    return "OpenVINO keeps the last of several values for one place, where LiteRT adds them up"


def _slope_by_rows(graph: Graph, node: Node) -> str:
    """Slopes in a vector belong to the last axis; OpenVINO takes them for axis 1 where they are as many."""
    first, second = node.inputs[:2]
    data, slope = (second, first) if graph.tensors[first].is_constant else (first, second)
    shape = graph.tensors[data].shape_signature or graph.tensors[data].shape
    size = graph.tensors[slope].shape
    if len(size) != 1 or size[0] == 1 or len(shape) < 3 or shape[1] not in (-1, size[0]):
        return ""
    if node.op == "MUL" and not _is_negative_part(graph, data):
        return ""
    return f"OpenVINO takes {size[0]} slopes for axis 1 of {shape[1]} rows instead of the last axis"


def _is_negative_part(graph: Graph, index: int) -> bool:
    """Returns: whether a tensor is relu(-x) or x - |x|, up to a factor: OpenVINO makes PRelu of these."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    while (maker := makers.get(index)) is not None and maker.op in ("MUL", "NEG"):
        index = next((i for i in maker.inputs if not graph.tensors[i].is_constant), -1)
    if maker is None or maker.op not in ("RELU", "SUB"):
        return False
    inner = {makers[i].op for i in maker.inputs if i in makers}
    return bool(inner & ({"NEG", "MUL"} if maker.op == "RELU" else {"ABS"}))


def _not_activated(graph: Graph, node: Node) -> str:
    if node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return "OpenVINO leaves out its fused activation"
    return ""


def _mixed_scales(graph: Graph, node: Node) -> str:
    (result,) = graph.results(node)
    operands = [graph.tensors[i] for i in node.inputs[1:]]
    if result.type.is_quantized and any(not _same_scale(tensor, result) for tensor in operands):
        return "its operands have other scales, which LiteRT ignores and OpenVINO does not"
    return ""


def _same_scale(one: Tensor, other: Tensor) -> bool:
    a, b = one.quant, other.quant
    if a is None or b is None:
        return a is b
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


# Operator → why it would not give LiteRT's answer, "" where it does.
_MISTRANSLATED: dict[str, Callable[[Graph, Node], str]] = {
    "MUL": _slope_by_rows,
    "PRELU": _slope_by_rows,
    "REDUCE_MAX": _int8_extremum,
    "REDUCE_MIN": _int8_extremum,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "SCATTER_ND": _scattered_once,
    "SELECT": _mixed_scales,
    "SELECT_V2": _mixed_scales,
    "SPACE_TO_BATCH_ND": _padded_blocks,
    "TRANSPOSE_CONV": _not_activated,
}
