"""What a group of channels costs on a device can be measured by itself: the operators around it as a small
model of their own, once for each width that the group may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.eligible import require_float
from sanderling.compress.prepare import fold
from sanderling.compress.slimming.channels import ChannelMap, Group, cut, trace
from sanderling.compress.slimming.widths import allowed
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact, consumers
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType
from sanderling.tflite import read, write

_MOST_BYTES = 2 << 30
_FED = {DType.FLOAT32, DType.INT32, DType.INT64, DType.BOOL}


def parts_in_worker(
    *, source: str, folder: str, granularity: int = 8, widths: int = 4
) -> list[dict[str, Any]]:
    """Writes the parts of a model whose latency depends on how wide a group of channels is.

    Args:
        source: a float ``.tflite``.
        folder: an existing folder for the parts.
        granularity: as for ``slim``.
        widths: at most so many of every group, its own and its narrowest among them.

    Returns: per group ``{"group": name, "parts": {width: file}}``, widest first; groups that compute the same
        have the same files. Groups that cannot be run by themselves are left out.

    Raises:
        RecipeError: the model is quantized, or so large that its parts would fill the disk.
    """
    model = fold(read(Path(source)))
    require_float(model, "slim")
    graph = model.main
    found = trace(graph)
    written: dict[str, dict[str, str]] = {}
    rows, total = [], 0
    for group in found.groups:
        chosen = _few(allowed(group, granularity), widths)
        whole = _part(graph, found, group, len(group))
        if len(chosen) < 2 or whole is None:
            continue
        key = _structure(whole, group)
        if key not in written:
            files = {}
            for width in chosen:
                part = whole if width == len(group) else _part(graph, found, group, width)
                assert part is not None
                file = Path(folder) / f"part-{len(written)}-{width}.tflite"
                total += write(part, file)
                files[str(width)] = str(file)
                if total > _MOST_BYTES:
                    raise RecipeError(f"the parts of this model take more than {_MOST_BYTES >> 30} GB")
            written[key] = files
        rows.append({"group": group.name, "parts": written[key]})
    return rows


def _few(widths: Sequence[int], count: int) -> list[int]:
    """Returns: some widths, at about equal distances, the first and the last among them."""
    picks = np.linspace(0, len(widths) - 1, min(count, len(widths))).round().astype(int)
    return [widths[pick] for pick in dict.fromkeys(picks.tolist())]


def _part(graph: Graph, found: ChannelMap, group: Group, width: int) -> Model | None:
    """Returns: the operators around a group that is so wide; None where they take what cannot be fed."""
    narrow = cut(graph, found, group.channels[width:]) if width < len(group) else graph
    held = set(group.tensors)
    positions = [
        p for p, node in enumerate(graph.nodes) if not held.isdisjoint((*node.inputs, *node.outputs))
    ]
    nodes = [narrow.nodes[position] for position in positions]
    made = {index for node in nodes for index in node.outputs}
    read_ = dict.fromkeys(index for node in nodes for index in node.inputs if index >= 0)
    tensors = narrow.tensors
    given = [i for i in read_ if i not in made and not tensors[i].is_constant and not tensors[i].is_variable]
    if not given or any(tensors[i].dtype not in _FED or -1 in tensors[i].shape for i in given):
        return None
    users, inside = consumers(graph), set(positions)
    seen = [
        i for i in made if i in graph.outputs or not inside.issuperset(users.get(i, ())) or i not in read_
    ]
    fixed = tuple(replace(tensor, shape_signature=()) for tensor in tensors)
    part = Graph(fixed, tuple(nodes), tuple(given), tuple(sorted(seen)), "main")
    return compact(Model((part,))) if seen else None


def _structure(part: Model, group: Group) -> str:
    """Returns: the same text for parts that take the same time: all but the values of weights."""
    graph = part.main
    tensors = [
        (str(t.type), None if t.data is None or t.dtype is DType.FLOAT32 else np.asarray(t.data).tolist())
        for t in graph.tensors
    ]
    nodes = [(n.op, n.inputs, n.outputs, sorted(n.attrs.items()), n.custom_code) for n in graph.nodes]
    return repr((len(group), tensors, nodes, graph.inputs, graph.outputs))
