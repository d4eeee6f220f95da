"""Says why a model cannot go onto a microcontroller."""

from __future__ import annotations

from collections.abc import Mapping

from sanderling.analysis.floats import float_operators, float_ports, is_integer, told
from sanderling.compress.sparsity.look_up_tables import without_look_up_tables
from sanderling.deploy.order import Order
from sanderling.engines.tflite_micro.operators import CUSTOM_KERNELS, KERNELS, supported
from sanderling.errors import UsageError
from sanderling.graph.graph import CUSTOM, Model, Node

_QUANTIZE = "quantize it with sanderling optimize --target microcontroller"
_YES = {"yes": True, "no": False}


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can.

    Raises:
        UsageError: a setting is wrong.
    """
    tables(order)
    model = order.model
    return _unknown(model) or _resizable(model) or _floats(model) or _unsupported(model)


def tables(order: Order) -> bool:
    """Returns: whether weights of few values are to become tables.

    Raises:
        UsageError: the setting is neither yes nor no.
    """
    given = order.options.get("look-up-tables", "no")
    if given not in _YES:
        raise UsageError(f"got {given!r}, expected yes or no", where="--set look-up-tables")
    return _YES[given]


def plain(model: Model) -> tuple[Model, Mapping[str, str]]:
    """Returns: the model without look-up tables, and the setting that makes them (``Target.plain``)."""
    unpacked, count = without_look_up_tables(model)
    return unpacked, {"look-up-tables": "yes"} if count else {}


def _unknown(model: Model) -> str:
    """Operators of which TFLite Micro has no kernel for any type."""
    nodes = [node for graph in model.graphs for node in graph.nodes]
    lacking = [node.kind for node in nodes if not _known(node)]
    return f"TFLite Micro has no kernel for {told(lacking)}" if lacking else ""


def _known(node: Node) -> bool:
    return node.custom_code in CUSTOM_KERNELS if node.op == CUSTOM else node.op in KERNELS


def _resizable(model: Model) -> str:
    """Inputs whose size is only known when it runs. A batch of any size is one of the stored size there."""
    for name, index in zip(model.input_names(), model.main.inputs, strict=True):
        signature = model.main.tensors[index].shape_signature
        if signature and -1 in signature[1:]:
            return (
                f"input {name!r} has sizes that only a call tells ({list(signature)}), and TFLite Micro "
                "plans its memory for fixed ones: convert the model with a fixed shape"
            )
    return ""


def _floats(model: Model) -> str:
    if is_integer(model):
        return ""
    kinds = list(dict.fromkeys(node.kind for node in float_operators(model)))
    if kinds:
        verb = "computes" if len(kinds) == 1 else "compute"
        return f"{told(kinds)} {verb} in float, and a microcontroller takes whole integers only: {_QUANTIZE}"
    ports = [repr(name) for name in float_ports(model)]
    if not ports:
        return f"it turns integers into floats and back: {_QUANTIZE}"
    verb = "is" if len(ports) == 1 else "are"
    return (
        f"{told(ports)} {verb} float, and a microcontroller gives and takes integers: change that with "
        "sanderling optimize --target microcontroller, or quantize the float model with --io int8"
    )


def _unsupported(model: Model) -> str:
    for graph in model.graphs:
        for node in graph.nodes:
            verdict = supported(graph, node)
            if not verdict:
                return verdict.reason
    return ""
