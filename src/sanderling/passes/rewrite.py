"""What a pass is: a rewrite of a model that keeps its answers and says what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sanderling.graph.graph import Model

Rewrite = Callable[[Model], tuple[Model, list[str]]]


@dataclass(frozen=True, slots=True)
class Pass:
    """One rewrite.

    Attributes:
        name: the file's stem; a user switches a pass off by it.
        summary: one line for people.
        apply: model → (model, what was done, one line each; empty when nothing was).
        exact: the answers stay bit for bit; otherwise up to rounding.
        grows: the graph may have more operators afterwards, which together cost less; otherwise never.
        lowers: the operator that it takes apart, for engines that lack it; "" for all other passes.
        needs: the operators that a lowering puts in its place.
    """

    name: str
    summary: str
    apply: Rewrite
    exact: bool = False
    grows: bool = False
    lowers: str = ""
    needs: tuple[str, ...] = ()
