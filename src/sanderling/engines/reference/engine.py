"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.engines.engine import Variant
from sanderling.engines.reference.control import CONTROL
from sanderling.engines.reference.runner import ReferenceRunner
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import YES, DType, Verdict, no
from sanderling.ops.registry import find_for


class Reference:
    """The operators' own NumPy implementations, one after the other."""

    name = "reference"
    isolated = False
    packages = ("numpy",)

    def available(self) -> Verdict:
        """Returns: yes: it needs nothing but NumPy."""
        return YES

    def variants(self) -> Sequence[Variant]:
        """Returns: the one way, which is slow: it must be named."""
        return (Variant("reference", threads=False, choose=False),)

    def version(self) -> str:
        """Returns: the version of NumPy, which does the arithmetic."""
        from importlib.metadata import version

        return version("numpy")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether there is an implementation for it."""
        return [supported(model.main, node) for node in model.main.nodes]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> ReferenceRunner:
        """Loads a verified model. The file itself is not read again.

        Args:
            path: where the model comes from, for messages.
            threads: ignored: NumPy's matrix products take the threads that their library is set to.
            options: ``precision``: ``"auto"`` or ``"float32"``, which are the same here.

        Raises:
            UnsupportedOperator: an operator has no implementation, with the reason.
            UsageError: an option is unknown or has a wrong value.
        """
        _check(dict(options or {}))
        for graph in model.graphs:
            for position, node in enumerate(graph.nodes):
                verdict = supported(graph, node)
                if not verdict:
                    raise UnsupportedOperator(
                        f"operator {position}: {verdict.reason}",
                        where=str(path),
                        hint="run it with engine='litert'",
                    )
        return ReferenceRunner(path, model)


def supported(graph: Graph, node: Node) -> Verdict:
    """Returns: whether the operator has an implementation for the operands that the file declares."""
    if node.op in CONTROL:
        return YES
    if node.op == CUSTOM and find_for(node) is None:
        return no(f"the custom operator {node.custom_code} has no implementation in NumPy")
    op = find_for(node)
    if op is None or (op.reference is None and op.integer is None):
        return no(f"{node.op} has no implementation in NumPy")
    for tensor in (*graph.operands(node), *graph.results(node)):
        if tensor is not None and (reason := _unusable(tensor)):
            return no(f"{node.op}: {reason}")
    return YES


def _unusable(tensor: Tensor) -> str:
    """Returns: why NumPy cannot hold a tensor, or ""."""
    if tensor.quant is not None and tensor.quant.block is not None:
        return f"tensor {tensor.name!r} is quantized in blocks"
    if tensor.dtype is DType.RESOURCE:
        return ""
    try:
        _ = tensor.dtype.numpy
    except TypeError as error:
        return f"tensor {tensor.name!r} cannot be held: {error}"
    return ""


def _check(options: dict[str, object]) -> None:
    if unknown := sorted(set(options) - {"precision"}):
        raise UsageError(f"engine reference has no option {unknown[0]!r}", hint="it has: precision")
    if options.get("precision", "auto") not in ("auto", "float32"):
        raise UsageError(
            f"engine reference computes float tensors in float32, got precision {options['precision']!r}",
            hint="leave precision at 'auto'",
        )
