"""Joins a cluster for the time of a block."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sanderling.errors import MissingExtra, RunError


@contextmanager
def connected(address: str, feature: str) -> Iterator[None]:
    """Joins a Ray cluster, and leaves it at the end.

    Args:
        address: ``auto`` for the one that runs on this machine, ``host:6379``, or ``ray://host:10001``.
        feature: what needs it, for the sentence where Ray is not installed.

    Raises:
        MissingExtra: Ray is not installed.
        RunError: no cluster answers there.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtra(feature, "cluster") from None
    try:
        ray.init(address=address, namespace="sanderling", logging_level=logging.ERROR, log_to_driver=False)
    except ConnectionError:
        raise RunError(
            "no Ray cluster answers",
            where=f"--cluster {address}",
            hint="start one with: ray start --head, and give its address as host:6379",
        ) from None
    try:
        yield
    finally:
        ray.shutdown()
