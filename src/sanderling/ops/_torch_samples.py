"""Operators in PyTorch on several samples at once.

A file declares the sizes of one call. In training an operand may hold several calls' values, one after the
other along its first axis. What an operator gives then is what it would give for each of them by itself,
again one after the other, whatever that axis stands for: a sum over it stays within its sample. Most
operators of most networks work row by row and take the longer operand as it is (``Rows``); for all others
``torch.func.vmap`` lets the lowering see one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType

Types = Sequence[TensorType | None]
Lowering = Callable[[Any, Node, Sequence[Any], Types, Sequence[TensorType]], list[Any]]
# (node, which operands are longer, their declared types, those of the results) → may it have them as they are
Rule = Callable[[Node, Sequence[bool], Types, Sequence[TensorType]], bool]
_HINT = "use a technique that needs no training"
_SIZES = f"fix the model's sizes first with the pass static_batch, or {_HINT}"


@dataclass(frozen=True, slots=True)
class Rows:
    """A lowering that can take longer operands as they are, and gives as many times more rows.

    Attributes:
        compute: the lowering.
        fits: whether it can for the operands at hand.
    """

    compute: Lowering
    fits: Rule

    def __call__(
        self, torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        return self.compute(torch, node, inputs, types, out)


def of_first(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The rule of operators that treat every row of operand 0 alike: only that is longer."""
    return longer[0] and not any(longer[1:])


def of_vectors(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The rule of operators that work along the last axis of operand 0: that is not the first one."""
    return of_first(node, longer, types, out) and len(out[0].shape) > 1


def beside_first(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The rule of operators that cut or pad one operand: they leave its first axis as it is."""
    (kind,) = (
        (kind for long, kind in zip(longer, types, strict=True) if long) if sum(longer) == 1 else (None,)
    )
    return kind is not None and all(one.shape[:1] == kind.shape[:1] for one in out)


def aligned(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The rule of operators whose operands broadcast: rows meet their own rows, or what all of them share."""
    shape = out[0].shape
    return all(
        (len(kind.shape) == len(shape) and kind.shape[0] == shape[0])
        if long
        else (len(kind.shape) < len(shape) or kind.shape[:1] in ((), (1,)))
        for long, kind in zip(longer, types, strict=True)
        if kind is not None
    )


def by_sizes_alone(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The rule of operators whose result depends on declared sizes alone: it is the same for all samples."""
    return True


def for_samples(lowering: Lowering, reads: Sequence[int]) -> Lowering:
    """Returns: the lowering, which also takes operands of several samples.

    Args:
        lowering: for operands and results of the declared shapes.
        reads: positions of operands on whose values the results' sizes depend.

    Raises (when called):
        UnsupportedOperator: an operand is of another shape than declared, and not several samples either, or
            what each sample gives cannot be put one after the other.
    """

    def checked(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        counts = [_samples(node, i, x, kind) for i, (x, kind) in enumerate(zip(inputs, types, strict=True))]
        count = max(counts, default=1)
        if count == 1:
            return _fitted(node, lowering(torch, node, inputs, types, out), 1, out)
        longer = [n > 1 for n in counts]
        if any(n not in (1, count) for n in counts) or any(longer[i] for i in reads if i < len(longer)):
            raise _unfit(node, f"its operands hold {sorted(set(counts))} samples")
        if isinstance(lowering, Rows) and lowering.fits(node, longer, types, out):
            results = lowering(torch, node, inputs, types, out)
            return _fitted(node, results, 1 if lowering.fits is by_sizes_alone else count, out)
        return _fitted(node, _each(torch, lowering, count, longer, (node, inputs, types, out)), count, out)

    return checked


def _samples(node: Node, position: int, x: Any, kind: TensorType | None) -> int:
    """Returns: how many times what was declared an operand holds."""
    if x is None or kind is None:
        return 1
    shape, declared = tuple(x.shape), kind.shape
    if shape == declared:
        return 1
    if len(shape) == len(declared) and shape[1:] == declared[1:] and declared[0] > 0 and shape[0]:
        count, rest = divmod(shape[0], declared[0])
        if not rest:
            return int(count)
    raise _unfit(node, f"operand {position} has shape {shape}, declared is {declared}", _SIZES)


def _each(
    torch: Any,
    lowering: Lowering,
    count: int,
    longer: Sequence[bool],
    call: tuple[Node, Sequence[Any], Types, Sequence[TensorType]],
) -> list[Any]:
    node, inputs, types, out = call
    places = [i for i, long in enumerate(longer) if long]

    def one(*parts: Any) -> tuple[Any, ...]:
        operands = list(inputs)
        for place, part in zip(places, parts, strict=True):
            operands[place] = part
        return tuple(lowering(torch, node, operands, types, out))

    split = [inputs[i].reshape(count, *(kind.shape if (kind := types[i]) else ())) for i in places]
    results = torch.func.vmap(one)(*split)
    if any(result.ndim < 2 for result in results):
        raise _unfit(node, "it gives every sample a number of its own, in a result without an axis for them")
    return [result.flatten(0, 1) for result in results]


def _fitted(node: Node, results: list[Any], count: int, out: Sequence[TensorType]) -> list[Any]:
    """Returns: the results, each of which must have ``count`` times the declared rows."""
    for result, kind in zip(results, out, strict=True):
        wanted = (count * kind.shape[0], *kind.shape[1:]) if kind.shape else ()
        if tuple(result.shape) != wanted:
            raise _unfit(node, f"its result has shape {tuple(result.shape)}, expected {wanted}", _SIZES)
    return results


def _unfit(node: Node, what: str, hint: str = _HINT) -> UnsupportedOperator:
    return UnsupportedOperator(f"{what}, so that it cannot be trained", where=node.kind, hint=hint)
