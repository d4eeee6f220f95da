"""Plan → Plan: pointwise kernels move into the store of the kernel that made their operand.

A kernel whose result only one pointwise kernel reads is run in that one's place, its result kept in a
register: bias, activation, residual add, scale, and whole chains of them cost one store. Values are written
once, so running a kernel later never changes what it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from math import prod

from sanderling.engines.webgpu.compiler.plan import (
    QUANTIZED,
    Applied,
    Call,
    Constants,
    FlowRef,
    Plan,
    StepRead,
    View,
)
from sanderling.ops._gpu import CLAMP
from sanderling.ops.kernel import Shape

POINTWISE = "_pointwise"


def fuse(plan: Plan, *, max_buffers: int = 8) -> Plan:
    """Returns: the plan with fewer kernels.

    Args:
        max_buffers: storage buffers that a kernel may bind.
    """
    groups = [list(found) for _, found in groupby(plan.calls, lambda call: call.write.value)]
    writers, readers = _writers(groups), _readers(plan)
    kept = {binding.value for binding in plan.outputs}
    for position, group in enumerate(groups):
        if group[0].body != POINTWISE:
            continue
        while True:
            found = _producer(plan, groups, groups[position], writers, readers, kept, max_buffers)
            if found is None:
                break
            call = groups[position][0]  # the only one: it is pointwise
            groups[position] = [_merged(producer, call) for producer in groups[found]]
            groups[found] = []
        writers[group[0].write.value] = [position]
    return replace(plan, calls=tuple(call for group in groups for call in group))


def _writers(groups: Sequence[Sequence[Call]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        found.setdefault(group[0].write.value, []).append(position)
    return found


def _readers(plan: Plan) -> Counter[int]:
    return Counter(view.value for call in plan.calls for view in call.views())


def _producer(
    plan: Plan,
    groups: Sequence[Sequence[Call]],
    group: Sequence[Call],
    writers: dict[int, list[int]],
    readers: Counter[int],
    kept: set[int],
    max_buffers: int,
) -> int | None:
    """Returns: the position of the kernels of one value, to all of which the pointwise kernel that is
    ``group`` can be appended; the latest of several."""
    call = group[0]
    if call.body != POINTWISE:
        return None  # it has been appended to another kernel already
    uses = Counter(view.value for view in call.views())
    candidates = []
    for view in call.views():
        made = writers.get(view.value, [])
        if len(made) != 1 or view.value in kept or readers[view.value] != uses[view.value]:
            continue
        producers = groups[made[0]]
        if producers and all(_appendable(plan, p, call, view.value, max_buffers) for p in producers):
            candidates.append(made[0])
    return max(candidates, default=None)


def _appendable(plan: Plan, producer: Call, call: Call, value: int, max_buffers: int) -> bool:
    shape = call.write.shape
    if not producer.fusable or plan.values[value].storage.name in QUANTIZED:
        return False  # a quantized value is rounded when it is stored: that may not be skipped
    if any(view.shape != shape for view in call.views() if view.value == value):
        return False
    if producer.write.shape != shape:
        if producer.write.shape[-1:] != shape[-1:]:
            return False  # its channels are not those of the steps
        if not all(_simple(o, shape, value) for o in _operands(call)):
            return False
    return _buffers(_merged(producer, call)) <= max_buffers


def _operands(call: Call) -> list[StepRead]:
    return [operand for step in call.steps for _, operand in step.operands]


def _simple(operand: StepRead, shape: Shape, value: int) -> bool:
    """Returns: whether it can be found without knowing the position: by the vec4's index or channel."""
    if not isinstance(operand, View) or operand.value == value:
        return True
    if operand.shape[:-1] == shape[:-1]:
        return True  # of every pixel something: see ``_seen``
    return prod(operand.shape[:-1]) == 1 and operand.shape[-1:] in ((), (1,), shape[-1:])


def _seen(view: View, shape: Shape, into: Shape) -> View:
    """Returns: an operand of a result of shape ``shape``, which is written as ``into``: its pixels in a row,
    maybe."""
    if view.shape == shape or shape == into or view.shape[:-1] != shape[:-1]:
        return view
    return View(view.value, (*into[:-1], *view.shape[-1:]))


def _buffers(call: Call) -> int:
    """Returns: the number of storage buffers that it binds."""
    constants = any(isinstance(operand, Constants) for operand in _operands(call))
    return len({view.value for view in call.views()}) + 1 + constants


def _merged(producer: Call, call: Call) -> Call:
    """Returns: the producer with the pointwise kernel's steps behind its own."""
    offset, value = len(producer.steps), producer.write.value

    def operand(read: StepRead) -> StepRead:
        if isinstance(read, FlowRef):
            return FlowRef(read.step + offset)
        if not isinstance(read, View):
            return read
        return FlowRef(offset) if read.value == value else _seen(read, call.write.shape, producer.write.shape)

    steps = tuple(
        Applied(s.expression, tuple((n, operand(o)) for n, o in s.operands), s.scalars, s.kind)
        for s in call.steps
    )
    # The producer may see its result in another shape, of which the stored elements are the same.
    return replace(
        producer,
        write=View(call.write.value, producer.write.shape),
        steps=_joined(producer.steps, steps),
        nodes=tuple(sorted({*producer.nodes, *call.nodes})),
    )


def _joined(before: tuple[Applied, ...], after: tuple[Applied, ...]) -> tuple[Applied, ...]:
    """Returns: all steps; two limits in a row become one, so that fewer different kernels are compiled."""
    if not before or not after or before[-1].expression != CLAMP or after[0].expression != CLAMP:
        return before + after
    last, first = before[-1], after[0]
    reads = [read for step in after[1:] for _, read in step.operands]
    if first.operands != (("x", FlowRef(len(before))),) or FlowRef(len(before)) in reads:
        return before + after  # what lies between them is used elsewhere, too
    a, b = dict(last.scalars), dict(first.scalars)
    low, high = (min(max(a[name], b["low"]), b["high"]) for name in ("low", "high"))
    joined = Applied(CLAMP, last.operands, (("low", low), ("high", high)), first.kind)

    def operand(read: StepRead) -> StepRead:
        return FlowRef(read.step - 1) if isinstance(read, FlowRef) and read.step > len(before) else read

    rest = tuple(
        Applied(s.expression, tuple((n, operand(o)) for n, o in s.operands), s.scalars, s.kind)
        for s in after[1:]
    )
    return (*before[:-1], joined, *rest)
