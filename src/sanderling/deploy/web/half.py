"""Whether a model may compute in 16 bits, and how far its answers are then off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sanderling.deploy.order import Order
from sanderling.deploy.tolerance import HALF as MOST_OFF
from sanderling.deploy.tolerance import difference
from sanderling.deploy.web.examples import Asked
from sanderling.deploy.web.programs import HALF, Prepared, prepare
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.adapters import Adapter, adapters
from sanderling.engines.webgpu.driver.device import open_device
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.precision import overflowing
from sanderling.errors import SanderlingError
from sanderling.graph.types import Array

_DRIFT = 4.0  # times what was measured on one GPU is allowed on others, which add up in another order
_LEAST = 5e-3  # of an output's scale: what is allowed in any case


@dataclass(frozen=True, slots=True)
class Half:
    """What a page may compute in 16 bits.

    Attributes:
        target: what to compile for; None: nothing.
        tolerance: by output's name, how far answers may be off then.
        note: what was measured, or why there is nothing, for people.
    """

    target: Target | None = None
    tolerance: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def half_of(order: Order, asked: Sequence[Asked]) -> Half:
    """Decides whether a page gets a program in 16 bits."""
    prepared = prepare(order.model)
    if "shader-f16" not in prepared.compiled(HALF).features:
        return Half()
    feeds = [[each.feeds[port.name] for port in order.inputs] for each in asked]
    wide = overflowing(order.model, feeds)
    if wide is None:
        return Half(
            note="It computes in 32 bits only: LiteRT cannot show what flows between the model's operators"
        )
    target = replace(HALF, wide=wide)
    program = prepared.compiled(target)
    if "shader-f16" not in program.features:
        return Half(note="It computes in 32 bits only: its numbers are too large for 16")
    adapter = next((each for each in _adapters() if "shader-f16" in each.features), None)
    if adapter is None:
        allowed = {name: max(value, MOST_OFF) for name, value in order.tolerance.items()}
        return Half(
            target,
            allowed,
            "How far its answers are off in 16 bits was not measured: no GPU here has shader-f16",
        )
    off = _measured(order, prepared, program, asked, adapter)
    worst = max(off.values(), default=0.0)
    where = f"on {adapter.name}"
    if worst > MOST_OFF:
        return Half(
            note=f"It computes in 32 bits only: 16 would change an output by {worst:.2g} of its scale {where}"
        )
    allowed = {name: max(value, _LEAST, _DRIFT * off[name]) for name, value in order.tolerance.items()}
    return Half(target, allowed, f"In 16 bits its answers differ by {worst:.2g} of their scale {where}")


def _adapters() -> tuple[Adapter, ...]:
    try:
        return adapters()
    except (ImportError, SanderlingError):
        return ()


def _measured(
    order: Order, prepared: Prepared, program: Program, asked: Sequence[Asked], adapter: Adapter
) -> dict[str, float]:
    """Returns: by output's name, the largest difference from LiteRT's answers."""
    executor = Executor(program, open_device(adapter.number))
    names = order.model.output_names()
    off = dict.fromkeys(names, 0.0)
    states = [state.initial for state in prepared.lifted.states]
    try:
        for each in asked:
            answers: list[Array] = executor.run([*(each.feeds[p.name] for p in order.inputs), *states])
            for name, mine in zip(names, answers, strict=False):
                off[name] = max(off[name], difference(mine, each.outputs[name]))
    finally:
        executor.close()
    return off
