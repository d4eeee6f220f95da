"""The file that OpenVINO reads: the model's own, unless it says more than OpenVINO understands.

It knows tensors by their names alone, and takes no weights that lie behind the flatbuffer, where converters
put large ones.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from sanderling.graph.graph import Graph, Model
from sanderling.passes.pipeline import run
from sanderling.tflite import write


def is_readable(model: Model) -> bool:
    """Returns: whether OpenVINO can be given the model's own file.

    It takes tensors of one name for one tensor: the answer would be wrong without a word. Of composites it
    does not run the graph that stands for them.
    """
    composite = any(node.op == "STABLEHLO_COMPOSITE" for node in model.main.nodes)
    return not composite and all(_distinct(graph) for graph in model.graphs)


def rewritten(model: Model) -> Path:
    """Writes the model as OpenVINO reads it. Returns: the file, alone in a new folder."""
    model = run(model, ("inline_composites",))[0]
    path = Path(mkdtemp(prefix="sanderling-openvino-")) / "model.tflite"
    write(replace(model, graphs=tuple(map(_named, model.graphs))), path)
    return path


def _distinct(graph: Graph) -> bool:
    names = [tensor.name for tensor in graph.tensors]
    return len(set(names)) == len(names) and "" not in names


def _named(graph: Graph) -> Graph:
    return replace(graph, tensors=tuple(replace(t, name=f"tensor_{i}") for i, t in enumerate(graph.tensors)))
