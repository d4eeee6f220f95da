"""How long each kernel takes on the GPU: by the GPU's own clock where it has one, else by repetition."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from sanderling.engines.webgpu.driver.device import Device
from sanderling.errors import RunError
from sanderling.graph.types import Array

Dispatched = tuple[Any, Any, tuple[int, int, int]]  # pipeline, bind group, workgroups
TIMESTAMPS = "timestamp-query"
_MOST_QUERIES = 4096
_ENOUGH_S = 2e-3  # a repetition of this length is timed well enough by the host's clock


class Clock:
    """Times kernels of one device.

    Attributes:
        precise: the GPU's own clock is used.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self.precise = TIMESTAMPS in device.adapter.features
        self._period_ns = device.tick_ns

    def seconds(self, dispatches: Sequence[Dispatched], *, rounds: int = 5) -> list[float]:
        """Returns: the median time of each dispatch over ``rounds`` runs of all of them in their order."""
        if not dispatches:
            return []
        if not self.precise:
            return [median(self._repeated(one) for _ in range(rounds)) for one in dispatches]
        size = _MOST_QUERIES // 2
        found: list[float] = []
        for start in range(0, len(dispatches), size):
            part = dispatches[start : start + size]
            times = np.stack([self._stamped(part) for _ in range(rounds)])
            found += [float(t) for t in np.median(times, axis=0)]
        return found

    def _stamped(self, dispatches: Sequence[Dispatched]) -> Array:
        """Returns: seconds of each dispatch, each in a pass with a time stamp before and behind it."""
        device = self._device
        try:
            ticks = device.stamps(dispatches).astype(np.float64)
        except RunError as error:
            raise RunError(f"the kernels could not be timed: {error.what}") from None
        seconds: Array = np.maximum(ticks[1::2] - ticks[0::2], 0.0) * self._period_ns * 1e-9
        return seconds

    def _repeated(self, one: Dispatched) -> float:
        """Returns: seconds of a dispatch, from a submission that repeats it often enough."""
        times = 1
        while True:
            taken = self._host_seconds([one] * times)
            if taken >= _ENOUGH_S or times >= 1024:
                return max(taken - self._host_seconds([]), 0.0) / times
            times *= 4

    def _host_seconds(self, dispatches: Sequence[Dispatched]) -> float:
        device = self._device
        readback = device.buffer(4, readback=True)
        source = device.buffer(4)
        turn = device.turn(dispatches, [(source, 0, readback, 0, 4)], readback)
        device.encode(turn)
        start = time.perf_counter()
        device.start(turn, [])
        device.finish(turn, 4)
        taken = time.perf_counter() - start
        device.drop([turn])
        for buffer in (source, readback):
            buffer.destroy()
        return taken
