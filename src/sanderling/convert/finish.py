"""What every converter does with a model at its end: the source's names, and our own rewrites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sanderling import passes
from sanderling.graph.graph import SERVING, Model, Signature
from sanderling.passes.registry import find


def finish(model: Model) -> Model:
    """Rewrites a converted model with all that keeps the answer and makes nothing larger.

    Batch normalization goes into convolutions, activations are fused, transposes cancelled.
    """
    kept = [name for name in passes.FASTER if not find(name).grows]
    return passes.run(model, kept)[0]


def finish_carefully(model: Model) -> Model:
    """Rewrites only what stays bit for bit, and cancels transposes. See ``Conversion.careful``."""
    kept = [name for name in passes.FASTER if not find(name).grows]
    return passes.run(model, [name for name in kept if find(name).exact or name == "cancel_transposes"])[0]


def named(model: Model, inputs: Sequence[str], outputs: Sequence[str]) -> Model:
    """Gives the main graph's inputs and outputs their names, in its tensors and its only signature.

    Args:
        inputs, outputs: one name each, in the graph's order; of equal ones the later get a number.
    """
    graph = model.main
    tensors = list(graph.tensors)
    unique_in, unique_out = distinct(inputs), distinct(outputs)
    for names, indices in ((unique_out, graph.outputs), (unique_in, graph.inputs)):
        for name, index in zip(names, indices, strict=True):
            tensors[index] = replace(tensors[index], name=name)
    signature = Signature(
        SERVING,
        tuple(zip(unique_in, graph.inputs, strict=True)),
        tuple(zip(unique_out, graph.outputs, strict=True)),
    )
    changed = model.with_main(replace(graph, tensors=tuple(tensors)))
    return replace(changed, signatures=(signature,), source=None)


def distinct(names: Sequence[str]) -> list[str]:
    """Returns: the names, where the second of equal ones is called ``name_1``."""
    found: list[str] = []
    for name in names:
        fresh, number = name, 1
        while fresh in found:
            fresh, number = f"{name}_{number}", number + 1
        found.append(fresh)
    return found
