"""What LiteRT's GPU accelerator is not to be asked for."""

from __future__ import annotations

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import YES, Verdict


def supported(model: Model, node: Node) -> Verdict:
    return YES
