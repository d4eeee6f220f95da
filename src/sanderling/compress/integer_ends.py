"""Takes the conversions at the ends of a quantized model away: integers go in and out, all else stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact, consumers, producers, without_nodes
from sanderling.graph.graph import Graph, Model, Signature

NAME = "integer_ends"


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Drops every QUANTIZE that alone reads a float input, and every DEQUANTIZE that makes a float output.

    Settings: none.

    Raises:
        RecipeError: there are no such conversions.
    """
    Options(NAME, settings, ())
    graph = model.main
    moved = _inputs(graph) | _outputs(graph)
    if not moved:
        raise RecipeError(f"{NAME} finds no conversions from or to floats at the ends", where=model.name)
    gone = {
        i for i, node in enumerate(graph.nodes) if _pair(node.op, node.inputs, node.outputs) in moved.items()
    }
    tensors = list(graph.tensors)
    for real, stored in moved.items():  # what is fed and asked for keeps its name
        tensors[stored] = replace(tensors[stored], name=tensors[real].name)
    inputs, outputs = (tuple(moved.get(i, i) for i in side) for side in (graph.inputs, graph.outputs))
    done = without_nodes(replace(graph, tensors=tuple(tensors), inputs=inputs, outputs=outputs), gone)
    signatures = tuple(_moved(each, moved) if each.graph == 0 else each for each in model.signatures)
    changed = replace(model.with_main(done), signatures=signatures)
    return compact(changed), Applied(notes=(f"{len(moved)} inputs and outputs are integers now",))


def _inputs(graph: Graph) -> dict[int, int]:
    """Returns: float inputs, with what they are quantized to."""
    readers = consumers(graph)
    found = {}
    for index in graph.inputs:
        reading = [graph.nodes[position] for position in readers.get(index, [])]
        if len(reading) == 1 and reading[0].op == "QUANTIZE" and graph.tensors[index].dtype.is_float:
            found[index] = reading[0].outputs[0]
    return found


def _outputs(graph: Graph) -> dict[int, int]:
    """Returns: float outputs, with what they are made from."""
    makers, readers = producers(graph), consumers(graph)
    found = {}
    for index in graph.outputs:
        maker = graph.nodes[makers[index]] if index in makers else None
        if maker is not None and maker.op == "DEQUANTIZE" and not readers.get(index):
            found[index] = maker.inputs[0]
    return found


def _pair(op: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[int, int]:
    """Returns: the float side of a conversion, and the other."""
    if op == "QUANTIZE":
        return inputs[0], outputs[0]
    return (outputs[0], inputs[0]) if op == "DEQUANTIZE" else (-1, -1)


def _moved(signature: Signature, moved: Mapping[int, int]) -> Signature:
    def ends(side: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return tuple((name, moved.get(index, index)) for name, index in side)

    return replace(signature, inputs=ends(signature.inputs), outputs=ends(signature.outputs))


TECHNIQUE = Technique(NAME, "integers in and out of a quantized model, with the same answers", apply)
