"""Tries a bundle: with this machine's Python, and with an arm64 one on two boards' processors, under QEMU.

An arm64 system is a folder with Debian's packages unpacked (``python3``, ``libstdc++6``, what they need), and
the wheels of ``requirements.txt`` for aarch64 in its folder ``wheels``: ``tools/arm64_root.py`` makes one.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sanderling.deploy.order import Order
from sanderling.deploy.target import Check, Tell
from sanderling.deploy.tried import self_tested
from sanderling.errors import DeployError
from sanderling.files import expanded
from sanderling.settings import settings

_NONE = "no"
_ARM64 = "an emulated arm64 processor"
_NO_SYSTEM = "the cache holds no arm64 system (tools/arm64_root.py makes one)"


@dataclass(frozen=True, slots=True)
class Board:
    """A computer whose processor is emulated: LiteRT chooses its kernels by it.

    Attributes:
        name: for people.
        cpu: as QEMU calls it.
        part: Arm's number of it.
        features: as Linux lists them there.
    """

    name: str
    cpu: str
    part: int
    features: str

    def cpuinfo(self, cores: int = 4) -> str:
        """Returns: what ``/proc/cpuinfo`` says there; QEMU shows that of the machine that emulates."""
        one = (
            f"BogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.part:#05x}\nCPU revision\t: 3\n\n"
        )
        return "".join(f"processor\t: {core}\n{one}" for core in range(cores))


# With and without the instructions for int8 dot products and 16-bit floats. A Pi 3 and a Zero 2 have a 4's.
BOARDS = (
    Board(
        "Raspberry Pi 5", "cortex-a76", 0xD0B,
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
    Board("Raspberry Pi 4", "cortex-a72", 0xD08, "fp asimd evtstrm crc32 cpuid"),
)  # fmt: skip


def here(order: Order, folder: Path, tell: Tell) -> Check:
    """Returns: what came of the bundle's self-test on this machine, with its own copies of our modules."""
    tell("the bundle tests itself on this machine", 0, 0)
    return self_tested(f"this machine ({platform.machine()})", [sys.executable, "-P"], folder)


def emulated(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Returns: what came of the self-test on emulated boards.

    Raises:
        DeployError: it does not run there, or the arm64 system that was given is none.
    """
    given = order.options.get("arm64", "")
    if given == _NONE:
        return (Check(_ARM64, reason="that was not asked for"),)
    root = expanded(given) if given else settings().cache / "arm64"
    qemu = _qemu(root)
    reason = "" if given or root.is_dir() else _NO_SYSTEM
    reason = "this machine is one" if platform.machine() == "aarch64" else reason
    if reason or qemu is None:
        return (Check(_ARM64, reason=reason or "qemu-aarch64-static is not installed"),)
    python = _python(root)
    found: list[Check] = []
    for board in BOARDS:
        tell(f"the bundle tests itself on an emulated {board.name}", len(found), len(BOARDS))
        with _system(root, board) as system:
            command = [qemu, "-cpu", board.cpu, "-L", str(system), str(system / python), "-P"]
            where = f"an emulated {board.name} ({board.cpu})"
            wheels = {"PYTHONPATH": str(system / "wheels")}
            found.append(self_tested(where, command, folder, environment=wheels))
    return tuple(found)


def _qemu(root: Path) -> str | None:
    """Returns: QEMU beside the arm64 system, or as it is installed."""
    own = root / "qemu-aarch64-static"
    if own.is_file():
        return str(own)
    return shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


def _python(root: Path) -> str:
    found = next(iter(sorted(root.glob("usr/bin/python3.1[0-9]"))), None)
    missing = "usr/bin/python3.NN" if found is None else "wheels" if not (root / "wheels").is_dir() else ""
    if found is None or missing:
        raise DeployError(
            f"holds no {missing}", where=str(root), hint="make an arm64 system with tools/arm64_root.py"
        )
    return found.relative_to(root).as_posix()


@contextmanager
def _system(root: Path, board: Board) -> Iterator[Path]:
    """Gives the arm64 system as that board sees it. Without its ``cpuinfo`` LiteRT takes the emulating
    machine's for its own, finds no processor that it knows, and crashes."""
    with tempfile.TemporaryDirectory(prefix="sanderling-") as name:
        system = Path(name)
        for child in root.resolve().iterdir():
            if child.name != "proc":
                (system / child.name).symlink_to(child)
        (system / "proc").mkdir()
        (system / "proc" / "cpuinfo").write_text(board.cpuinfo(), encoding="ascii")
        yield system
