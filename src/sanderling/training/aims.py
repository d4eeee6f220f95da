"""What a student should come close to: the teacher's answers, by what kind of answers they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sanderling.graph.edit import producers
from sanderling.graph.graph import Graph
from sanderling.ops.registry import find

Kind = Literal["classes", "probabilities", "values"]
_ENDS: Mapping[str, Kind] = {"SOFTMAX": "classes", "LOGISTIC": "probabilities"}
_LOGITS = 0.02  # weight of the scores' squared error beside the divergence of what becomes of them
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Aim:
    """One tensor of the student that should be like one of the teacher.

    Attributes:
        kind: ``classes``: scores before a softmax; ``probabilities``: before a sigmoid; ``values``.
        teacher, student: tensor indices in the two graphs.
        weight: of this aim in the sum.
        factor: what the scores are multiplied by before the softmax.
    """

    kind: Kind
    teacher: int
    student: int
    weight: float = 1.0
    factor: float = 1.0


def answers(teacher: Graph, student: Graph) -> list[Aim]:
    """Returns: an aim for each float output: the scores before it where it ends in a softmax or a sigmoid."""
    aims = []
    for left, right in zip(teacher.outputs, student.outputs, strict=True):
        if not teacher.tensors[left].dtype.is_float:
            continue
        kind, before, factor = _end(teacher, left)
        other, after, _ = _end(student, right)
        if kind == other != "values":
            aims.append(Aim(kind, before, after, factor=factor))
        else:
            aims.append(Aim("values", left, right))
    return aims


def features(teacher: Graph, tensors: Sequence[int], weight: float) -> list[Aim]:
    """Returns: aims for inner tensors of a student of the same graph."""
    return [Aim("values", index, index, weight / max(len(tensors), 1)) for index in tensors]


def bottlenecks(graph: Graph, most: int = 8) -> list[int]:
    """Returns: inner float tensors through which everything passes, at most so many, evenly spread."""
    last = {index: position for position, node in enumerate(graph.nodes) for index in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    alive = {i for i in graph.inputs if i in last}
    found = []
    for position, node in enumerate(graph.nodes[:-1]):
        alive |= {i for i in node.outputs if i in last}
        alive -= {i for i in alive if last[i] <= position}
        if len(alive) == 1 and alive == set(node.outputs):
            (only,) = alive
            if graph.tensors[only].dtype.is_float and only not in graph.outputs:
                found.append(only)
    picked = {round(k * (len(found) - 1) / max(most - 1, 1)) for k in range(most)} if found else set()
    return [found[k] for k in sorted(picked)]


def _end(graph: Graph, index: int) -> tuple[Kind, int, float]:
    """Returns: the kind of an output, the tensor to compare, and the softmax's factor."""
    made = producers(graph)
    while index in made:
        node = graph.nodes[made[index]]
        if node.op in _ENDS:
            return _ENDS[node.op], node.inputs[0], float(node.attrs.get("beta", 1.0))
        op = find(node.op)
        if op is None or not op.moves_data or node.op not in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            break
        index = node.inputs[0]
    return "values", index, 1.0


def loss(torch: Any, aims: Sequence[Aim], teacher: Mapping[int, Any], student: Mapping[int, Any]) -> Any:
    """Returns: how far the student is from the teacher: 0 for the same answers."""
    total = 0.0
    for aim in aims:
        want, got = teacher[aim.teacher].detach(), student[aim.student]
        total = total + aim.weight * _distance(torch, aim, want, got)
    return total


def _distance(torch: Any, aim: Aim, want: Any, got: Any) -> Any:
    functional = torch.nn.functional
    if aim.kind == "values":
        return _relative(want, got)
    if aim.kind == "classes":
        left, right = (functional.log_softmax(x * aim.factor, -1) for x in (want, got))
        divergence = functional.kl_div(right, left, log_target=True, reduction="none").sum(-1).mean()
        centred = [x - x.mean(-1, keepdim=True) for x in (want, got)]
        return divergence + _LOGITS * _relative(*centred)
    share = torch.sigmoid(want)
    cross = functional.binary_cross_entropy_with_logits(got, share)
    least = functional.binary_cross_entropy_with_logits(want, share)  # what the teacher itself would get
    return cross - least + _LOGITS * _relative(want, got)


def _relative(want: Any, got: Any) -> Any:
    """Returns: the squared error as a share of the teacher's variance in the batch."""
    spread = want.var(unbiased=False) if want.numel() > 1 else want.square().mean()
    return (got - want).square().mean() / (spread + _TINY)
