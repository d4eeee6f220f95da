"""Joins a cluster for the time of a block."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sanderling.errors import MissingExtra, RunError, UsageError

NAMESPACE = "sanderling"
# Seconds until a machine must have taken a connection, and until a cluster must have let us in.
REACH_SECONDS, JOIN_SECONDS = 5.0, 20.0
_ADDRESS = re.compile(
    r"auto|(?P<client>ray://)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})"
)
_HINT = (
    "start one with: ray start --head, and give its address as host:6379 or, from outside, ray://host:10001"
)
# What Ray says of itself does not matter to who asked for something else.
# And a call that comes when the cluster is left must not start one of its own here.
QUIET = {
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_LOG_TO_STDERR": "0",
}
# Ray's client library ends the whole process where nothing answers, after a minute: another one tries first.
_TRY = """
import json, logging, sys
try:
    import ray
    ray.init(**json.loads(sys.argv[1]), logging_level=logging.CRITICAL, log_to_driver=False)
    print(json.dumps(""))
except BaseException as error:
    print(json.dumps(str(error) or type(error).__name__))
"""


@contextmanager
def connected(address: str, feature: str) -> Iterator[None]:
    """Joins a Ray cluster, and leaves it at the end: what was started there then ends as well.

    The cluster gets this package as it is here: it need not be installed there, and is the same version.

    Args:
        address: ``auto`` for the one that runs on this machine, ``host:6379``, or ``ray://host:10001``.
        feature: what needs it, for the sentence where Ray is not installed.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: that is no address.
        RunError: no cluster answers there, or not one that this machine can join.
    """
    os.environ.update({key: value for key, value in QUIET.items() if key not in os.environ})
    try:
        import ray
    except ImportError:
        raise MissingExtra(feature, "cluster") from None
    _reach(address)
    _try({"address": address, "namespace": NAMESPACE}, address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own modules, about each other
        ray.init(
            address=address,
            namespace=NAMESPACE,
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            runtime_env={"py_modules": [str(Path(__file__).parents[1])], "excludes": ["**/__pycache__/**"]},
        )
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Opens a connection, which tells at once where there is nothing."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(f"{address!r} is no cluster's address", where="--cluster", hint=_HINT)
    if match["host"] is None:
        return
    host, port = match["host"].strip("[]"), int(match["port"])
    try:
        socket.create_connection((host, port), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(getattr(error, "strerror", None) or error)) from None


def _try(arguments: dict[str, Any], address: str) -> None:
    command = [sys.executable, "-c", _TRY, json.dumps(arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=JOIN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _no_cluster(address, f"nothing that speaks Ray within {JOIN_SECONDS:g} s") from None
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-1:]
    why = json.loads(said[0]) if said else f"the attempt ended with exit code {done.returncode}"
    if why:
        raise _no_cluster(address, " ".join(why.split())[:300])


def _no_cluster(address: str, why: str) -> RunError:
    return RunError(f"no Ray cluster can be joined there ({why})", where=f"--cluster {address}", hint=_HINT)
