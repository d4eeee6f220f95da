"""Core and each extra resolve together, on every Python that is supported. Needs a package index."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = sorted(PROJECT["optional-dependencies"])
# The core alone, each extra with it, and all at once: those that cannot live together would be left out here.
WANTED = [(), *((extra,) for extra in EXTRAS), tuple(EXTRAS)]


def resolve(python: str, extras: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-build",
        "--no-python-downloads",
        f"--python-version={python}", *(f"--extra={extra}" for extra in extras), "pyproject.toml",
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_core_and_each_extra_resolve(python: str) -> None:
    core = resolve(python, ())
    if core.returncode and not os.environ.get("CI"):
        pytest.skip(f"no package index can be reached: {core.stderr.strip()[-200:]}")
    with ThreadPoolExecutor(len(WANTED)) as pool:  # they wait for the index rather than compute
        done = dict(zip(WANTED, pool.map(lambda extras: resolve(python, extras), WANTED), strict=True))
    failed = {extras: each.stderr for extras, each in done.items() if each.returncode}
    assert not failed
    for extras, each in done.items():
        found = {line.partition("==")[0] for line in each.stdout.splitlines() if not line.startswith(" ")}
        assert {"numpy", "ai-edge-litert"} <= found, extras
