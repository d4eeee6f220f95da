"""Compiled kernels of a device, made once each; those of a program by several threads at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sanderling.errors import KernelError

Bindings = tuple[str, ...]  # of storage slots from binding 1 on: storage, read-only-storage or uniform
MOST_THREADS = 8
MOST_KEPT = 1024  # kernels; programs hold their own besides


class Pipelines:
    """The compiled kernels of one device. Safe to use from several threads.

    Args:
        device: the library's device.
        errors: what the library raises.
    """

    def __init__(self, device: Any, errors: tuple[type[Exception], ...]) -> None:
        self._device, self._errors = device, errors
        self._lock = threading.RLock()
        self._layouts: dict[Bindings, Any] = {}
        self._made: dict[tuple[str, Bindings], Any] = {}

    def layout(self, bindings: Bindings) -> Any:
        """Returns: the bind group layout: a uniform at binding 0, then ``bindings``."""
        with self._lock:
            if bindings not in self._layouts:
                entries = [
                    {"binding": i, "visibility": 4, "buffer": {"type": kind}}
                    for i, kind in enumerate(("uniform", *bindings))
                ]
                self._layouts[bindings] = self._device.create_bind_group_layout(entries=entries)
            return self._layouts[bindings]

    def get(self, text: str, bindings: Bindings, where: str = "") -> Any:
        """Returns: a compiled kernel, made now if it was not before.

        Raises:
            KernelError: the compiler refuses it; the message has its line.
        """
        key = text, bindings
        found = self._made.get(key)
        if found is None:
            made = self._compiled(text, bindings, where)
            with self._lock:
                found = self._made.setdefault(key, made)
                while len(self._made) > MOST_KEPT:
                    del self._made[next(iter(self._made))]
        return found

    def prepare(self, wanted: Iterable[tuple[str, Bindings, str]]) -> None:
        """Compiles what is missing of (text, bindings, where), on all cores.

        Raises:
            KernelError: the compiler refuses one.
        """
        missing = {(text, bindings): where for text, bindings, where in wanted}
        missing = {key: where for key, where in missing.items() if key not in self._made}
        for _, bindings in missing:
            self.layout(bindings)
        # The longest first, so that no thread is left alone with one in the end.
        order = sorted(missing, key=lambda key: -len(key[0]))
        workers = min(len(order), os.cpu_count() or 1, MOST_THREADS)
        if workers < 2:
            for text, bindings in order:
                self.get(text, bindings, missing[text, bindings])
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="sanderling-compile") as threads:
            list(threads.map(lambda key: self.get(key[0], key[1], missing[key]), order))

    def _compiled(self, text: str, bindings: Bindings, where: str) -> Any:
        try:
            layout = self._device.create_pipeline_layout(bind_group_layouts=[self.layout(bindings)])
            module = self._device.create_shader_module(code=text)
            return self._device.create_compute_pipeline(
                layout=layout, compute={"module": module, "entry_point": "main"}
            )
        except self._errors as error:
            raise KernelError(f"the shader compiler says: {error}", where=where) from None
