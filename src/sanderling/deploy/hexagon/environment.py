"""An environment of its own for ONNX Runtime with Qualcomm's provider.

It cannot share one with the ``onnxruntime`` of the extras: the provider is built for one version. It is
made once, in the cache folder, out of the same pinned and hashed ``requirements.txt`` that bundles hold.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import sys
from importlib.resources import files as resources
from pathlib import Path

from sanderling.deploy.target import Tell
from sanderling.errors import DeployError
from sanderling.settings import settings

REQUIREMENTS = "requirements.txt"
_PACKAGE = "sanderling.deploy.hexagon"
_SECONDS = 1800.0
_GLIBC = (2, 35)  # of the provider's wheel for Linux
_LONGEST_REASON = 300


def why_none() -> str:
    """Returns: why Qualcomm's emulator cannot be had here, "" where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        here = f"{platform.system()} on {platform.machine()}"
        return f"Qualcomm's emulator runs on Linux on x86-64, this is {here}"
    library, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if library != "glibc" or numbers < _GLIBC:
        return (
            f"onnxruntime-qnn needs glibc 2.35 or newer, this is {library or 'another C library'} {version}"
        )
    return ""


def python(tell: Tell) -> Path:
    """Makes the environment where it is not there yet.

    Returns: its Python.

    Raises:
        DeployError: it cannot be installed: there is no network, or no room.
    """
    wanted = (resources(_PACKAGE) / "files" / REQUIREMENTS).read_bytes()
    key = hashlib.sha256(wanted + sys.version.encode()).hexdigest()[:12]
    folder = settings().cache / "hexagon" / key
    if not folder.exists():
        tell("installing onnxruntime-qnn in an environment of its own (500 MB, once)", 0, 0)
        _make(folder, wanted)
    return folder / "bin" / "python"


def _make(folder: Path, requirements: bytes) -> None:
    """Makes the environment beside its place, and moves it there when it is whole."""
    unfinished = folder.parent / f".{folder.name}.{secrets.token_hex(6)}"
    try:
        unfinished.mkdir(parents=True)
        listed = unfinished / REQUIREMENTS
        listed.write_bytes(requirements)
        _run([sys.executable, "-m", "venv", str(unfinished)])
        _run([
            str(unfinished / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes",
            "--disable-pip-version-check", "--only-binary", ":all:", "-r", str(listed),
        ])  # fmt: skip
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was quicker
                raise
    except OSError as error:
        raise DeployError(
            f"cannot be written ({error.strerror or error})", where=str(folder.parent)
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _run(command: list[str]) -> None:
    hidden = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
            env=hidden,
        )
    except subprocess.TimeoutExpired:
        raise _not_made(f"not done after {_SECONDS / 60:.0f} minutes") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise _not_made(errors[0][:_LONGEST_REASON] if errors else f"exit code {done.returncode}")


def _not_made(reason: str) -> DeployError:
    return DeployError(
        f"onnxruntime-qnn, which compiles for the Hexagon and emulates it, cannot be installed: {reason}",
        hint="see that a package index can be reached, or make an untried bundle with --set emulator=none",
    )
