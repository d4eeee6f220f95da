"""Compiled kernels of a device, made once each, by several threads at a time, ahead of being needed if known.

A compiler takes longer for a kernel than we take to write its text, so whoever has a text hands it over at
once (``soon``) and goes on; who needs the kernel waits (``get``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from sanderling.engines.webgpu.driver.gpu import Gpu, GpuError
from sanderling.errors import KernelError

Bindings = tuple[str, ...]  # of storage slots from binding 1 on: storage, read-only-storage or uniform
Kernel = tuple[str, Bindings]
MOST_KEPT = 1024  # kernels; programs hold their own besides
MOST_THREADS = 8  # beside the one that asks, which helps when it has to wait


class Pipelines:
    """The compiled kernels of one device. Safe to use from several threads.

    Args:
        gpu: the device.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._lock = threading.RLock()
        self._layouts: dict[Bindings, Any] = {}
        self._made: dict[Kernel, Future[Any]] = {}
        self._waiting: list[Kernel] = []
        self._threads, self._most = 0, max(1, min((os.cpu_count() or 1) - 1, MOST_THREADS))

    def layout(self, bindings: Bindings) -> Any:
        """Returns: the bind group layout: a uniform at binding 0, then ``bindings``."""
        with self._lock:
            if bindings not in self._layouts:
                self._layouts[bindings] = self._gpu.group_layout(("uniform", *bindings))
            return self._layouts[bindings]

    def get(self, text: str, bindings: Bindings, where: str = "") -> Any:
        """Returns: a compiled kernel, made now if it was not before.

        Raises:
            KernelError: the compiler refuses it; the message has its line.
        """
        key = text, bindings
        with self._lock:
            known = key in self._made
            made = self._made.setdefault(key, Future())
            mine = not known or key in self._waiting  # nobody has begun with it
            if known and mine:
                self._waiting.remove(key)
            self._forget(key)
        if mine:
            self._compile(key)
        try:
            return made.result()
        except GpuError as error:
            raise KernelError(f"the shader compiler says: {error}", where=where) from None

    def soon(self, wanted: Iterable[Kernel]) -> None:
        """Has kernels compiled by other threads. One that the compiler refuses is told of by ``get``."""
        with self._lock:
            fresh = [key for key in dict.fromkeys(wanted) if key not in self._made]
            self._made |= {key: Future() for key in fresh}
            # The longest last, which is taken first, so that no thread is left alone with one in the end.
            self._waiting = sorted([*self._waiting, *fresh], key=lambda key: len(key[0]))
            missing = min(len(self._waiting), self._most - self._threads)
            self._threads += max(missing, 0)
        for _ in range(missing):
            threading.Thread(target=self._work, name="sanderling-compile").start()

    def _forget(self, but: Kernel) -> None:
        """Lets go of the oldest kernels, when there are too many."""
        old = [key for key, made in self._made.items() if made.done() and key != but]
        for key in old[: max(len(self._made) - MOST_KEPT, 0)]:
            del self._made[key]

    def _work(self) -> None:
        """Compiles what waits, until nothing does."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                key = self._waiting.pop()
            self._compile(key)

    def _compile(self, key: Kernel) -> None:
        made = self._made[key]  # not done, and so not forgotten
        try:
            made.set_result(self._gpu.pipeline(key[0], self.layout(key[1])))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the kernel gets it
            if not isinstance(error, GpuError):
                with self._lock:
                    self._made.pop(key, None)  # an interrupt, say: the next one tries again
            made.set_exception(error)
