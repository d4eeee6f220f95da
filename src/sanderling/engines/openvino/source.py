"""The file that OpenVINO reads: the model's own, unless it tells tensors apart by more than their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sanderling.graph.graph import Graph, Model
from sanderling.tflite import write


def readable(path: Path, model: Model) -> tuple[Path, TemporaryDirectory[str] | None]:
    """Returns: a file in which every tensor has a name of its own, and the folder that is to be kept for it.

    OpenVINO takes tensors of one name for one tensor: the answer would be wrong without a word.
    """
    if all(_distinct(graph) for graph in model.graphs):
        return path, None
    folder = TemporaryDirectory(prefix="sanderling-openvino-")
    copy = Path(folder.name) / "model.tflite"
    write(replace(model, graphs=tuple(map(_named, model.graphs))), copy)
    return copy, folder


def _distinct(graph: Graph) -> bool:
    names = [tensor.name for tensor in graph.tensors]
    return len(set(names)) == len(names) and "" not in names


def _named(graph: Graph) -> Graph:
    return replace(graph, tensors=tuple(replace(t, name=f"tensor_{i}") for i, t in enumerate(graph.tensors)))
