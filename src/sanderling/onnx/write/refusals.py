"""What of a model ONNX cannot express, node by node, where ``export`` tells the first."""

from __future__ import annotations

from sanderling.errors import ModelError
from sanderling.graph.graph import Model
from sanderling.onnx.write.builder import Builder, NeedsOpset, Value, plain_order
from sanderling.onnx.write.exporter import Scope
from sanderling.onnx.write.proto import OPSET
from sanderling.onnx.write.variables import Variables


def refusals(model: Model) -> list[str]:
    """Returns: for every node of the main graph why it cannot be written as ONNX, "" where it can."""
    opset = OPSET
    while True:
        try:
            return _tried(model, opset)
        except NeedsOpset as needs:
            opset = needs.opset


def _tried(model: Model, opset: int) -> list[str]:
    builder = Builder(opset)
    scope = Scope(model, 0, builder, Variables(builder))
    graph, found = model.main, []
    for index in graph.inputs:
        _give(scope, index)
    for node in graph.nodes:
        try:
            scope.write(node)
            found.append("")
        except ModelError as error:
            found.append(error.what)
            for index in node.outputs:  # so that what reads it is judged for itself
                _give(scope, index)
    return found


def _give(scope: Scope, index: int) -> None:
    kind = scope.graph.tensors[index].type
    name = scope.builder.names.fresh(f"tensor_{index}")
    scope.values[index] = Value(name, kind, plain_order(len(kind.shape)))
