"""Plan → Plan: the constants of a call's steps go into one table, so that they take one binding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.engines.webgpu.compiler.plan import (
    Applied,
    Call,
    Constants,
    Plan,
    StepRead,
    Storage,
    Table,
    Value,
    View,
)

TABLE = "k"


def pool(plan: Plan, *, uniform_bytes: int = 0) -> Plan:
    """Returns: the plan in which steps read their per-channel constants from a table ``k``.

    Args:
        uniform_bytes: tables up to this size become uniform buffers.
    """
    values = list(plan.values)
    calls = tuple(_pooled(call, values, uniform_bytes) for call in plan.calls)
    return replace(plan, values=tuple(values), calls=calls)


def _pooled(call: Call, values: list[Value], uniform_bytes: int) -> Call:
    rows: list[np.ndarray] = []
    offset = 0

    def operand(read: StepRead) -> StepRead:
        nonlocal offset
        if not isinstance(read, Constants) or read.values.size == 1:
            return read
        rows.append(np.pad(read.values, (0, -read.values.size % 4)))
        offset += rows[-1].size // 4
        return Table(offset - rows[-1].size // 4)

    steps = tuple(
        Applied(s.expression, tuple((n, operand(o)) for n, o in s.operands), s.scalars, s.kind)
        for s in call.steps
    )
    if not rows:
        return call
    table = np.concatenate(rows)
    uniform = 4 * table.size <= uniform_bytes
    values.append(Value(TABLE, (table.size,), Storage("f32"), table, uniform))
    return replace(call, steps=steps, reads=(*call.reads, (TABLE, View(len(values) - 1, (table.size,)))))
