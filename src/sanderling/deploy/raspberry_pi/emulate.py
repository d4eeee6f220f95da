"""Tries a bundle: with this machine's Python, and with an arm64 one under QEMU's user emulation.

An arm64 system is a folder with Debian's packages unpacked (``python3``, ``libstdc++6``, what they need), and
the wheels of ``requirements.txt`` for aarch64 in its folder ``wheels``. ``--set arm64=FOLDER`` names it.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.deploy.order import Order
from sanderling.deploy.target import Check, Tell
from sanderling.errors import DeployError

_SECONDS = 900  # under emulation everything takes thirty times as long
_SAID = re.compile(r"(\d+) examples, the largest difference is (\d+)%")
_OFF = re.compile(r"output '(.*)' is off by ([0-9.e+-]+|inf) times")


def here(order: Order, folder: Path, tell: Tell) -> Check:
    """Returns: what came of the bundle's self-test on this machine, with its own copies of our modules."""
    tell("the bundle tests itself on this machine", 0, 0)
    return _tried(f"this machine ({platform.machine()})", [sys.executable, "-P"], {}, folder)


def emulated(order: Order, folder: Path, tell: Tell) -> Check:
    """Returns: what came of the self-test on an emulated arm64 processor."""
    where = "an emulated arm64 processor"
    root = order.options.get("arm64", "")
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if platform.machine() == "aarch64":
        return Check(where, reason="this machine is one")
    if qemu is None or not root:
        missing = "qemu-aarch64-static is not installed" if qemu is None else "no arm64 system was given"
        return Check(where, reason=f"{missing} (--set arm64=FOLDER, see the guide)")
    python = next(iter(sorted(Path(root).glob("usr/bin/python3.1[0-9]"))), None)
    if python is None:
        raise DeployError(
            "holds no usr/bin/python3.NN", where=root, hint="unpack Debian's python3 for arm64 there"
        )
    tell("the bundle tests itself on emulated arm64", 0, 0)
    wheels = Path(root) / "wheels"
    return _tried(where, [qemu, "-L", root, str(python), "-P"], {"PYTHONPATH": str(wheels)}, folder)


def _tried(where: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Check:
    done = subprocess.run(
        [*command, str(folder / "run.py"), "--self-test"],
        capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=folder,
        env={"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )  # fmt: skip
    said = _SAID.search(done.stdout)
    if done.returncode == 0 and said is not None:
        return Check(where, int(said[1]), int(said[2]) / 100)
    off = _OFF.search(done.stderr)
    if off is not None:
        return Check(where, 1, float(off[2]), off[1])
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"it ended with {done.returncode}"
    raise DeployError(f"the bundle does not run on {where}: {last}", where=folder.name)
