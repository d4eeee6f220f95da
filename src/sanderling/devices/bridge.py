"""One phone through the Android Debug Bridge: commands, files, and why they fail."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sanderling.errors import ConnectionLost, DeviceError, StorageError

USUAL_SECONDS, COPY_SECONDS = 30.0, 300.0
# The phone's shell says when a command has ended: without it, the connection has.
_ENDED = re.compile(rb"\nsanderling: ended (\d+)\n\Z")
_STATES = {
    "unauthorized": "it does not trust this machine yet: unlock it and allow USB debugging",
    "offline": "take the cable out and in again, or run: adb reconnect",
    "no permissions": "this user may not use the USB port: see https://developer.android.com/tools/device",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended on the phone.

    Attributes:
        code: its exit code.
        output: what it printed, errors among it.
    """

    code: int
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace").replace("\r\n", "\n")


def program() -> str:
    """Returns: the adb program of this machine.

    Raises:
        DeviceError: there is none.
    """
    found = shutil.which("adb")
    if found is None:
        hint = "install Android's platform-tools (on Debian: apt install adb)"
        raise DeviceError("there is no adb program on this machine", hint=hint)
    return found


def attached() -> dict[str, str]:
    """Returns: the phones that adb knows: serial → state (``device`` where it is ready)."""
    try:
        done = subprocess.run(
            [program(), "devices"], capture_output=True, timeout=USUAL_SECONDS, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        raise DeviceError("adb does not answer", hint="run: adb kill-server") from None
    if done.returncode:
        raise DeviceError(f"adb does not work ({_last(done.stderr)})", hint="run: adb devices")
    rows = [line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line]
    return {serial.strip(): state.strip() for serial, state in rows}


@dataclass(frozen=True, slots=True)
class Bridge:
    """What one phone is reached by.

    Attributes:
        serial: as ``adb devices`` writes it.
    """

    serial: str

    @property
    def name(self) -> str:
        return f"adb:{self.serial}"

    def check(self) -> None:
        """Makes sure that the phone is there.

        Raises:
            DeviceError: it is not, or does not let this machine in.
        """
        known = attached()
        state = known.get(self.serial)
        if state == "device":
            return
        if state is None:
            there = f"attached: {', '.join(known)}" if known else "no phone is attached: see adb devices"
            raise self._away(f"there is no phone {self.serial!r}", there)
        hint = next((hint for start, hint in _STATES.items() if state.startswith(start)), "see adb devices")
        raise self._away(f"the phone is {state.partition('(')[0].strip()}", hint)

    def _away(self, what: str, hint: str) -> DeviceError:
        error = DeviceError(what, where=self.name, hint=hint)
        error.away = True  # somebody may plug it in again, or allow it
        return error

    def shell(self, words: Sequence[str] | str, *, doing: str, seconds: float = USUAL_SECONDS) -> Ran:
        """Runs a command on the phone.

        Args:
            words: the command and its arguments; a string is a shell's script.
            doing: what it does, for errors.
            seconds: until it is given up.

        Raises:
            ConnectionLost: the phone was gone before the command had ended.
        """
        script = words if isinstance(words, str) else " ".join(map(shlex.quote, words))
        # In a shell of its own: an exit in the script must not keep its end from being told.
        told = f"( {script}\n) 2>&1; code=$?; echo; echo sanderling: ended $code"
        done = self._adb(["exec-out", told], seconds, doing)
        end = _ENDED.search(done.stdout)
        if end is None:
            raise self._lost(doing, done)
        return Ran(int(end[1]), done.stdout[: end.start()])

    def push(self, file: Path, place: str) -> None:
        """Copies a file to the phone.

        Raises:
            StorageError: the phone does not take it: it is full, or the place may not be written.
            ConnectionLost: the phone is gone.
        """
        doing = f"copying {file.name}"
        done = self._adb(["push", str(file), place], COPY_SECONDS, doing)
        if done.returncode:
            said = _last(done.stderr.decode("utf-8", "replace") or done.stdout.decode("utf-8", "replace"))
            if "remote" in said or "space" in said:
                what = f"{doing} failed ({said})"
                raise StorageError(what, where=self.name, hint="see what is left there with df")
            raise self._lost(doing, done)

    def fetch(self, place: str) -> bytes:
        """Returns: the content of a file of the phone.

        Raises:
            DeviceError: there is no such file.
            ConnectionLost: the phone is gone.
        """
        ran = self.shell(["cat", place], doing="fetching answers", seconds=COPY_SECONDS)
        if ran.code:
            raise DeviceError(f"there is no file {place}", where=self.name, hint="is the phone full?")
        return ran.output

    def _adb(self, words: Sequence[str], seconds: float, doing: str) -> subprocess.CompletedProcess[bytes]:
        command = [program(), "-s", self.serial, *words]
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            late = f"{self.name} did not answer within {seconds:g} s while {doing}"
            raise ConnectionLost(late) from None

    def _lost(self, doing: str, done: subprocess.CompletedProcess[bytes]) -> ConnectionLost:
        said = _last(done.stderr.decode("utf-8", "replace"))
        return ConnectionLost(f"the connection to {self.name} was lost while {doing} ({said})")


def _last(text: str) -> str:
    """Returns: the last line of what a program said; of a long one its end, which names the cause."""
    return (text.strip().splitlines() or ["it said nothing"])[-1].strip()[-200:]
