"""The search: climbs the ladder, stores every trial, confirms the winner."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from sanderling.devices.find import find_device
from sanderling.errors import ConnectionLost, RunError, WorkerError
from sanderling.search.bench import Bench
from sanderling.search.clock import Clock
from sanderling.search.events import Listener, silent
from sanderling.search.folder import CANDIDATES, OutputFolder
from sanderling.search.lanes import Lane, Lanes, gathered
from sanderling.search.outcome import Outcome
from sanderling.search.request import Request
from sanderling.search.scales import open_scales
from sanderling.search.searching import Search
from sanderling.search.workshop import Workshop


def optimize(request: Request, listen: Listener = silent) -> Outcome:
    """Searches for the best version of a model.

    Args:
        request: what is asked.
        listen: told what happens while it happens.

    Returns: what it came to. ``best.tflite`` and ``best.json`` are written when something won.

    Raises:
        SanderlingError: the models, the samples or the output folder cannot be used.
    """
    clock = Clock(request.budget.seconds, start=request.asked)
    device = find_device(request.device)
    with ExitStack() as stack:
        scales = None
        if request.budget.minimize == "energy" or request.power_meter is not None:
            scales = open_scales(request.power_meter, device)
            stack.enter_context(scales.meter)
        folder = stack.enter_context(OutputFolder(request.output))
        bench = Bench(clock, device, listen)
        workshop = Workshop(request.output / CANDIDATES, folder.scratch, clock)
        home = Lane(bench, workshop, device)
        if request.study is not None and device.local:
            home.where, home.processor = socket.gethostname(), device.facts().cpu
        try:
            lanes = Lanes.single(home)
            if request.cluster is not None:
                lanes = stack.enter_context(gathered(request.cluster, clock, workshop, listen))
            return Search(request, listen, clock, home, lanes, scales).run()
        except ConnectionLost:
            raise
        except WorkerError as error:
            if not error.passing or clock.usable() > 1:
                raise
            raise RunError(
                f"{clock.over()} before the original had given its first answers",
                where=str(request.models[0]),
                hint="give the search more with --time",
            ) from error
        finally:
            bench.close()
            workshop.close()
            device.close()
