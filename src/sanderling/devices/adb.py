"""A phone reached by ``adb``: LiteRT's ``benchmark_model`` runs the models there."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from sanderling.devices.benchmark_model import BenchmarkModel
from sanderling.devices.bridge import COPY_SECONDS, Bridge, attached
from sanderling.devices.device import Facts
from sanderling.devices.facts import conditions
from sanderling.devices.phone import PhoneWorker
from sanderling.errors import ConnectionLost, DeviceError, SanderlingError, UsageError
from sanderling.isolation.client import Worker

FOLDER = "/data/local/tmp"  # where Android lets a shell put and start programs
BINARIES = ("benchmark_model", "android_aarch64_benchmark_model", "android_arm_benchmark_model")
_SERIAL = re.compile(r"[A-Za-z0-9._:\[\]-]*")
_ANSWERS = ("there", "here")
_EXAMPLE = "write it like adb:SERIAL, with a serial that adb devices shows"
# What the phone is, a line each. Properties that a phone does not have are empty.
_ASK = """
echo "maker=$(getprop ro.product.manufacturer)"
echo "model=$(getprop ro.product.model)"
echo "chip=$(getprop ro.soc.model)"
echo "board=$(getprop ro.board.platform)"
echo "abi=$(getprop ro.product.cpu.abi)"
echo "android=$(getprop ro.build.version.release)"
echo "cores=$(nproc)"
echo "governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
for zone in /sys/class/thermal/thermal_zone*; do
  case "$(cat $zone/type 2>/dev/null)" in
    *cpu*|*CPU*) echo "heat=$(cat $zone/temp 2>/dev/null)" ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Which phone, and how it is used.

    Attributes:
        serial: as ``adb devices`` shows it; "" for the only one that is attached.
        benchmark: ``benchmark_model``, a file of this machine or else of the phone; "" to look for it there.
        answers: ``there`` or ``here``: whose LiteRT computes the answers that fidelity is judged by;
            "" for there where the tool can.
    """

    serial: str
    benchmark: str = ""
    answers: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads ``adb:SERIAL?benchmark=FILE&answers=here``.

        Raises:
            UsageError: it is none.
        """
        serial, _, query = text.removeprefix("adb:").partition("?")
        if not text.startswith("adb:") or not _SERIAL.fullmatch(serial) or serial.startswith("-"):
            raise UsageError(f"the device {text!r} is no phone", hint=_EXAMPLE)
        given = dict(parse_qsl(query))
        unknown = sorted(set(given) - {"benchmark", "answers"})
        if unknown:
            raise UsageError(f"phones have no option {unknown[0]!r}", hint="benchmark=… and answers=…")
        answers = given.get("answers", "")
        if answers and answers not in _ANSWERS:
            raise UsageError(f"answers={answers} is unknown", hint="answers=here or answers=there")
        return cls(serial, given.get("benchmark", ""), answers)


class Adb:
    """A phone reached by adb.

    Args:
        text: its address (see ``Address.parse``).

    Raises:
        UsageError: it is no address.
        DeviceError: there is no adb, no such phone, or it does not let this machine in.
    """

    local, equipped = False, False

    def __init__(self, text: str) -> None:
        self._address = Address.parse(text)
        self._bridge = Bridge(self._address.serial or _only())
        self.name = self._bridge.name
        self._folder = f"{FOLDER}/sanderling-{secrets.token_hex(6)}"
        self._made = False  # whether the folder is there
        self._bridge.check()

    def worker(self, name: str) -> Worker:
        """Returns: a process of this machine that has the phone run models."""
        return PhoneWorker(name=f"{name} for {self.name}", phone=self._reached)

    def facts(self) -> Facts:
        """Returns: what the phone is.

        Raises:
            DeviceError: it is not there, or has no ``benchmark_model`` that runs.
        """
        return self._facts

    def close(self) -> None:
        """Removes what was copied for this run. A phone that is gone keeps it until another run comes."""
        if not self._made:
            return
        try:
            self._bridge.shell(["rm", "-rf", self._folder], doing="tidying up")
        except (ConnectionLost, DeviceError):  # the next run removes what is old
            return

    def _reached(self) -> Mapping[str, Any]:
        """Returns: what ``measure/phone.py`` takes."""
        tool = self._tool
        return {
            "serial": self._bridge.serial,
            "binary": tool.binary,
            "folder": tool.folder,
            "answers_there": self._answers_there,
        }

    @cached_property
    def _tool(self) -> BenchmarkModel:
        self._bridge.check()
        ran = self._bridge.shell(
            f"find {FOLDER} -maxdepth 1 -name 'sanderling-*' -mtime +1 -exec rm -rf {{}} + 2>/dev/null; "
            f"mkdir -p {self._folder}",
            doing="making a folder",
        )
        self._made = True
        if ran.code:
            raise self._error(f"no folder can be made there ({ran.text.strip()[:200]})", "is the phone full?")
        return BenchmarkModel(self._bridge, self._binary(), self._folder)

    def _binary(self) -> str:
        """Returns: the tool's path on the phone, where it is copied if need be."""
        given = self._address.benchmark
        if given and Path(given).is_file():
            data = Path(given).read_bytes()
            there = f"{self._folder}/benchmark_model-{hashlib.sha256(data).hexdigest()[:12]}"
            self._bridge.push(Path(given), there)
            self._bridge.shell(["chmod", "755", there], doing="copying benchmark_model")
            return there
        places = [given] if given else [f"{FOLDER}/{name}" for name in BINARIES]
        for place in places:
            if self._bridge.shell(["test", "-x", place], doing="looking for benchmark_model").code == 0:
                return place
        missing = f"there is no {given}, here or on the phone" if given else "it has no benchmark_model"
        raise self._error(
            missing,
            f"fetch LiteRT's benchmark_model for its processor, and name it: {self.name}?benchmark=FILE",
        )

    @cached_property
    def _can_answer(self) -> bool:
        return self._tool.saves_answers()

    @property
    def _answers_there(self) -> bool:
        wanted = self._address.answers
        if wanted == "there" and not self._can_answer:
            raise self._error(
                "its benchmark_model is too old to write answers to a file",
                "take a newer one, or answers=here",
            )
        return wanted != "here" and self._can_answer

    @cached_property
    def _facts(self) -> Facts:
        told = self._bridge.shell(_ASK, doing="asking what it is").text
        lines = [line.strip().partition("=") for line in told.splitlines()]
        rows = [(key, value.strip()) for key, _, value in lines]
        found = dict(rows)
        heat = [int(value) for key, value in rows if key == "heat" and value.lstrip("-").isdigit()]
        binary = self._bridge.shell(
            ["sha256sum", self._tool.binary], doing="asking what it is", seconds=COPY_SECONDS
        )
        chip = found.get("chip") or found.get("board") or found.get("abi") or "unknown"
        model = f"{found.get('maker', '')} {found.get('model', '')}".strip()
        cores = found.get("cores", "")
        return Facts(
            cpu=f"{model} ({chip})" if model else chip,
            architecture=found.get("abi", ""),
            system=f"Android {found.get('android', '')}".strip(),
            cores=float(cores) if cores.isdigit() and int(cores) else 1.0,
            versions={"benchmark_model": binary.text[:12]},
            notes=(*self._ways(), *conditions(found.get("governor", ""), max(heat, default=0) / 1000)),
        )

    def _ways(self) -> list[str]:
        """Returns: what a reader must know about how figures came to be."""
        notes = ["timed by benchmark_model on random inputs"]
        if not self._answers_there:
            notes.append(
                "ANSWERS ARE NOT THE PHONE'S: those that the drop is judged by are from LiteRT on this "
                "machine, for benchmark_model was not asked for them"
            )
        return notes

    def _error(self, what: str, hint: str) -> SanderlingError:
        return DeviceError(what, where=self.name, hint=hint)


def _only() -> str:
    """Returns: the serial of the only phone that is attached."""
    known = attached()
    if len(known) == 1:
        return next(iter(known))
    if not known:
        raise DeviceError("no phone is attached", hint="see adb devices")
    raise UsageError(f"there are {len(known)} phones: {', '.join(known)}", hint=_EXAMPLE)
