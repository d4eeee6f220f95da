"""Cases for the LSTM operators: the operands of a cell with any of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.graph.types import Array
from sanderling.ops._cases import normal

BATCH, FEATURES = 2, 5
Operands = list[Array | None]


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts a cell has."""

    input_gate: bool = True
    peephole: bool = False
    projection: bool = False
    norm: bool = False


def cell_operands(rng: np.random.Generator, parts: Parts, cells: int = 4) -> Operands:
    """Returns: the 17 operands that follow the input."""
    outputs = 3 if parts.projection else cells
    gates = [parts.input_gate, True, True, True]
    found: Operands = [normal(rng, (cells, FEATURES)) / 6 if there else None for there in gates]
    found += [normal(rng, (cells, outputs)) / 6 if there else None for there in gates]
    peepholes = [parts.peephole and parts.input_gate, parts.peephole, parts.peephole]
    found += [normal(rng, (cells,)) / 3 if there else None for there in peepholes]
    found += [normal(rng, (cells,)) / 3 if there else None for there in gates]
    weights = [normal(rng, (outputs, cells)) / 3, normal(rng, (outputs,)) / 3]
    return found + (list(weights) if parts.projection else [None, None])


def states(parts: Parts, cells: int = 4) -> Operands:
    """Returns: output and cell state at their start."""
    outputs = 3 if parts.projection else cells
    return [np.zeros((BATCH, outputs), np.float32), np.zeros((BATCH, cells), np.float32)]


def norms(rng: np.random.Generator, parts: Parts, cells: int = 4) -> Operands:
    """Returns: the 4 layer normalisations, or nothing."""
    if not parts.norm:
        return []
    return [normal(rng, (cells,)) if there else None for there in (parts.input_gate, True, True, True)]


def constants(arrays: Operands, variables: tuple[int, ...]) -> tuple[int, ...]:
    """Returns: the positions of the weights."""
    return tuple(i for i, a in enumerate(arrays) if i and a is not None and i not in variables)


VARIANTS = {
    "plain": Parts(), "coupled": Parts(input_gate=False), "peephole": Parts(peephole=True),
    "projection": Parts(projection=True), "norm": Parts(norm=True),
    "all": Parts(peephole=True, projection=True, norm=True),
    "coupled all": Parts(input_gate=False, peephole=True, projection=True, norm=True),
}  # fmt: skip
CLIPS = {"all": {"cell_clip": 0.6, "proj_clip": 0.3}}
