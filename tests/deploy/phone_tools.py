"""What ``tools/phone_tools.py`` fetched: Kotlin's compiler and TFLite's C library. Without it, what needs it
is skipped, but not in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sanderling.settings import settings

# Asked when the tests are collected: while they run, the cache is a folder of their own.
FOLDER = Path(os.environ.get("SANDERLING_PHONE") or settings().cache / "phone")
STUBS = Path(__file__).parent / "stubs"


def fetched(name: str) -> Path:
    """Returns: one of the fetched folders."""
    folder = FOLDER / name
    if not folder.is_dir() or (name == "kotlin" and shutil.which("java") is None):
        missing = f"no {folder}, or no Java: run tools/phone_tools.py"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


def kotlinc() -> str:
    return str(fetched("kotlin") / "bin" / "kotlinc")


def compile_kotlin(sources: list[Path], jar: Path) -> subprocess.CompletedProcess[str]:
    """Compiles files and folders of Kotlin and Java."""
    command = [kotlinc(), "-include-runtime", *map(str, sources), "-d", str(jar)]
    environment = {**os.environ, "JAVA_OPTS": "-Xmx1g -XX:TieredStopAtLevel=1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def unpack_stubs(name: str, folder: Path) -> Path:
    """Writes the declarations of a file in ``stubs``, each to its own file."""
    for part in (STUBS / name).read_text().split("=== ")[1:]:
        path, _, text = part.partition("\n")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder
