"""Tries the program of a bundle: its self-test, in a process of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.deploy.target import Check
from sanderling.errors import DeployError

SECONDS = 900  # under emulation everything takes thirty times as long
_SAID = re.compile(r"(\d+) examples, the largest difference is ([0-9.]+)%")
_OFF = re.compile(r"output '(.*)' is off by ([0-9.e+-]+|inf) times")


def self_tested(
    where: str,
    command: Sequence[str],
    folder: Path,
    arguments: Sequence[str] = ("--self-test",),
    environment: Mapping[str, str] | None = None,
) -> Check:
    """Runs the ``run.py`` of a bundle.

    Args:
        where: what runs it, for people.
        command: starts Python there.
        folder: the bundle's.
        arguments: of ``run.py``.
        environment: further environment variables.

    Returns: what came of the stored examples.

    Raises:
        DeployError: it does not run at all.
    """
    try:
        done = subprocess.run(
            [*command, str(folder / "run.py"), *arguments],
            capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS, cwd=folder,
            env={"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Check(where, reason=f"its self-test did not end within {SECONDS // 60} minutes")
    except OSError as error:
        raise DeployError(f"{command[0]} does not start: {error.strerror or error}") from None
    said = _SAID.search(done.stdout)
    if done.returncode == 0 and said is not None:
        return Check(where, int(said[1]), float(said[2]) / 100)
    off = _OFF.search(done.stderr)
    if off is not None:
        return Check(where, 1, float(off[2]), off[1])
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"it ended with {done.returncode}"
    raise DeployError(f"the bundle does not run on {where}: {last}", where="run.py")
