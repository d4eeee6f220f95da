"""Writes the bundle: the model, run.py with the part of this package that it needs, a unit for systemd."""

from __future__ import annotations

import shutil
from importlib.resources import files as resources
from pathlib import Path

from sanderling import files
from sanderling.deploy.bundle import TOKENIZER, save_examples
from sanderling.deploy.order import Order
from sanderling.deploy.parts import copy_modules
from sanderling.deploy.raspberry_pi.emulate import emulated, here
from sanderling.deploy.target import Built, Check, Tell
from sanderling.deploy.text import render
from sanderling.deploy.tokenizer import copy_tokenizer
from sanderling.tasks.input_kind import kind_of

_PACKAGE = "sanderling.deploy.raspberry_pi"
_NEEDED = (
    "sanderling.pipeline.pipeline", "sanderling.pipeline.answered", "sanderling.tasks.answers.*",
    "sanderling.tasks.inputs.*", "sanderling.samples.features.*", "sanderling.tflite",
    "sanderling.deploy.program", "sanderling.engines.litert.runner", "sanderling.runtime.ports",
)  # fmt: skip


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can."""
    if order.spec.name == "custom":
        return "its task is a function of your own, which a bundle cannot carry: leave --task out"
    from sanderling.engines.registry import find

    for node, verdict in zip(order.model.main.nodes, find("litert").supports(order.model), strict=True):
        if not verdict:
            return verdict.reason if node.kind in verdict.reason else f"{node.kind}: {verdict.reason}"
    return ""


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``."""
    shutil.copyfile(order.file, folder / "model.tflite")
    if order.detector is not None:
        shutil.copyfile(order.detector.file, folder / "detector.tflite")
    save_examples(order, folder / "examples.npz")
    kinds = {kind_of(each).name for each in order.spec.inputs}
    own = resources(_PACKAGE) / "files"
    (folder / "run.py").write_bytes((own / "run.py").read_bytes())
    wanted = "requirements-text.txt" if "text" in kinds else "requirements.txt"
    (folder / "requirements.txt").write_bytes((own / wanted).read_bytes())
    copy_modules(_NEEDED, folder / "lib")
    if "image" in kinds:
        files.write_text(folder / f"{order.name}.service", render(_PACKAGE, "service.j2", order=order))
    notes = copy_tokenizer(order, folder)
    more = {
        "threads": order.threads, "takes": sorted(kinds), "tokenizer": (folder / TOKENIZER).is_file(),
    }  # fmt: skip
    return Built(notes=notes, start="python run.py --self-test", more=more)


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle on this machine, and on emulated arm64. See ``Target.check``."""
    return (here(order, folder, tell), *emulated(order, folder, tell))
