"""Energy per inference: what a meter counted while a model ran continuously."""

from __future__ import annotations

import time

from sanderling.errors import MeterError
from sanderling.measure.energy.meter import Meter
from sanderling.measure.results import Energy
from sanderling.measure.steady import Steady

IDLE_SECONDS = 1.5
# A meter of the GPU alone says nothing of a model that leaves the GPU as idle as it was.
_MOVED = 1.05


def idle_watts(meter: Meter, seconds: float = IDLE_SECONDS) -> float:
    """Returns: the power that is drawn while nothing of ours runs."""
    start, before = time.monotonic(), meter.joules()
    time.sleep(seconds)
    return (meter.joules() - before) / (time.monotonic() - start)


def energy(found: Steady, idle: float, meter: Meter) -> Energy | None:
    """Computes the energy of a call.

    Args:
        found: continuous running, with its joules.
        idle: watts.
        meter: what counted them.

    Returns: None where the meter counts the GPU alone and that stayed idle: it is not what ran the model.

    Raises:
        MeterError: the meter did not move.
    """
    joules = found.joules or 0.0
    if joules <= 0:
        raise MeterError(f"the meter ({meter.name}) counted nothing in {found.seconds:.3g} s of running")
    watts = joules / found.seconds
    if not meter.counts_cpu and watts < idle * _MOVED:
        return None
    per_call = joules / found.calls
    above = (watts - idle) * found.seconds / found.calls
    return Energy(per_call, above, idle, watts, found.calls, found.seconds, meter.name)
