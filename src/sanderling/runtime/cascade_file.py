"""The cascade of a ``best.json``: read from it, written into it. The file is untrusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.errors import RecipeError
from sanderling.runtime.cascade import SCORES, Rule
from sanderling.runtime.recipe_file import RunAs, field, inside, is_recipe_file, read_object

MOST_MODELS = 8
_MOST_THREADS, _MOST_OUTPUTS = 1024, 4096


@dataclass(frozen=True, slots=True)
class Cascade:
    """Models that are asked one after the other until one is sure.

    Attributes:
        path: the file that describes it.
        parts: how each is run, the smallest first.
        rules: when the next one is asked; one for each but the last.
    """

    path: Path
    parts: tuple[RunAs, ...]
    rules: tuple[Rule, ...]

    @property
    def size_bytes(self) -> int:
        """Of the models' files together."""
        return sum(part.path.stat().st_size for part in self.parts)


def read_cascade(path: Path) -> Cascade | None:
    """Returns: the cascade that a recipe file holds; None where it holds one model.

    Raises:
        RecipeError: it cannot be read, or breaks a rule of what a cascade is; names the field.
    """
    value = read_object(path)
    found = value.get("cascade")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise _wrong("cascade", found, "an object", path)
    models, rules = found.get("models"), found.get("rules")
    if not isinstance(models, list) or not 2 <= len(models) <= MOST_MODELS:
        raise _wrong("cascade.models", _short(models), f"a list of 2 to {MOST_MODELS} models", path)
    if not isinstance(rules, list) or len(rules) != len(models) - 1:
        raise _wrong("cascade.rules", _short(rules), f"a list of {len(models) - 1}: one fewer", path)
    return Cascade(
        path,
        tuple(_part(each, f"cascade.models[{i}]", path) for i, each in enumerate(models)),
        tuple(_rule(each, f"cascade.rules[{i}]", path) for i, each in enumerate(rules)),
    )


def cascade_of(path: Path) -> Cascade | None:
    """Returns: the cascade that a file holds; None for a model, and for the recipe file of one model."""
    return read_cascade(path) if is_recipe_file(path) else None


def cascade_json(
    names: Sequence[str], parts: Sequence[RunAs], rules: Sequence[Rule], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns: what ``read_cascade`` reads, as the value of ``cascade``.

    Args:
        names: the models' files, relative to the file that it is written into.
        more: further facts for people.
    """
    models = [
        {"model": name, "engine": part.engine, "threads": part.threads, "precision": part.precision}
        for name, part in zip(names, parts, strict=True)
    ]
    return {"models": models, "rules": [rule.to_json() for rule in rules], **(more or {})}


def _part(value: Any, where: str, path: Path) -> RunAs:
    if not isinstance(value, dict):
        raise _wrong(where, _short(value), "an object", path)
    model = inside(value.get("model"), f"{where}.model", path)
    if model.suffix.lower() == ".json":
        raise _wrong(f"{where}.model", value["model"], "a model, no recipe file", path)
    threads = field(value, "threads", int, path, where)
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise _wrong(f"{where}.threads", threads, f"1 to {_MOST_THREADS}", path)
    engine, precision = (field(value, name, str, path, where) for name in ("engine", "precision"))
    return RunAs(model, engine, threads, precision)


def _rule(value: Any, where: str, path: Path) -> Rule:
    if not isinstance(value, dict):
        raise _wrong(where, _short(value), "an object", path)
    threshold = value.get("threshold")
    number = threshold if isinstance(threshold, int | float) and not isinstance(threshold, bool) else -1
    if not 0 <= number <= 1:  # NaN is not within anything
        raise _wrong(f"{where}.threshold", _short(threshold), "a number of 0 to 1", path)
    output = value.get("output", 0)
    if isinstance(output, bool) or not isinstance(output, int) or not 0 <= output < _MOST_OUTPUTS:
        raise _wrong(f"{where}.output", _short(output), "the number of an output, from 0 on", path)
    scores = value.get("scores", SCORES[0])
    if scores not in SCORES:
        raise _wrong(f"{where}.scores", _short(scores), " or ".join(SCORES), path)
    return Rule(float(number), output, scores)


def _short(value: Any) -> Any:
    return f"a list of {len(value)}" if isinstance(value, list) else value


def _wrong(name: str, got: Any, expected: str, path: Path) -> RecipeError:
    return RecipeError(f"{name!r} is {str(got)[:80]!r}, expected {expected}", where=str(path))
