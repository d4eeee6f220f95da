"""Times that a bundle measured on another machine: what a page's benchmark button or ``run.py --bench`` gave.

It comes from a stranger's clipboard: every value of it is checked.

::

    {"sanderling_bench": 1, "model": "digits", "sha256": "…", "engine": "webgpu", "device": {"vendor": "arm"},
     "precision": "float16", "p50_ms": 1.2, "p90_ms": 1.4, "runs": 200, "date": "2026-11-28T18:28:09Z",
     "others": [{"precision": "float32", "p50_ms": 2.0, "p90_ms": 2.1, "runs": 200}], "correct": true}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from sanderling.errors import UsageError
from sanderling.files import expanded

SCHEMA = 1
_MOST_BYTES, _MOST_RESULTS, _MOST_OTHERS = 1 << 20, 100, 16
_LONGEST_TEXT, _LONGEST_AGENT, _MOST_FACTS = 120, 1000, 40
_LONGEST_MS = 1e8  # more than a day
_MOST_RUNS = 10**9
_HINT = "give the JSON that a page's benchmark button copies, or that a bundle's run.py --bench prints"
# What tells most of a device, as far as it is known: names first, then what a browser gives away of its GPU.
_NAMES = ("name", "model", "description", "device")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model's time on another machine.

    Attributes:
        file: what it was read from.
        model, sha256: which model it was there.
        engine: what ran it: ``webgpu``, ``litert``.
        device: the machine, in a few words.
        facts: all that is told of it.
        precision: that floats were computed in: ``float32``, ``float16``.
        threads: CPU threads, None where that was not told.
        p50_ms, p90_ms: milliseconds of a call: the median, and what nine of ten took at most.
        runs: how many calls that is of.
        date: when, as it was told.
        correct: whether its answers were compared with the stored ones and near enough; None: not told.
    """

    file: str
    model: str
    sha256: str
    engine: str
    device: str
    facts: Mapping[str, str | float | bool]
    precision: str
    threads: int | None
    p50_ms: float
    p90_ms: float
    runs: int
    date: str
    correct: bool | None

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


def read_results(file: str | Path) -> tuple[Elsewhere, ...]:
    """Reads what was measured elsewhere.

    Args:
        file: holds one result, or a list of them.

    Returns: a row for each, and for each further precision.

    Raises:
        UsageError: it cannot be read, or is no such result.
    """
    path = expanded(file)
    value = _parsed(path)
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= _MOST_RESULTS:
        raise UsageError(f"holds {len(values)} results, expected 1 to {_MOST_RESULTS}", where=str(path))
    return tuple(row for each in values for row in _rows(each, str(path)))


def _parsed(path: Path) -> Any:
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), hint=_HINT)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UsageError(f"is larger than {_MOST_BYTES >> 20} MB, so it is no result", where=str(path))
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    except (ValueError, RecursionError):
        raise UsageError("is not JSON", where=str(path), hint=_HINT) from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # JSON has no NaN


def _rows(value: Any, where: str) -> Iterator[Elsewhere]:
    if not isinstance(value, dict) or "sanderling_bench" not in value:
        raise UsageError("is no result of a bundle's benchmark", where=where, hint=_HINT)
    version = value["sanderling_bench"]
    if isinstance(version, bool) or version != SCHEMA:
        told = version if isinstance(version, int) and abs(version) < 1e6 else "something else"
        raise UsageError(
            f"is a result of version {told}, expected {SCHEMA}", where=where,
            hint="use the version of Sanderling that made the bundle, or make the bundle again",
        )  # fmt: skip
    others = value.get("others", [])
    if not isinstance(others, list) or len(others) > _MOST_OTHERS:
        raise UsageError(f"'others' is no list of at most {_MOST_OTHERS} results", where=where)
    shared = _shared(value, where)
    for each in (value, *others):
        if not isinstance(each, dict):
            raise UsageError("'others' holds something else than objects", where=where)
        yield Elsewhere(**shared, **_times(each, where))


def _shared(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    digest = _text(value, "sha256", where)
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise UsageError("'sha256' is no SHA-256", where=where)
    facts = _facts(value.get("device"), where)
    date, correct = _text(value, "date", where), value.get("correct")
    try:
        datetime.fromisoformat(date)
    except ValueError:
        raise UsageError("'date' is no date as 2026-11-28T18:28:09Z", where=where) from None
    threads = None if value.get("threads") is None else _count(value, "threads", where)
    return {
        "file": where, "model": _text(value, "model", where), "sha256": digest, "date": date,
        "engine": _text(value, "engine", where), "device": _named(facts), "facts": facts, "threads": threads,
        "correct": correct if isinstance(correct, bool) else None,
    }  # fmt: skip


def _times(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    median, ninth = _milliseconds(value, "p50_ms", where), _milliseconds(value, "p90_ms", where)
    if ninth < median:
        raise UsageError("'p90_ms' is less than 'p50_ms'", where=where)
    return {
        "precision": _text(value, "precision", where), "p50_ms": median, "p90_ms": ninth,
        "runs": _count(value, "runs", where),
    }  # fmt: skip


def _facts(value: Any, where: str) -> dict[str, str | float | bool]:
    """Returns: what is told of a device: an object of plain values, or just its name."""
    value = {"name": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or len(value) > _MOST_FACTS:
        raise UsageError("'device' is no object that describes one", where=where)
    for name, each in value.items():
        long = isinstance(each, str) and len(each) > _LONGEST_AGENT
        odd = isinstance(each, float | int) and not (abs(each) < 1e15)
        if len(name) > _LONGEST_TEXT or long or odd or not isinstance(each, str | float | int | bool):
            raise UsageError("'device' holds something else than short texts and numbers", where=where)
    return value


def _named(facts: Mapping[str, Any]) -> str:
    """Returns: a device in a few words."""
    words = [facts[key].strip() for key in _NAMES if isinstance(facts.get(key), str)]
    gpu = [facts[key].strip() for key in ("vendor", "architecture") if isinstance(facts.get(key), str)]
    said = next((each for each in words if each), "") or " ".join(each for each in gpu if each)
    agent = facts.get("user_agent")
    system = _system(agent) if isinstance(agent, str) else ""
    return ", ".join(each for each in (" ".join(said.split())[:_LONGEST_TEXT], system) if each) or "not told"


def _system(agent: str) -> str:
    """Returns: browser and system, as far as a browser's own words tell."""
    browsers = (("Edg", "Edge"), ("Firefox", ""), ("Chrome", ""), ("Version", "Safari"))
    versions = ((told or key, re.search(rf"{key}\w*/(\d{{1,4}})", agent)) for key, told in browsers)
    found = next((f"{browser} {version[1]}" for browser, version in versions if version), "")
    systems = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "CrOS", "Linux")
    system = next((each for each in systems if each in agent), "")
    return " on ".join(each for each in (found, system) if each)


def _text(value: Mapping[str, Any], name: str, where: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found.strip() or len(found) > _LONGEST_TEXT:
        raise UsageError(f"'{name}' is no text of at most {_LONGEST_TEXT} characters", where=where)
    return found


def _milliseconds(value: Mapping[str, Any], name: str, where: str) -> float:
    found = value.get(name)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not 0 < found <= _LONGEST_MS or not math.isfinite(found):  # type: ignore[operator, arg-type]
        raise UsageError(f"'{name}' is no time in milliseconds", where=where)
    return float(found)  # type: ignore[arg-type]


def _count(value: Mapping[str, Any], name: str, where: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= _MOST_RUNS:
        raise UsageError(f"'{name}' is no number of at least 1", where=where)
    return found
