"""Writes the bundle: the model for the NPU, the one it was made from, and what Vela estimates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sanderling import files
from sanderling.deploy.answering import answered
from sanderling.deploy.bundle import save_examples
from sanderling.deploy.ethos_u.refusal import setup_of
from sanderling.deploy.order import Order
from sanderling.deploy.target import Built, Check, Figure, Tell
from sanderling.deploy.tolerance import worst
from sanderling.engines.registry import find
from sanderling.engines.tflite_micro.operators import supported
from sanderling.errors import DeployError
from sanderling.measure import vela
from sanderling.measure.vela import Compiled

MODEL, COMPILED, LAYERS = "model.tflite", "model_vela.tflite", "per-layer.csv"
_MICRO = "TFLite Micro's interpreter (model.tflite, which has the same arithmetic)"


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``."""
    setup = setup_of(order)
    tell(f"Vela compiles for {setup.npu}", 0, 0)
    made = vela.compile_for(order.model, setup)
    if not made.on_npu:
        first = made.placed[0]
        raise DeployError(
            f"Vela leaves every operator to the processor: {first.kind}: {first.reason}",
            where=order.file.name,
        )
    shutil.copyfile(order.file, folder / MODEL)
    (folder / COMPILED).write_bytes(made.content)
    files.write_text(folder / LAYERS, made.layers)
    save_examples(order, folder / "examples.npz")
    rows = tuple(
        {"operator": row.name, "kind": row.kind, "on": row.on, "reason": row.reason} for row in made.placed
    )
    return Built(
        figures=_figures(made),
        notes=tuple(_notes(order, made)),
        placed=rows,
        more={"vela": _told(order, made)},
    )


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle as far as it can be here. See ``Target.check``."""
    npu = Check("an Ethos-U", reason="there is none here, nor a simulator of one")
    return (_in_micro(order, folder, tell), npu)


def _in_micro(order: Order, folder: Path, tell: Tell) -> Check:
    """Returns: what came of the original in TFLite Micro, whose arithmetic Arm's NPUs repeat bit for bit."""
    engine = find("tflite_micro")
    ready = engine.available()
    lacking = [verdict.reason for verdict in engine.supports(order.model) if not verdict]
    if not ready or lacking:
        return Check(_MICRO, reason=lacking[0] if ready else ready.reason)
    tell("answering the examples in TFLite Micro", 0, 0)
    feeds = [example.feeds for example in order.examples]
    answers = answered(engine.load(folder / MODEL, order.model), feeds)
    off, output = worst(answers, [example.outputs for example in order.examples], order.tolerance)
    return Check(_MICRO, len(answers), off, output)


def _figures(made: Compiled) -> tuple[Figure, ...]:
    where = f"Vela {made.version} for {made.setup.npu}, {made.setup.system}, {made.setup.memory}"
    share = "" if made.on_npu == len(made.placed) else " (of the NPU's part alone)"
    figures = [
        ("operators on the NPU", made.on_npu, f"of {len(made.placed)}"),
        (f"NPU cycles{share}", made.cycles, ""),
        (f"time of a call{share}", made.ms, f"ms at {made.clock_hz / 1e6:g} MHz"),
        *((f"memory: {kind}", size, "bytes") for kind, size in made.memory_bytes.items()),
    ]
    return tuple(Figure(what, value, unit, where, estimated=True) for what, value, unit in figures)


def _notes(order: Order, made: Compiled) -> Iterator[str]:
    yield (
        f"cycles, times and memory are Vela's estimates for {made.setup.system} and {made.setup.memory}; "
        "nothing was measured on an NPU"
    )
    if order.detector is not None:
        found = order.detector.file.name
        yield f"the model sees what a detector finds ({found}), which is not in this bundle"
    graph = order.model.main
    lacking = dict.fromkeys(
        verdict.reason
        for row in made.placed
        if row.on == vela.CPU and not (verdict := supported(graph, graph.nodes[row.position]))
    )
    if lacking:
        yield "operators that are left to the processor do not run in TFLite Micro: " + "; ".join(lacking)


def _told(order: Order, made: Compiled) -> dict[str, object]:
    """Returns: for what it was compiled, and what the program around it has to register."""
    kinds = sorted({row.kind for row in made.placed if row.on == vela.CPU})
    return {
        "version": made.version,
        "npu": made.setup.npu,
        "system_config": made.setup.system,
        "memory_mode": made.setup.memory,
        "clock_hz": made.clock_hz,
        "macs": made.macs,
        "operators_beside": kinds,
    }
