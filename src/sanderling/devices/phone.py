"""The worker of a phone that has no Python: a process of this machine that has the phone do the timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sanderling.errors import UsageError
from sanderling.isolation.client import Channel, Limits, Worker

# What the phone does in place of this machine, and what works on models that these have loaded.
_THERE = {
    "sanderling.measure.serving:load": "sanderling.measure.phone:load",
    "sanderling.measure.memory:measure": "sanderling.measure.phone:memory",
    "sanderling.measure.start:start": "sanderling.measure.phone:start",
}
_ON_LOADED = {
    "sanderling.measure.serving:run_many",
    "sanderling.measure.serving:reset",
    "sanderling.measure.serving:unload",
    "sanderling.measure.latency:interleave",
    "sanderling.measure.latency:interleave_many",
    "sanderling.measure.contest:race_all",
    "sanderling.measure.contest:first_calls",
    "sanderling.isolation.worker:process_id",
}


class PhoneWorker(Worker):
    """A worker whose models are on a phone.

    Args:
        name: what it is called in errors.
        phone: gives what ``sanderling.measure.phone`` takes to reach it; asked when it is first needed.
    """

    def __init__(self, name: str, phone: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(name=name)
        self._phone = phone

    def _ask(self, process: Channel, limits: Limits, function: str, kwargs: Mapping[str, Any]) -> Any:
        """Has the phone do what is about a model.

        Raises:
            UsageError: it cannot be done by ``benchmark_model``: it would be done here, and not on the phone.
        """
        if function in _THERE:
            return super()._ask(process, limits, _THERE[function], {**kwargs, "phone": dict(self._phone())})
        if function not in _ON_LOADED:
            raise UsageError(f"{limits.doing} cannot be done by benchmark_model on a phone")
        return super()._ask(process, limits, function, kwargs)
