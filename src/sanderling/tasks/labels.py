"""Names of classes: from a file, and matched to the number of classes that a model has."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from sanderling.errors import UsageError

_LARGEST = 16 << 20
_NUMBERED = re.compile(r"\s*(\d+)\s*[:,;\t ]\s*(.+)")
NOTHING = {"background", "???", "__background__", "unlabeled", "none"}


def read_labels(path: Path) -> tuple[str, ...]:
    """Reads names of classes: one per line, numbered lines (``3: cat``), CSV, or JSON (a list, or an object
    of names by number).

    Raises:
        UsageError: there is no such file, it is no text, or it holds no names.
    """
    where = str(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"is larger than {_LARGEST >> 20} MB", where=where)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror or error})", where=where) from None
    except UnicodeDecodeError:
        raise UsageError("is no text", where=where, hint="give one name per line") from None
    names = _from_json(text, where) if path.suffix.lower() == ".json" else _from_lines(text)
    if not any(names):
        raise UsageError("holds no names", where=where, hint="give one name per line")
    return tuple(names)


def _from_json(text: str, where: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON ({error})", where=where) from None
    if isinstance(value, dict) and all(key.isdigit() for key in value):
        # ImageNet's usual file gives ["n01440764", "tench"] for each number.
        return _by_number({int(k): v[-1] if isinstance(v, list) and v else v for k, v in value.items()})
    if isinstance(value, dict) and isinstance(value.get("labels"), list):
        value = value["labels"]
    if not isinstance(value, list):
        raise UsageError("is neither a list of names nor an object of names by number", where=where)
    return [str(each) for each in value]


def _from_lines(text: str) -> list[str]:
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    rows = [_NUMBERED.fullmatch(line) for line in lines if line.strip()]
    if rows and all(rows):
        numbered = {int(row[1]): row[2].strip() for row in rows if row}
        if len(numbered) == len(rows):
            return _by_number(numbered)
    head = [cell.strip().lower() for cell in lines[0].split(",")] if lines else []
    if len(head) == 2 and head[0] in ("index", "id", "class"):
        table = list(csv.reader(io.StringIO("\n".join(lines[1:]))))
        if all(len(row) == 2 and row[0].strip().isdigit() for row in table):
            return _by_number({int(row[0]): row[1].strip() for row in table})
    return [line.strip() for line in lines]


def _by_number(numbered: dict[int, object]) -> list[str]:
    most = min(max(numbered, default=-1), 1_000_000)
    return [str(numbered.get(number, "")) for number in range(most + 1)]


def fit_labels(labels: Sequence[str], classes: int) -> tuple[tuple[str, ...], str]:
    """Brings names to as many as a model has classes: one more or less is the background, class 0.

    Returns: the names, () when they do not fit, and what to tell the user ("" when nothing).
    """
    if not labels or len(labels) == classes:
        return tuple(labels), ""
    if len(labels) + 1 == classes:
        return ("background", *labels), (
            f"the model has {classes} classes and there are {len(labels)} names: class 0 is the background"
        )
    if len(labels) == classes + 1 and labels[0].lower() in NOTHING:
        return tuple(labels[1:]), f"the first name, {labels[0]!r}, belongs to no class"
    return (), f"the names are not used: there are {len(labels)}, and the model has {classes} classes"


def numbered(labels: Sequence[str], number: int) -> str:
    """Returns: the name of a class, ``class 7`` where it has none."""
    name = labels[number] if 0 <= number < len(labels) else ""
    return name or f"class {number}"
