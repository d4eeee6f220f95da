"""A program's constants, as small as the model's file has them, and without any loss.

Kernels read weights as 32-bit floats in an order of their own. Where these are 16-bit floats, they are
kept as such; where they are 8-bit integers times a scale, as integers, and the scale where it changes;
and those of the program in 16 bits are made of the other one's. Each rule is tried, and taken where it
gives back every bit. ``files/constants.js`` applies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.deploy.web.blob import Blob
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.graph.types import Array

Floats = npt.NDArray[np.float32]
Rule = dict[str, Any]
_PERIODS = (4, 8, 16, 32, 64, 128, 256)  # numbers after which the scales of a row come again
_SMALL = 256  # bytes that are not worth a rule
_FACTORS = range(-24, 25)  # powers of two that 16-bit weights are divided by
_LARGEST = 65504
_TRIED = 64  # values that are looked at first


def ranges(program: Program) -> list[tuple[int, int]]:
    """Returns: where each constant lies among the program's weights, and its size, in bytes, in order."""
    starts, total = {}, 0
    for number in range(program.arenas, len(program.buffers)):
        starts[number] = total
        total += program.buffers[number]
    slots = (slot for dispatch in program.dispatches for slot in dispatch.slots if slot.constant)
    return sorted({(starts[slot.buffer] + slot.offset, slot.size) for slot in slots})


def kept(program: Program, unit: Program | None, blob: Blob) -> list[Rule]:
    """Puts the constants of a program into the blob.

    Args:
        unit: the same program with weights one step large, see ``unit_weights``; None where there is none.

    Returns: a rule for each constant.
    """
    places = ranges(program)
    alike = unit is not None and ranges(unit) == places
    rules = []
    for start, size in places:
        raw = program.weights[start : start + size]
        steps = unit.weights[start : start + size].view("<f4") if unit is not None and alike else None
        rules.append({"at": start, **_rule(raw, steps, blob)})
    return rules


def _rule(raw: Array, steps: Floats | None, blob: Blob) -> Rule:
    values = raw.view("<f4")
    if raw.size > _SMALL:
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = values.astype("<f2")
        if np.array_equal(narrow.astype("<f4").view("<u4"), raw.view("<u4")):
            return {"as": "half", "from": blob.add(narrow)}
        scaled = None if steps is None else _scaled(values, steps)
        if scaled is not None:
            lowest, integers, period, counts, rows = scaled
            return {
                "as": "scaled", "from": blob.add(integers), "lowest": lowest, "period": period,
                "counts": blob.add(counts), "rows": blob.add(rows),
            }  # fmt: skip
    return {"as": "bytes", "from": blob.add(raw.view("<u4") if _is_wide(raw) else raw)}


def _is_wide(raw: Array) -> bool:
    """Returns: whether these look like elements of four bytes: floats, whose last bytes are alike."""
    quads = raw[: raw.size // 4 * 4].reshape(-1, 4)
    return raw.size > _SMALL and len(np.unique(quads[:, 3])) < len(np.unique(quads[:, 0]))


def _scaled(values: Floats, steps: Floats) -> tuple[int, Array, int, Array, Floats] | None:
    """Takes values apart into integers and scales.

    Returns: the lowest integer, the integers above it (uint8), and the scales: rows of ``period`` numbers,
    each of which counts for so many rows of values. None where that does not give the same values.
    """
    if not (np.isfinite(steps).all() and np.isfinite(values).all()):
        return None  # those are no floats
    safe = np.where(steps == 0, 1, steps).astype(np.float64)
    integers = np.rint(values / safe)
    lowest = int(integers.min(initial=0))
    if integers.max(initial=0) - lowest > 255:
        return None
    if not np.array_equal((integers * safe * (steps != 0)).astype("<f4"), values):
        return None
    period = min((p for p in _PERIODS if values.size % p == 0), key=lambda p: _cost(steps, p), default=0)
    if not period or 4 * _cost(steps, period) > values.size:
        return None
    rows = steps.reshape(-1, period)
    begins = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
    counts = np.diff(np.append(begins, len(rows))).astype("<u4")
    return lowest, (integers - lowest).astype(np.uint8), period, counts, rows[begins].astype("<f4")


def _cost(steps: Floats, period: int) -> int:
    """Returns: how many scales are to be kept with rows of this length."""
    rows = steps.reshape(-1, period)
    return period * (1 + int((rows[1:] != rows[:-1]).any(axis=1).sum()))


def derived(program: Program, whole: Program, blob: Blob) -> list[Rule]:
    """Makes the constants of another program out of those of the one in 32 bits.

    What cannot be made is put into the blob.

    Returns: a rule for each constant.
    """
    sources = [(start, whole.weights[start : start + size].view("<f4")) for start, size in ranges(whole)]
    rules = []
    for start, size in ranges(program):
        raw = program.weights[start : start + size]
        found = next(_matches(raw, sources), None)
        rules.append({"at": start, **(found or _rule(raw, None, blob))})
    return rules


def _matches(raw: Array, sources: Sequence[tuple[int, Floats]]) -> Iterator[Rule]:
    for at, values in sources:
        if values.nbytes == raw.size and np.array_equal(values.view(np.uint8), raw):
            yield {"as": "same", "of": at, "bytes": raw.size}
        if values.nbytes == 2 * raw.size:
            factor = _factor(values, raw.view("<f2"))
            if factor is not None:
                yield {"as": "narrow", "of": at, "count": values.size, "factor": factor}


def _factor(values: Floats, wanted: npt.NDArray[np.float16]) -> float | None:
    """Returns: the power of two of which the values are so many, rounded to 16 bits; None for none."""
    if not np.isfinite(values).all():
        return None  # those are no floats
    factors = (2.0**power for power in _FACTORS)
    first, few = values[:_TRIED], wanted[:_TRIED]
    return next((f for f in factors if _is_narrow(first, few, f) and _is_narrow(values, wanted, f)), None)


def _is_narrow(values: Floats, wanted: npt.NDArray[np.float16], factor: float) -> bool:
    with np.errstate(over="ignore"):
        parts = (values / np.float32(factor)).clip(-_LARGEST, _LARGEST).astype("<f2")
    return np.array_equal(parts.view("<u2"), wanted.view("<u2"))
