"""Operators of TFLite that a program of StableHLO names outright, where its converter would spell them out.

While a framework's function is traced, a stand-in takes the place of what TFLite has an operator for: a
composite whose name says which. litert-converter carries it through unread, and ``take_up`` puts the operator
in its place. What a stand-in computes in JAX is never run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sanderling.graph.calls import called
from sanderling.graph.graph import Model, Node

_MARK = "sanderling.op_"
_COMPOSITE = "STABLEHLO_COMPOSITE"


def stand_in(
    op: str, operands: Sequence[Any], *results: tuple[Sequence[int], Any],
    attrs: Mapping[str, Any] | None = None, options: str = "", version: int = 1,
) -> Any:  # fmt: skip
    """Returns: an array, or a tuple of several, which becomes what an operator gives.

    Args:
        op: TFLite's name.
        operands: arrays, in TFLite's order; called in a function that JAX traces.
        results: shape and dtype of each.
        attrs, options, version: as in ``Node``.
    """
    import jax
    from jax import numpy as jnp

    described = {"op": op, "attrs": dict(attrs or {}), "options": options, "version": version}
    name = _MARK + json.dumps(described, sort_keys=True).encode().hex()  # names are words
    named = jax.lax.composite(
        lambda *_: tuple(jnp.zeros(tuple(shape), dtype) for shape, dtype in results), name=name
    )
    found = named(*operands)
    return found if len(results) > 1 else found[0]


def take_up(model: Model) -> Model:
    """Puts the operators in the place of their stand-ins."""
    nodes = tuple(_operator(node) for node in model.main.nodes)
    if nodes == model.main.nodes:
        return model
    changed = model.with_main(replace(model.main, nodes=nodes))
    if any(called(node) for node in nodes):
        return changed
    return replace(changed, graphs=changed.graphs[:1])  # the others held what stand-ins computed


def _operator(node: Node) -> Node:
    name = str(node.attrs.get("name", "")) if node.op == _COMPOSITE else ""
    if not name.startswith(_MARK):
        return node
    described = json.loads(bytes.fromhex(name.removeprefix(_MARK)))
    return Node(
        described["op"], node.inputs, node.outputs, described["attrs"], described["options"],
        version=described["version"],
    )  # fmt: skip
