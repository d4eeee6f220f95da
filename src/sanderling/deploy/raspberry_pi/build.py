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
from sanderling.errors import SampleError
from sanderling.samples.tokens import find_tokenizer
from sanderling.tasks.input_kind import kind_of

_PACKAGE = "sanderling.deploy.raspberry_pi"
_NEEDED = (
    "sanderling.pipeline.pipeline", "sanderling.pipeline.answered", "sanderling.tasks.answers.*",
    "sanderling.tasks.inputs.*", "sanderling.samples.features.*", "sanderling.tflite",
    "sanderling.deploy.tolerance", "sanderling.engines.litert.runner", "sanderling.runtime.ports",
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
    kinds = {kind_of(each).name for each in order.spec.inputs}
    own = resources(_PACKAGE) / "files"
    for name in ("run.py", "camera.py"):
        (folder / name).write_bytes((own / name).read_bytes())
    wanted = "requirements-text.txt" if "text" in kinds else "requirements.txt"
    (folder / "requirements.txt").write_bytes((own / wanted).read_bytes())
    copy_modules(_NEEDED, folder / "lib")
    if "image" in kinds:
        files.write_text(folder / f"{order.name}.service", render(_PACKAGE, "service.j2", order=order))
    notes = _copy_tokenizer(order, folder) if "text" in kinds else ()
    more = {"threads": order.threads, "takes": sorted(kinds)}
    return Built(notes=notes, start="python run.py --self-test", more=more)


def _copy_tokenizer(order: Order, folder: Path) -> tuple[str, ...]:
    """Returns: what the user must know of it."""
    stated = next((t for each in order.spec.inputs if (t := getattr(each, "tokenizer", ""))), None)
    try:
        shutil.copyfile(find_tokenizer(order.model, stated), folder / TOKENIZER)
    except SampleError:
        return (
            f"The bundle holds no {TOKENIZER}: put the model's beside it to give sentences, else arrays.",
        )
    return ()


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle on this machine, and on emulated arm64. See ``Target.check``."""
    return (here(order, folder, tell), *emulated(order, folder, tell))
