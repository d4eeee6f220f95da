"""Which operators of a model a quantizing technique may touch, and why not the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType

# Position of the weights among the inputs; the bias follows where there is one.
WEIGHTS = {
    "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1, "BATCH_MATMUL": 1,
    "EMBEDDING_LOOKUP": 1,
}  # fmt: skip
DATA = {"TRANSPOSE_CONV": 2}  # position of the activations, 0 for all others
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
CASTS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_INTEGERS = {DType.INT8, DType.UINT8, DType.INT16, DType.INT4}
# Reasons that say nothing a user would want to know: there is nothing to quantize in the first place.
CONVERTS, NO_FLOATS, NO_WEIGHTS = "converts only", "no floats", "no weights"
SILENT = frozenset({CONVERTS, NO_FLOATS, NO_WEIGHTS})
KEPT = "the recipe says so"
MAY_BE_COMPUTED = frozenset({"BATCH_MATMUL"})  # both operands may be results of other operators


@dataclass(frozen=True, slots=True)
class Eligibility:
    """For every node of the main graph: "" when it may be quantized, else the reason why not."""

    reasons: tuple[str, ...]

    @property
    def chosen(self) -> tuple[int, ...]:
        """Positions of the nodes that may be quantized."""
        return tuple(position for position, reason in enumerate(self.reasons) if not reason)


def operator_name(graph: Graph, node: Node) -> str:
    """Returns: the name by which recipes call a node: that of its first output tensor."""
    return graph.tensors[node.outputs[0]].name if node.outputs else ""


def weights_of(graph: Graph, node: Node) -> Tensor | None:
    """Returns: the node's weights, None for operators without any."""
    position = WEIGHTS.get(node.op)
    if position is None or position >= len(node.inputs) or node.inputs[position] < 0:
        return None
    return graph.tensors[node.inputs[position]]


def require_float(model: Model, technique: str) -> None:
    """Refuses models that are quantized already. Mixed ones pass: what is float can be quantized.

    Raises:
        RecipeError: every operator with weights computes on integers already.
    """
    graph = model.main
    weighted = [node for node in graph.nodes if weights_of(graph, node) is not None]
    compute = weighted or [node for node in graph.nodes if node.op not in CASTS]
    if compute and all(_computes_on_integers(graph, node) for node in compute):
        raise RecipeError(
            f"the model is already quantized, {technique} needs a float model",
            where=model.name,
            hint="give the float model it was made from",
        )


def judge(
    graph: Graph,
    why_float: Callable[[Graph, Node], str],
    *,
    keep_float: Collection[str] = (),
    weights_only: bool = False,
) -> Eligibility:
    """Decides for every node whether it may be quantized.

    Args:
        graph: the main graph, constants folded, with the original tensor names.
        why_float: says why the technique leaves an operator alone, "" when it does not.
        keep_float: operators that the user wants float, by the name of their first output.
        weights_only: activations stay float, so only operators with constant weights matter.
    """
    wanted = set(keep_float)
    return Eligibility(
        tuple(
            KEPT if operator_name(graph, node) in wanted else _reason(graph, node, why_float, weights_only)
            for node in graph.nodes
        )
    )


def check_names(model: Model, names: Collection[str], technique: str) -> None:
    """Makes sure that ``keep_float`` names operators of the model.

    Raises:
        RecipeError: a name belongs to no operator.
    """
    known = {operator_name(model.main, node) for node in model.main.nodes}
    for name in names:
        if name not in known:
            raise RecipeError(
                f"{technique} is to keep operator '{name}' float, the model has none of that name",
                where=model.name,
                hint="an operator is named by its first output tensor: see 'sanderling analyze'",
            )


def _computes_on_integers(graph: Graph, node: Node) -> bool:
    data = DATA.get(node.op, 0)
    values = [graph.tensors[i] for i in (*node.inputs[data : data + 1], *node.outputs) if i >= 0]
    return any(t.dtype in _INTEGERS and t.type.is_quantized for t in values)


def _reason(graph: Graph, node: Node, why_float: Callable[[Graph, Node], str], weights_only: bool) -> str:
    if node.op in CASTS:
        return CONVERTS
    operands = [graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0]
    if any(t.type.is_quantized for t in operands):
        return "quantized already"
    if not any(t.dtype is DType.FLOAT32 for t in operands):
        return NO_FLOATS
    if told := why_float(graph, node):
        return told
    if any(t.dtype in {DType.FLOAT16, DType.FLOAT64} for t in operands):
        return "float types are mixed"
    reason = _weights_reason(graph, node)
    if reason or not weights_only:
        return reason
    weights = weights_of(graph, node)
    return "" if weights is not None and weights.is_constant else "weights computed at run time"


def _weights_reason(graph: Graph, node: Node) -> str:
    weights = weights_of(graph, node)
    if weights is None:
        return ""
    if not weights.is_constant:
        return "" if node.op in MAY_BE_COMPUTED else "weights computed at run time"
    if weights.sparsity is not None:
        return "sparse weights"
    position = BIAS.get(node.op)
    if position is not None and position < len(node.inputs) and node.inputs[position] >= 0:
        bias = graph.tensors[node.inputs[position]]
        if not bias.is_constant:
            return "a bias computed at run time"
        if weights.type.size and bias.type.size != _channels(graph, node):
            return "a bias without one value per channel"
    return ""


def _channels(graph: Graph, node: Node) -> int:
    shape = graph.tensors[node.outputs[0]].shape
    return shape[-1] if shape else 1
