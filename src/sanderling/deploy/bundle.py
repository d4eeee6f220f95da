"""``bundle.json``: what a bundle is, where it was made, what it must answer, and how it was tried."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import files
from sanderling.deploy.order import Order
from sanderling.deploy.target import Built, Check, Target
from sanderling.graph.graph import Graph
from sanderling.graph.types import Array
from sanderling.tasks.spec import TaskSpec

SCHEMA = 1
FILE, EXAMPLES, TOKENIZER = "bundle.json", "examples.npz", "tokenizer.json"


def write_bundle(
    folder: Path, order: Order, target: Target, built: Built, checks: Sequence[Check]
) -> dict[str, Any]:
    """Writes ``bundle.json`` beside the files of a bundle, all of which it lists.

    Returns: what was written.
    """
    told = {
        "schema_version": SCHEMA,
        "target": target.name,
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {name: version(name) for name in ("sanderling", "ai-edge-litert")},
        },
        "model": {
            "name": order.name,
            "sha256": order.sha256,
            "size_bytes": order.file.stat().st_size,
            "inputs": _ports(order.model.main, order.model.input_names(), order.model.main.inputs),
            "outputs": _ports(order.model.main, order.model.output_names(), order.model.main.outputs),
        },
        "task": task_json(order.spec),
        "examples": [{"name": each.name, "lines": list(each.lines)} for each in order.examples],
        "noise": order.noise,
        "tolerance": dict(order.tolerance),
        "checks": [asdict(check) | {"passed": check.passed} for check in checks],
        "figures": [asdict(figure) for figure in built.figures],
        "placed": [dict(row) for row in built.placed],
        "notes": [*order.notes, *built.notes],
        "start": built.start,
        "detector": None if order.detector is None else {"task": task_json(order.detector.spec)},
        **built.more,
        "files": _files(folder),
    }
    files.write_text(folder / FILE, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return told


def save_examples(
    order: Order,
    file: Path,
    feeds: Sequence[Mapping[str, Array]] | None = None,
    most: int | None = None,
) -> None:
    """Writes what the examples are fed and must be answered with, as an ``.npz``.

    Its keys are ``EXAMPLE/in/PORT`` and ``EXAMPLE/out/PORT``, both counted from zero in the model's order.

    Args:
        file: to write.
        feeds: what they are fed there, where that is not what the model stores.
        most: so many at most.
    """
    arrays: dict[str, Any] = {}
    for number, example in enumerate(order.examples[:most]):
        fed = example.feeds if feeds is None else feeds[number]
        for side, values in (("in", fed), ("out", example.outputs)):
            names = order.model.input_names() if side == "in" else order.model.output_names()
            arrays |= {f"{number}/{side}/{i}": values[name] for i, name in enumerate(names)}
    with files.whole(file) as stream:
        np.savez_compressed(stream, **arrays)


def task_json(spec: TaskSpec) -> dict[str, Any]:
    """Returns: the task, without the folders of this machine that a tokenizer or a detector lies in."""
    told = spec.to_json()
    if told.get("crop", {}).get("model"):
        told["crop"]["model"] = Path(told["crop"]["model"]).name
    for each in told.get("inputs", ()):
        if each.get("tokenizer"):
            each["tokenizer"] = TOKENIZER
    return told


def _ports(graph: Graph, names: list[str], indices: tuple[int, ...]) -> list[dict[str, Any]]:
    found = []
    for name, index in zip(names, indices, strict=True):
        kind = graph.tensors[index].type
        port: dict[str, Any] = {"name": name, "dtype": kind.dtype.value, "shape": list(kind.shape)}
        if kind.quant is not None and kind.quant.scale.size == 1:
            port |= {"scale": float(kind.quant.scale[0]), "zero_point": int(kind.quant.zero_point[0])}
        found.append(port)
    return found


def _files(folder: Path) -> Mapping[str, str]:
    """Returns: SHA-256 of every file of a bundle, by its path."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != FILE):
        with path.open("rb") as stream:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
