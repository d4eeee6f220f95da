"""Writes the bundle: QDQ ONNX, the same compiled, and run.py; and tries it on Qualcomm's emulator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from sanderling.deploy.bundle import save_examples, task_json
from sanderling.deploy.ends import ends_of
from sanderling.deploy.hexagon import compiling, environment
from sanderling.deploy.hexagon.choices import Choices
from sanderling.deploy.hexagon.compiling import Placement
from sanderling.deploy.integers import open_sizes, refusal
from sanderling.deploy.order import Order
from sanderling.deploy.parts import copy_modules
from sanderling.deploy.target import Built, Check, Figure, Tell
from sanderling.deploy.tokenizer import copy_tokenizer
from sanderling.deploy.tried import self_tested
from sanderling.engines.isolated import keeps_state
from sanderling.errors import DeployError, MissingExtra, ModelError
from sanderling.graph.graph import Model
from sanderling.graph.numbered import settled
from sanderling.onnx.write import export
from sanderling.onnx.write.refusals import refusals
from sanderling.passes import run

MODEL, CONTEXT = "model.onnx", "model_ctx.onnx"
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")
STORED = 3  # examples that the bundle holds; it is tried on all of them
_PACKAGE = "sanderling.deploy.hexagon"
_NEEDED = (
    "sanderling.pipeline.pipeline", "sanderling.pipeline.answered", "sanderling.tasks.answers.*",
    "sanderling.tasks.inputs.*", "sanderling.samples.features.*", "sanderling.deploy.program",
    "sanderling.deploy.ends",
)  # fmt: skip


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can.

    Raises:
        MissingExtra: ``onnx`` is not installed.
        UsageError: a setting has a wrong value.
    """
    choices = Choices.of(order.options)
    if find_spec("onnx") is None:
        raise MissingExtra("writing ONNX for the Hexagon", "onnx")
    if order.spec.name == "custom":
        return "its task is a function of your own, which a bundle cannot carry: leave --task out"
    if keeps_state(order.model):
        return "it keeps a state from call to call, and the programs of this target do not"
    if why := open_sizes(order.model, "a Hexagon"):
        return why
    if not choices.of_chip.floats and (why := refusal(order.model, "", f"a {choices.told}")):
        return why
    model = _exported(order.model)
    for node, reason in zip(model.main.nodes, refusals(model), strict=True):
        if reason:
            return f"{node.kind} cannot be written as ONNX: {reason}"
    return ""


def _exported(model: Model) -> Model:
    """Returns: the model as it is written: of settled sizes, its composites as what they stand for."""
    return run(settled(model), ("inline_composites",))[0]


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``."""
    choices = Choices.of(order.options)
    model = _exported(order.model)
    try:
        (folder / MODEL).write_bytes(export(model))
    except ModelError as error:
        raise DeployError(error.what, where=order.file.name) from None
    placed, notes = None, list(_notes(order))
    reason = _untried(choices)
    if reason:
        notes.append(f"not compiled for the Hexagon, and which operators it takes is not known: {reason}")
    else:
        python = environment.python(tell)
        tell(f"QNN compiles for {choices.told}", 0, 0)
        placed = compiling.place(python, model, choices)
        if not placed.on_htp:
            raise DeployError(
                f"QNN takes no operator of the model: {placed.rows[0]['reason']}", where=order.file.name
            )
        compiling.make_context(python, folder / MODEL, choices, folder / CONTEXT)
    more = {"graph": ends_of(model), "hexagon": _told(order.model, placed, choices), "threads": order.threads}
    if order.detector is not None:
        more["detector"] = _detector(order, folder)
        notes.append("the detector that finds what the model is to see runs on the CPU")
    save_examples(order, folder / "examples.npz", most=STORED)
    own = resources(_PACKAGE) / "files"
    for name in ("run.py", environment.REQUIREMENTS):
        (folder / name).write_bytes((own / name).read_bytes())
    copy_modules(_NEEDED, folder / "lib")
    notes += copy_tokenizer(order, folder)
    return Built(
        figures=() if placed is None else (_figure(placed, choices),),
        notes=tuple(notes),
        placed=() if placed is None else placed.rows,
        start="python run.py --self-test",
        more=more,
    )


def _detector(order: Order, folder: Path) -> dict[str, object]:
    """Writes the detector. Returns: its part of ``bundle.json``."""
    assert order.detector is not None
    model = _exported(order.detector.model)
    try:
        (folder / "detector.onnx").write_bytes(export(model))
    except ModelError as error:
        raise DeployError(f"the detector: {error.what}", where=order.detector.file.name) from None
    return {"task": task_json(order.detector.spec), "graph": ends_of(model)}


def _untried(choices: Choices) -> str:
    """Returns: why there is no emulator, "" where there is."""
    return (
        "it was not asked for (--set emulator=none)" if choices.emulator == "none" else environment.why_none()
    )


def _notes(order: Order) -> Iterator[str]:
    if _has_floats(order.model):
        yield "parts of the model are in floating point, which a Hexagon computes in float16"
    yield "Qualcomm's emulator stands for the Hexagon's arithmetic; it says nothing of its speed"


def _has_floats(model: Model) -> bool:
    """Returns: whether some operator, conversions aside, gives floats."""
    graph = model.main
    made = (graph.tensors[i] for n in graph.nodes if n.kind not in _CONVERSIONS for i in n.outputs)
    return any(tensor.dtype.is_float for tensor in made)


def _figure(placed: Placement, choices: Choices) -> Figure:
    where = f"onnxruntime-qnn {placed.versions['onnxruntime-qnn']} for {choices.told}"
    return Figure("operators on the Hexagon", placed.on_htp, f"of {len(placed.rows)}", where)


def _told(model: Model, placed: Placement | None, choices: Choices) -> dict[str, object]:
    context = CONTEXT if placed is not None else None
    return {
        "chip": choices.chip,
        "soc_model": choices.of_chip.number,
        "told": choices.told,
        "floats": _has_floats(model),
        "context": context,
        "versions": {"onnx": version("onnx"), **({} if placed is None else placed.versions)},
    }


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle on Qualcomm's emulator, and on the CPU. See ``Target.check``."""
    choices = Choices.of(order.options)
    cpu, htp = "ONNX Runtime's CPU provider", f"Qualcomm's emulator of {choices.told}"
    snapdragon = Check("a Snapdragon", reason="there is none here")
    reason = _untried(choices)
    with TemporaryDirectory(prefix="sanderling-hexagon-") as name:
        examples = Path(name) / "examples.npz"
        save_examples(order, examples)
        tests = ["--self-test", str(examples)]
        if reason:
            tell("answering the examples on the CPU", 0, 0)
            if find_spec("onnxruntime") is None:
                first = Check(cpu, reason="onnxruntime is not installed")
            else:
                first = self_tested(cpu, [sys.executable, "-P"], folder, [*tests, "--device", "cpu"])
            return first, Check(htp, reason=reason), snapdragon
        python = [str(environment.python(tell)), "-P"]
        tell("answering the examples on the CPU", 0, 0)
        first = self_tested(cpu, python, folder, [*tests, "--device", "cpu"])
        tell(f"answering {len(order.examples)} examples on the emulator", 0, 0)
        second = self_tested(htp, python, folder, [*tests, "--device", "htp"])
        third = self_tested(f"{htp}, out of the context binary", python, folder, ["--self-test", "--context"])
    return first, second, third, snapdragon
