"""Weighs the energy of a candidate's call by turns with the original's, on a meter that the machine has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.errors import MeterError
from sanderling.measure.energy.meter import Meter, open_meter
from sanderling.measure.energy.use import energy, idle_watts
from sanderling.measure.results import Energy
from sanderling.measure.steady import Steady
from sanderling.samples.samples import Feed
from sanderling.search.bench import Bench, Run

# Meters move some ten to a thousand times a second: a turn is long beside that, and turns are short beside
# what heats a machine up.
TURN_SECONDS = 0.75
TURNS = 3


@dataclass(frozen=True, slots=True)
class Scales:
    """A meter, and what it shows while nothing runs.

    Attributes:
        meter: what measures.
        idle_watts: power that is drawn while nothing runs.
    """

    meter: Meter
    idle_watts: float

    @property
    def seconds(self) -> float:
        """What weighing one candidate takes."""
        return 2 * TURNS * TURN_SECONDS

    def weigh(
        self,
        bench: Bench,
        original: Run,
        candidate: Run,
        feeds: tuple[Sequence[Feed], Sequence[Feed]],
        *,
        timeout: float,
    ) -> Energy:
        """Weighs a candidate.

        Args:
            bench: where both run.
            original, candidate: what is run, and how.
            feeds: the original's and the candidate's.
            timeout: seconds for one turn.

        Raises:
            MeterError: the meter no longer tells, or did not move.
            WorkerError: one of them crashed or hung.
        """
        totals = (Steady(joules=0.0), Steady(joules=0.0))
        for turn in range(TURNS):
            order = ((0, original), (1, candidate))
            for place, run in order if turn % 2 == 0 else order[::-1]:
                found = bench.run_on(run, feeds[place], self.meter, seconds=TURN_SECONDS, timeout=timeout)
                total = totals[place]
                total.calls += found.calls
                total.seconds += found.seconds
                total.joules = (total.joules or 0.0) + (found.joules or 0.0)
        base, own = (energy(total, self.idle_watts, self.meter) for total in totals)
        if base is None or own is None:
            raise MeterError(f"the meter ({self.meter.name}) counts the GPU alone, and that stayed idle")
        return replace(own, relative=own.joules / base.joules)


def open_scales(power_meter: str | None, device: Device = LOCAL) -> Scales:
    """Finds a meter, and reads it while nothing runs.

    Args:
        power_meter: see ``open_meter``.
        device: where candidates run; the meters of this machine tell nothing of another.

    Raises:
        MeterError: there is none that counts the processor, on which candidates run.
    """
    if power_meter is None and not device.local:
        meter: Meter | None = None
        why = f"the meters of this machine do not see {device.name}"
    else:
        meter, why = open_meter(power_meter)
    if meter is not None and not meter.counts_cpu:
        name = meter.name
        meter.close()
        meter, why = None, f"{name} counts the GPU alone, and candidates run on the processor"
    if meter is None:
        raise MeterError(
            f"energy cannot be measured here: {why}",
            where="--minimize energy",
            hint="give a program that prints watts with --power-meter, or minimize latency instead",
        )
    try:
        return Scales(meter, idle_watts(meter))
    except BaseException:
        meter.close()
        raise
