"""Writes the bundle: the network as OpenVINO's IR, and run.py."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from sanderling.deploy.bundle import save_examples, task_json
from sanderling.deploy.ends import ends_of, port
from sanderling.deploy.openvino.convert import Converted, convert, lowered
from sanderling.deploy.openvino.pixels import Inside, inside, pixels, prepare, resized_off
from sanderling.deploy.order import Order
from sanderling.deploy.parts import copy_modules
from sanderling.deploy.target import Built, Check, Tell
from sanderling.deploy.tokenizer import copy_tokenizer
from sanderling.deploy.tried import self_tested
from sanderling.engines.openvino import library
from sanderling.engines.registry import find
from sanderling.errors import DeployError, MissingExtra
from sanderling.graph.types import Array
from sanderling.tasks.spec import TaskSpec

_PACKAGE = "sanderling.deploy.openvino"
_NEEDED = (
    "sanderling.pipeline.pipeline", "sanderling.pipeline.answered", "sanderling.tasks.answers.*",
    "sanderling.tasks.inputs.*", "sanderling.samples.features.*", "sanderling.deploy.program",
    "sanderling.deploy.ends",
)  # fmt: skip


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can.

    Raises:
        MissingExtra: OpenVINO is not installed.
    """
    if order.spec.name == "custom":
        return "its task is a function of your own, which a bundle cannot carry: leave --task out"
    engine = find("openvino")
    if not engine.available():
        raise MissingExtra("deploying to OpenVINO", "openvino")
    model = lowered(order.model)
    for node, verdict in zip(model.main.nodes, engine.supports(model), strict=True):
        if not verdict:
            return verdict.reason if node.kind in verdict.reason else f"{node.kind}: {verdict.reason}"
    return ""


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``."""
    tell("OpenVINO reads the model", 0, 0)
    found, reason = inside(order)
    converted = convert(order.model)
    try:
        _save(prepare(converted.network, found), folder / "model.xml")
    finally:
        converted.close()
    more: dict[str, Any] = {
        "task": task_json(_outside(order.spec, found)),
        "threads": order.threads,
        "graph": _graph(order, found, converted),
    }
    if order.detector is not None:
        more["detector"] = _detector(order, folder)
    save_examples(
        order, folder / "examples.npz", [_feeds(order, found, n) for n in range(len(order.examples))]
    )
    own = resources(_PACKAGE) / "files"
    for name in ("run.py", "requirements.txt"):
        (folder / name).write_bytes((own / name).read_bytes())
    copy_modules(_NEEDED, folder / "lib")
    notes = (*((reason,) if reason else ()), *copy_tokenizer(order, folder))
    return Built(notes=notes, start="python run.py --self-test", more=more)


def _detector(order: Order, folder: Path) -> dict[str, Any]:
    """Writes the detector as it is: run.py prepares its pictures. Returns: its part of ``bundle.json``."""
    assert order.detector is not None
    detector = order.detector
    bare = replace(order, model=detector.model)
    converted = convert(detector.model)
    try:
        _save(converted.network, folder / "detector.xml")
    finally:
        converted.close()
    return {"task": task_json(detector.spec), "graph": _graph(bare, (), converted)}


def _save(network: Any, file: Path) -> None:
    try:
        library.load().save_model(network, str(file), compress_to_fp16=False)
    except RuntimeError as error:
        raise DeployError(f"OpenVINO cannot write the model: {library.cause(error)}") from None


def _outside(spec: TaskSpec, found: Sequence[Inside]) -> TaskSpec:
    """Returns: the task as run.py sees it: what is done in the network is no longer to be done before."""
    settings = list(spec.inputs)
    for one in found:
        settings[one.position] = one.outside
    return replace(spec, inputs=tuple(settings))


def _graph(order: Order, found: Sequence[Inside], converted: Converted) -> dict[str, Any]:
    """Returns: inputs and outputs of the IR, in the model's order."""
    own = ends_of(order.model)
    for one in found:
        spec = one.taken
        own["inputs"][one.position] = port(spec.name, spec.dtype, spec.shape, None)
    for end, source in zip(own["outputs"], converted.source, strict=True):
        end["from"] = source
    return {**own, "any_size": [one.position for one in found if one.resizes]}


def _feeds(order: Order, found: Sequence[Inside], number: int) -> Mapping[str, Array]:
    """Returns: what an example is fed to the IR."""
    example = order.examples[number]
    fed = dict(example.feeds)
    for one in found:
        values = pixels(one, example)
        assert values is not None  # else it would not be among them
        fed[one.spec.name] = values
    return fed


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle on this machine's CPU. See ``Target.check``."""
    tell("the bundle tests itself on this machine", 0, 0)
    where = f"OpenVINO's CPU plugin here ({platform.machine()}), in float32"
    first = self_tested(where, [sys.executable, "-P"], folder)
    others = Check("an Intel GPU or NPU", reason="run.py --self-test --device GPU tries one where it is")
    return (first, *_own_sizes(order), others)


def _own_sizes(order: Order) -> Iterator[Check]:
    """Yields: how near the pictures that the network brings to its size are to Pillow's."""
    for one in (each for each in inside(order)[0] if each.resizes):
        shown = [e for e in order.examples if hasattr(e.given.get(one.spec.name), "getbands")]
        if shown:
            off = max(resized_off(one, example) for example in shown)
            where = f"OpenVINO's own resizing for {one.spec.name!r}, where one of 256 steps is allowed"
            yield Check(where, len(shown), off, one.spec.name)
