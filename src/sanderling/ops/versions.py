"""Which version of an operator a call needs: what it is made of decides, not what a file says of it.

A runtime refuses versions that it does not know. One that is too high keeps a model from runtimes which could
run it; one that is too low lets an old runtime begin with what it cannot do.

Source: TensorFlow Lite's ``op_version.cc`` (the figures). Where the converter leaves integers of 16 bits with
weights of 8 bits at version 1, the version here is that of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sanderling.graph.graph import CUSTOM, Graph, Node, Tensor
from sanderling.graph.types import DType

# Operator, then "version:what needs it"; a call needs the highest that holds, and 1 where none does. A type
# alone is that of the first operand, ``1=int8`` that of another (from 0), ``out=int8`` that of the first
# result, ``any=int8`` that of any of them; _CONDITIONS has more. Other names are attributes that are set, and
# with ``!`` such that are not. ``a+b``: both.
_TABLE = """
ABS 2:int8 2:uint8 3:int16 4:int16+plain 5:int32
ADD 2:int8 3:int16+!pot_scale_int16 4:int64 5:int16+plain 6:float16
ARG_MAX 2:int8 3:bool
ARG_MIN 2:int8 3:bool
AVERAGE_POOL_2D 2:int8 3:int16
BATCH_MATMUL 2:int8 3:int16 4:hybrid+asymmetric_quantize_inputs
BATCH_TO_SPACE_ND 2:int8 3:not_rank_4 4:int16
BIDIRECTIONAL_SEQUENCE_LSTM 2:hybrid 3:hybrid+asymmetric_quantize_inputs
BIDIRECTIONAL_SEQUENCE_RNN 2:hybrid 3:hybrid+asymmetric_quantize_inputs
BROADCAST_TO 2:always 3:int8 3:int16
CAST 2:any=uint32 3:any=int8 4:any=uint16 5:any=float64 5:any=float16 6:int4 7:any=bfloat16 8:any=int2 8:any=uint4
CONCATENATION 2:int8 3:int16 4:uint32 5:int4 6:float16
CONV_2D 2:hybrid 3:int8+1=int8 4:int16 5:hybrid+per_channel 6:grouped 7:1=int4 8:int16+narrow_bias
COS 2:float16
DEPTHWISE_CONV_2D 2:dilated 3:int8+1=int8 4:hybrid 5:int16 6:hybrid+per_channel 7:1=int4
DEPTH_TO_SPACE 2:int8
DEQUANTIZE 2:int8 3:int16 3:float16 5:int8+per_channel 6:int4 7:int2 8:uint4
DIV 2:broadcast_5
DYNAMIC_UPDATE_SLICE 2:2=int64 3:float16 4:int16 5:int4 6:bfloat16
EMBEDDING_LOOKUP 2:1=int8 3:1=int8+out=int8 4:1=int4 4:1=int8+per_channel 5:1=int2
EQUAL 2:int8 3:string 5:int16
EXP 2:int8 2:int16
FAKE_QUANT 2:narrow_range
FILL 2:1=bool 2:1=string 3:1=int8 3:1=int16 4:1=float16
FLOOR_DIV 2:float32 3:int16 3:int8
FLOOR_MOD 2:int16 2:int8
FULLY_CONNECTED 2:shuffled 3:hybrid 4:int8+1=int8 5:keep_num_dims 6:two_operands 7:int16 8:sparse 9:hybrid+asymmetric_quantize_inputs 10:1=int4 11:int16+narrow_bias 12:hybrid+per_channel 13:int16+1=int4 14:1=int2
GATHER 2:int8 3:bool 4:int16 5:batch_dims 6:1=int16 7:int4
GATHER_ND 2:string 3:int16 4:1=int16 5:bool
GELU 2:int8 2:uint8
GREATER 2:int8
GREATER_EQUAL 2:int8 3:int16
L2_NORMALIZATION 2:out=int8
LEAKY_RELU 2:int16
LESS 2:int8 3:int16
LESS_EQUAL 2:int8
LOG 2:int8 2:int16
LOGISTIC 2:int8 3:int16
LOG_SOFTMAX 2:int8
LSTM 2:basic_kernel 3:hybrid_2+full_kernel 4:hybrid_2+full_kernel+asymmetric_quantize_inputs 5:int16+2=int8+full_kernel
MAXIMUM 2:int8 3:broadcast_5 4:int16
MAX_POOL_2D 2:int8 3:int16
MEAN 2:int8 3:int16
MINIMUM 2:int8 3:broadcast_5 4:int16
MIRROR_PAD 2:int8 3:int16
MUL 2:int8 3:grows 4:int16 5:int64 6:complex64 7:int16+plain 7:uint32 8:float16
NOT_EQUAL 2:int8 3:string 4:int16
PACK 2:int8 3:int16 4:uint32
PAD 2:int8 3:int16 4:over_4 5:bool
PADV2 2:int8 3:int16 4:over_4 5:bool
QUANTIZE 2:out=int16 3:writes_channels 4:any=int4 5:any=uint4 6:any=int2
RANGE 2:int64
REDUCE_MAX 2:int8 3:int16
REDUCE_MIN 2:int8 3:int16
REDUCE_PROD 2:int8 2:int16
RELU 2:int8 2:uint8 3:int16
RELU6 2:int8 3:int16
RESIZE_BILINEAR 2:int8 3:half_pixel_centers 4:int16
RESIZE_NEAREST_NEIGHBOR 2:int8 3:half_pixel_centers 3:align_corners 4:int16
REVERSE_V2 2:bool 3:int8
RNN 2:hybrid 3:hybrid+asymmetric_quantize_inputs
RSQRT 2:int8 3:int16
SELECT 2:1=int8 3:rank_5 4:uint32
SELECT_V2 2:1=uint32
SIGN 2:int32
SIN 2:float16
SLICE 2:int8 3:string 4:int16 5:over_4 6:uint32 7:int4 8:float16
SOFTMAX 2:int8 3:int16 4:float16
SPACE_TO_BATCH_ND 2:int8 3:not_rank_4 4:int16
SPACE_TO_DEPTH 2:int8
SPARSE_TO_DENSE 2:2=int64 3:2=int8 3:2=uint8
SPLIT 2:1=int8 3:1=int32 4:1=int16
SPLIT_V 2:int8
SQRT 2:int8 2:int16
SQUARED_DIFFERENCE 2:int8
SQUEEZE 2:string
STRIDED_SLICE 2:int8 3:bool 4:over_4 5:string 6:ellipsis_mask 6:new_axis_mask 7:uint32 8:offset
SUB 2:int8 3:broadcast_5 4:int64 5:int16+!pot_scale_int16
SUM 2:int8
SVDF 2:hybrid 3:int8 4:hybrid+asymmetric_quantize_inputs
TANH 2:int8 3:int16
TILE 2:string 3:int8
TOPK_V2 2:int8 3:int16 3:any=int16
TRANSPOSE 2:int8 3:bool 4:over_4 5:int16 6:over_5 7:int4 8:over_6 8:bfloat16 9:float16
TRANSPOSE_CONV 2:1=int8 3:biased 3:2=int16 4:activated 5:2=int16+narrow_bias
UNIDIRECTIONAL_SEQUENCE_LSTM 2:hybrid_2 3:hybrid_2+asymmetric_quantize_inputs 4:diagonal_recurrent_tensors 5:int16+2=int8
UNIDIRECTIONAL_SEQUENCE_RNN 2:hybrid 3:hybrid+asymmetric_quantize_inputs
UNPACK 2:int8 2:uint8 3:bool 4:int16 5:float16 5:bfloat16
WHERE 2:not_bool
"""  # noqa: E501 - one operator a row


@dataclass(frozen=True, slots=True)
class _Call:
    """A node with its tensors."""

    node: Node
    operands: Sequence[Tensor | None]
    results: Sequence[Tensor]

    def operand(self, position: int) -> Tensor | None:
        return self.operands[position] if position < len(self.operands) else None

    def result(self) -> Tensor | None:
        return self.results[0] if self.results else None

    def rank(self) -> int:
        """Returns: the largest number of dimensions of an operand."""
        return max((len(each.shape) for each in self.operands if each is not None), default=0)

    def has(self, position: int, dtype: str) -> bool:
        tensor = self.operand(position)
        return tensor is not None and tensor.dtype.value == dtype


def _first_rank(call: _Call) -> int:
    first = call.operand(0)
    return 4 if first is None or not (first.shape or first.has_rank) else len(first.shape)


def _hybrid(call: _Call, weights: int = 1) -> bool:
    result = call.result()
    floats = call.has(0, "float32") and result is not None and result.dtype == DType.FLOAT32
    return floats and call.has(weights, "int8")


def _quantized(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.type.is_quantized


def _channels(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.quant is not None and tensor.quant.per_channel


def _per_channel(call: _Call) -> bool:
    return _channels(call.operand(0 if call.node.op == "DEQUANTIZE" else 1))


def _grouped(call: _Call) -> bool:
    data, weights = call.operand(0), call.operand(1)
    if data is None or weights is None or len(data.shape) != 4 or len(weights.shape) != 4:
        return False
    return data.shape[3] != weights.shape[3]


def _broadcast_5(call: _Call) -> bool:
    left, right = call.operand(0), call.operand(1)
    if left is None or right is None:
        return False
    return left.shape != right.shape and call.rank() > 4


def _grows(call: _Call) -> bool:
    """Whether the factor by which a product of integers is scaled is 1 or more."""
    scales = [
        float(tensor.quant.scale[0])
        for tensor in (*call.operands[:2], call.result())
        if tensor is not None and tensor.quant is not None and tensor.type.is_quantized
    ]
    return len(scales) == 3 and scales[2] > 0 and scales[0] * scales[1] / scales[2] >= 1.0


def _dilated(call: _Call) -> bool:
    factors = (call.node.attrs.get(f"dilation_{side}_factor", 1) for side in "wh")
    return any(factor not in (0, 1) for factor in factors)


def _sparse(call: _Call) -> bool:
    weights = call.operand(1)
    return weights is not None and weights.sparsity is not None


_CONDITIONS: Mapping[str, Callable[[_Call], bool]] = {
    "always": lambda call: True,
    "plain": lambda call: not _quantized(call.operand(0)),
    "per_channel": _per_channel,
    "writes_channels": lambda call: _channels(call.result()),
    "hybrid": _hybrid,
    "hybrid_2": lambda call: _hybrid(call, 2),
    "grouped": _grouped,
    "dilated": _dilated,
    "sparse": _sparse,
    "grows": _grows,
    "broadcast_5": _broadcast_5,
    "over_4": lambda call: _first_rank(call) > 4,
    "over_5": lambda call: _first_rank(call) > 5,
    "over_6": lambda call: _first_rank(call) > 6,
    "rank_5": lambda call: call.rank() == 5,
    "not_rank_4": lambda call: _first_rank(call) != 4,
    "not_bool": lambda call: not call.has(0, "bool"),
    "two_operands": lambda call: len(call.node.inputs) == 2,
    "biased": lambda call: call.operand(3) is not None,
    "activated": lambda call: call.node.attrs.get("fused_activation_function", "NONE") != "NONE",
    "narrow_bias": lambda call: call.node.attrs.get("quantized_bias_type", "float32") == "int32",
    "shuffled": lambda call: call.node.attrs.get("weights_format", "DEFAULT") != "DEFAULT",
    "full_kernel": lambda call: call.node.attrs.get("kernel_type", "FULL") == "FULL",
    "basic_kernel": lambda call: call.node.attrs.get("kernel_type", "FULL") == "BASIC",
}
_TYPES = frozenset(kind.value for kind in DType)


def least_version(node: Node, operands: Sequence[Tensor | None], results: Sequence[Tensor]) -> int:
    """Returns: the version of an operator that has all that a call needs.

    Args:
        node: the call.
        operands: its operands, None for absent ones.
        results: what it writes.
    """
    call = _Call(node, operands, results)
    held = (version for version, terms in _rules().get(node.op, ()) if all(_holds(t, call) for t in terms))
    return max(held, default=1)


def is_special(
    condition: str, node: Node, operands: Sequence[Tensor | None], results: Sequence[Tensor]
) -> bool:
    """Returns: whether a condition, in the words of the table above, holds for a call."""
    call = _Call(node, operands, results)
    return all(_holds(term, call) for term in condition.split("+"))


def with_versions(graph: Graph) -> Graph:
    """Returns: a graph whose operators say the version that their calls need, no more and no less.

    One of which the table above does not know all versions keeps what the file says.
    """
    return replace(graph, nodes=tuple(_with_version(graph, node) for node in graph.nodes))


def _with_version(graph: Graph, node: Node) -> Node:
    if node.op == CUSTOM or node.version > max((v for v, _ in _rules().get(node.op, ())), default=0):
        return node
    return replace(node, version=least_version(node, graph.operands(node), graph.results(node)))


@cache
def _rules() -> dict[str, tuple[tuple[int, tuple[str, ...]], ...]]:
    """Returns: operator → (version, terms that all must hold)."""
    rows = (line.split() for line in _TABLE.strip().splitlines())
    return {name: tuple(_rule(text) for text in rules) for name, *rules in rows}


def _rule(text: str) -> tuple[int, tuple[str, ...]]:
    version, _, terms = text.partition(":")
    return int(version), tuple(terms.split("+"))


def _holds(term: str, call: _Call) -> bool:
    known = _CONDITIONS.get(term)
    if known is not None:
        return known(call)
    place, _, dtype = term.rpartition("=")
    if dtype not in _TYPES:
        wanted = not term.startswith("!")
        return bool(call.node.attrs.get(term.removeprefix("!"), not wanted)) == wanted
    if place in ("any", "out"):
        tensors = [*call.results[:1]] if place == "out" else [*call.operands, *call.results]
        return any(tensor is not None and tensor.dtype.value == dtype for tensor in tensors)
    return call.has(int(place or 0), dtype)
