"""Writes the bundle: the model, run.py with the part of this package that it needs, a unit for systemd."""

from __future__ import annotations

import shutil
from importlib.resources import files as resources
from pathlib import Path

from sanderling import files
from sanderling.deploy.bundle import save_examples
from sanderling.deploy.order import Order
from sanderling.deploy.parts import copy_modules
from sanderling.deploy.raspberry_pi.emulate import emulated, here
from sanderling.deploy.target import Built, Check, Tell
from sanderling.deploy.text import render

_PACKAGE = "sanderling.deploy.raspberry_pi"
_NEEDED = (
    "sanderling.pipeline.pipeline", "sanderling.pipeline.answered", "sanderling.tasks.answers.*",
    "sanderling.tasks.inputs.*", "sanderling.samples.features.*", "sanderling.tflite",
    "sanderling.deploy.tolerance",
)  # fmt: skip


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can."""
    if order.spec.name == "custom":
        return "its task is a function of your own, which a bundle cannot carry: leave --task out"
    from sanderling.engines.registry import find

    for node, verdict in zip(order.model.main.nodes, find("litert").supports(order.model), strict=True):
        if not verdict:
            return f"{node.kind}: {verdict.reason}"
    return ""


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``."""
    shutil.copyfile(order.file, folder / "model.tflite")
    if order.detector is not None:
        shutil.copyfile(order.detector.file, folder / "detector.tflite")
    save_examples(order, folder / "examples.npz")
    own = resources(_PACKAGE) / "files"
    for name in ("run.py", "requirements.txt"):
        (folder / name).write_bytes((own / name).read_bytes())
    copy_modules(_NEEDED, folder / "lib")
    files.write_text(folder / f"{order.name}.service", render(_PACKAGE, "service.j2", order=order))
    return Built(start="python run.py --self-test")


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle on this machine, and on emulated arm64. See ``Target.check``."""
    return (here(order, folder, tell), *emulated(order, folder, tell))
