"""Builds the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.deploy.order import Order
from sanderling.deploy.target import Built, Figure, Tell
from sanderling.deploy.web.blob import Blob
from sanderling.deploy.web.describe import described
from sanderling.deploy.web.examples import Asked, ask, chosen
from sanderling.deploy.web.half import half_of
from sanderling.deploy.web.page import page
from sanderling.deploy.web.programs import obstacle
from sanderling.graph.graph import Model

FILE = "index.html"
_SHARE, _MORE = 1.25, 150_000  # of the stored weights, and bytes: what a page should not exceed


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can."""
    if order.spec.name == "custom":
        return "its task is a function of your own, which a page cannot carry: leave --task out"
    reason = obstacle(order.model)
    if not reason and order.detector is not None:
        reason = obstacle(order.detector.model)
        reason = reason and f"its detector, {order.detector.file.name}: {reason}"
    return reason


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the page. See ``Target.build``."""
    tell("compiling for WebGPU", 0, 0)
    asked = ask(order)
    half = half_of(order, asked)
    blob = Blob()
    head: dict[str, Any] = {
        "name": order.name, "sha256": order.sha256, "size_bytes": order.file.stat().st_size,
        "noise": order.noise, "notes": [half.note] if half.note else [],
        "model": described(order.model, order.spec, blob, half.target),
        "detector": None,
        "tolerance": {"float32": _listed(order, order.tolerance), "float16": _listed(order, half.tolerance)},
    }  # fmt: skip
    weights = stored_weights(order.model)
    if order.detector is not None:
        weights += stored_weights(order.detector.model)
        head["detector"] = described(order.detector.model, order.detector.spec, blob, None)
    tell("writing the page", 0, 0)
    bare = len(page(order.name, blob.packed(head)).encode())
    head["examples"], head["samples"] = chosen(asked, order, blob, int(_SHARE * weights + _MORE - bare))
    files.write_text(folder / FILE, page(order.name, blob.packed(head)))
    size = (folder / FILE).stat().st_size
    return Built(
        figures=(Figure("page", size, "bytes", "this file"),),
        notes=tuple(_notes(order, half.note, asked, len(head["examples"]))),
        start=f"open {FILE} in a browser",
        more={"web": {"stored_weights_bytes": weights, "page_bytes": size}},
    )


def _notes(order: Order, half: str, asked: list[Asked], kept: int) -> list[str]:
    notes = [half] if half else []
    if kept < len(asked):
        notes.append(f"the page holds {kept} of {len(asked)} examples, for its size")
    return notes


def _listed(order: Order, tolerance: Mapping[str, float]) -> list[float]:
    return [tolerance[name] for name in order.model.output_names() if name in tolerance]


def stored_weights(model: Model) -> int:
    """Returns: bytes that the constants take in the model's file."""
    return sum(t.stored_nbytes for g in model.graphs for t in g.tensors if t.is_constant)
