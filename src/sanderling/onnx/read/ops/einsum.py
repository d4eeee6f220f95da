"""Sums of products in Einstein's notation, as batched products of matrices."""

from __future__ import annotations

from collections import Counter
from math import prod

from sanderling.errors import UnsupportedOperator
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.ops.matrix import product
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped

# Stand for the axes that "..." means, last first; letters are ONNX's.
_DOTS = "0123456789"
Sizes = dict[str, int]


@onnx_op("Einsum")
def einsum(call: Call) -> list[Value]:
    terms, result = _spelled(call)
    sizes: Sizes = {}
    for position, term in enumerate(terms):
        if len(set(term)) < len(term):
            raise UnsupportedOperator("an equation that names an axis twice in one operand")
        for name, size in zip(term, call.shape(position), strict=True):
            if sizes.setdefault(name, size) != size:
                raise UnsupportedOperator(
                    f"an equation whose axis {name!r} has {sizes[name]} and {size} elements"
                )
    found, names = call.value(0), terms[0]
    for position in range(1, len(terms)):
        later = set(result).union(*terms[position + 1 :])
        found, names = _summed(call, found, names, later | set(terms[position]))
        other, term = _summed(call, call.value(position), terms[position], later | set(names))
        found, names = _contracted(call, (found, names), (other, term), later, sizes)
    found, names = _summed(call, found, names, set(result))
    return [_turned(found, names, result)]


def _spelled(call: Call) -> tuple[list[str], str]:
    """Returns: the operands' and the result's axes, one character each."""
    text = str(call.attr("equation", "")).replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(call.inputs):
        raise UnsupportedOperator(f"the equation {text!r} for {len(call.inputs)} operands")
    dots = [len(call.shape(i)) - len(term.replace("...", "")) for i, term in enumerate(terms)]
    most = max((count for term, count in zip(terms, dots, strict=True) if "..." in term), default=0)
    if any(count < 0 or (count and "..." not in term) for term, count in zip(terms, dots, strict=True)) or (
        most > len(_DOTS)
    ):  # fmt: skip
        raise UnsupportedOperator(f"the equation {text!r} for operands of other ranks")
    if not arrow:
        seen = Counter(left.replace("...", "").replace(",", ""))
        result = ("..." if most else "") + "".join(sorted(c for c, count in seen.items() if count == 1))
    stand = _DOTS[:most][::-1]
    spelled = [term.replace("...", stand[most - count :]) for term, count in zip(terms, dots, strict=True)]
    result = result.replace("...", stand)
    if len(set(result)) < len(result) or not set(result) <= set().union(*spelled):
        raise UnsupportedOperator(f"the equation {text!r}")
    return spelled, result


def _summed(call: Call, x: Value, names: str, wanted: set[str]) -> tuple[Value, str]:
    """Returns: the value summed over the axes that nothing wants, and the names of those that stay."""
    gone = [axis for axis, name in enumerate(names) if name not in wanted]
    if not gone:
        return x, names
    operand = call.builder.integers(*sorted(x.order.index(axis) for axis in gone))
    kept = Value(call.emit("SUM", (x.index, operand), keep_dims=True), x.order)
    sizes = call.builder.shape(kept)
    left = [axis for axis in range(len(names)) if axis not in gone]
    return regrouped(call, kept, tuple(sizes[a] for a in left)), "".join(names[a] for a in left)


def _contracted(call: Call, a: tuple[Value, str], b: tuple[Value, str], later: set[str], sizes: Sizes
                ) -> tuple[Value, str]:  # fmt: skip
    """Returns: the product [batch, rows, inner] · [batch, inner, columns], and its axes."""
    (x, left), (y, right) = a, b
    both = [c for c in left if c in right]
    batch, inner = "".join(c for c in both if c in later), "".join(c for c in both if c not in later)
    rows, columns = ("".join(c for c in names if c not in both) for names in (left, right))

    def side(value: Value, names: str, groups: tuple[str, ...]) -> Value:
        turned = _turned(value, names, "".join(groups))
        return regrouped(call, turned, tuple(prod(sizes[c] for c in group) for group in groups))

    found = product(call, side(x, left, (batch, rows, inner)), side(y, right, (batch, inner, columns)))
    names = batch + rows + columns
    return regrouped(call, found, tuple(sizes[c] for c in names)), names


def _turned(value: Value, names: str, wanted: str) -> Value:
    """Returns: the value with its axes in another order; nothing moves."""
    order = [names.index(c) for c in wanted]
    return Value(value.index, tuple(order.index(axis) for axis in value.order))
