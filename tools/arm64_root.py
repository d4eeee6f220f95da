"""Makes a small arm64 system, to try bundles of ``deploy --to raspberry-pi`` under emulation.

    .venv/bin/python tools/arm64_root.py                     Debian 12, Python 3.11, into the cache folder
    .venv/bin/python tools/arm64_root.py --suite trixie -o ROOT         Debian 13, Python 3.13, into ROOT

Nothing of this machine is changed and no rights are needed: Debian's packages, which apt checks against
Debian's keys, and the wheels of a bundle's ``requirements*.txt``, checked against the hashes there, are
unpacked into a folder, and QEMU's user emulation beside them. What was fetched is kept until all is done, so
the same command goes on after a break. Needs apt-get and dpkg-deb, Debian's keys, and uv.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src")]

from sanderling.errors import DeployError, SanderlingError  # noqa: E402
from sanderling.settings import settings  # noqa: E402

PYTHONS = {
    "bookworm": "3.11",
    "trixie": "3.13",
}  # Debian's suites, those of Raspberry Pi OS, and their Python
MIRROR = "http://deb.debian.org/debian"  # apt checks what comes from there
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
QEMU = "qemu-aarch64-static"
PLATFORM = "aarch64-manylinux_2_36"  # Debian 12's C library; 13's is newer
REQUIREMENTS = sorted((ROOT / "src/sanderling/deploy/raspberry_pi/files").glob("requirements*.txt"))
MADE = "made.json"
_LAST_LINES = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the folder, or says that it is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=settings().cache / "arm64", help="the folder")
    parser.add_argument("--suite", choices=PYTHONS, default="bookworm", help="the release of Debian")
    parser.add_argument("--mirror", default=MIRROR, help="where Debian's packages are")
    given = parser.parse_args(arguments)
    make(given.output, given.suite, given.mirror)
    print(f"{given.output} holds Debian {given.suite} for arm64 with Python {PYTHONS[given.suite]}")


def make(folder: Path, suite: str, mirror: str) -> None:
    """Makes the folder, unless it is there as it should be.

    Raises:
        DeployError: a program is missing, something cannot be fetched or is not what it should be, or the
            folder holds something else. What was fetched stays beside it.
    """
    wanted = {"suite": suite, "wheels": _digest(REQUIREMENTS)}
    if _made(folder) == wanted:
        return
    _require_programs()
    if folder.exists() and _made(folder) is None and any(folder.iterdir()):
        raise DeployError(
            "holds something else than a system of this tool", where=str(folder), hint="name another with -o"
        )
    fetched = folder.with_name(f".{folder.name}.fetched")
    system = fetched / f"system-{suite}"
    shutil.rmtree(system, ignore_errors=True)
    system.mkdir(parents=True)
    for package in debian_packages(fetched, suite, mirror):
        unpack(package, system)
    for name in ("bin", "lib"):  # links of a package that is not needed otherwise
        if not (system / name).exists():
            (system / name).symlink_to(f"usr/{name}")
    wheels(system / "wheels", PYTHONS[suite])
    (system / MADE).write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    system.rename(folder)
    shutil.rmtree(fetched)


def debian_packages(fetched: Path, suite: str, mirror: str) -> list[Path]:
    """Fetches Python for arm64 with all that it depends on, and QEMU for this machine.

    Returns: the packages' files.
    """
    host = _run(["dpkg", "--print-architecture"]).strip()
    options = _apt_options(fetched, suite, mirror, host)
    names = [f"python{PYTHONS[suite]}-minimal", f"libpython{PYTHONS[suite]}-stdlib", "libstdc++6"]
    if platform.machine() != "aarch64":
        names.append(f"{'qemu-user-static' if suite == 'bookworm' else 'qemu-user'}:{host}")
    print(f"fetching Debian {suite}'s packages", flush=True)
    _run(["apt-get", *options, "update"])
    install = ["install", "-qq", "-y", "--no-install-recommends", *names]
    nothing = ["-o", f"Dir::Cache::archives={fetched / 'empty'}"]  # else those that are there are not listed
    listed = _run(["apt-get", *options, *nothing, *install, "--print-uris"])
    _run(["apt-get", *options, *install, "--download-only"])
    return [
        fetched / "cache" / "archives" / line.split()[1] for line in listed.splitlines() if line[:1] == "'"
    ]


def _apt_options(fetched: Path, suite: str, mirror: str, host: str) -> list[str]:
    """Returns: what makes apt work on folders of our own, for arm64, with nothing installed yet."""
    for name in ("state/lists/partial", "cache/archives/partial", "empty/partial", "sources"):
        (fetched / name).mkdir(parents=True, exist_ok=True)
    (fetched / "status").touch()
    architectures = list(dict.fromkeys(["arm64", host]))
    (fetched / "sources" / "debian.sources").write_text(
        f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n"
        f"Architectures: {' '.join(architectures)}\nSigned-By: {KEYS}\n",
        encoding="utf-8",
    )
    values = {
        "Dir::State": fetched / "state",
        "Dir::State::status": fetched / "status",
        "Dir::Cache": fetched / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": fetched / "sources",
        "APT::Architecture": "arm64",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
    }
    pairs = [f"{name}={value}" for name, value in values.items()]
    pairs += [f"APT::Architectures::={name}" for name in architectures]
    return [part for pair in pairs for part in ("-o", pair)]


def unpack(package: Path, system: Path) -> None:
    """Unpacks a package; of QEMU's, which emulates thirty processors, the one program."""
    if not package.name.startswith("qemu-user"):
        _run(["dpkg-deb", "--extract", str(package), str(system)])
        return
    whole = system / "qemu"
    _run(["dpkg-deb", "--extract", str(package), str(whole)])
    found = next((p for name in (QEMU, "qemu-aarch64") for p in whole.glob(f"usr/bin/{name}")), None)
    if found is None:
        raise DeployError(f"holds no {QEMU}", where=package.name)
    found.replace(system / QEMU)
    shutil.rmtree(whole)


def wheels(folder: Path, python: str) -> None:
    """Unpacks the wheels that a bundle asks for, whose hashes uv compares."""
    print("fetching the wheels for arm64", flush=True)
    wanted = [part for file in REQUIREMENTS for part in ("-r", str(file))]
    _run([
        sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder),
        "--python-platform", PLATFORM, "--python-version", python, "--require-hashes",
        "--only-binary", ":all:", *wanted,
    ])  # fmt: skip


def _require_programs() -> None:
    missing = [name for name in ("apt-get", "dpkg", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise DeployError(f"{', '.join(missing)}: not installed", hint="run this on Debian or Ubuntu")
    if not KEYS.is_file():
        raise DeployError(
            "Debian's keys are not here", where=str(KEYS), hint="install debian-archive-keyring"
        )
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True, check=False).returncode:
        raise DeployError("uv is not installed", hint=f"run: {sys.executable} -m pip install uv")


def _made(folder: Path) -> object:
    """Returns: what a finished folder was made of, None for anything else."""
    try:
        found: object = json.loads((folder / MADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        program = "uv" if "uv" in command[:3] else Path(command[0]).name
        said = " ".join(list(_lines(done.stderr))[-_LAST_LINES:]) or f"it ended with {done.returncode}"
        raise DeployError(f"{program} failed: {said}", hint="the same command goes on from here")
    return done.stdout


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


if __name__ == "__main__":
    try:
        main()
    except (SanderlingError, OSError) as error:
        sys.exit(f"error: {error}")
