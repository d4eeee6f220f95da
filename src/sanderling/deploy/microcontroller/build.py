"""Writes the bundle: the model as an array, its operators, its arena, and a self-test with stored answers."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

from sanderling import files
from sanderling.compress.sparsity.look_up_tables import with_look_up_tables
from sanderling.deploy.microcontroller import source
from sanderling.deploy.microcontroller.answers import Answers, of_reference, of_tflite_micro, steps_apart
from sanderling.deploy.microcontroller.operators import by_channel, registrations, variables
from sanderling.deploy.microcontroller.refuse import tables
from sanderling.deploy.order import Order
from sanderling.deploy.target import Built, Figure, Tell
from sanderling.deploy.text import render
from sanderling.engines.registry import find
from sanderling.errors import DeployError, MissingExtra, ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.measure import arena
from sanderling.runtime.loading import read_model
from sanderling.tflite import write

_PACKAGE = "sanderling.deploy.microcontroller"
# Of the arena, what optimized kernels and other compilers' alignment may take beyond what was measured here.
_HEADROOM_SHARE, _HEADROOM_LEAST, _ROUND = 16, 512, 256


@dataclass(frozen=True, slots=True)
class Flashed:
    """What goes into flash.

    Attributes:
        data: the bytes of the ``.tflite``.
        model: what is in them.
        packed: how many weights are tables.
        arena: that TFLite Micro needs.
        answers: per example, the outputs by name, as TFLite Micro gives them.
    """

    data: bytes
    model: Model
    packed: int
    arena: arena.Arena
    answers: Answers

    @property
    def arena_bytes(self) -> int:
        """What the program sets aside: what is needed and some headroom, in whole ``_ROUND`` bytes."""
        wanted = self.arena.least + max(self.arena.least // _HEADROOM_SHARE, _HEADROOM_LEAST)
        return -(-wanted // _ROUND) * _ROUND


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the bundle. See ``Target.build``.

    Raises:
        DeployError: TFLite Micro does not run the model.
        MissingExtra: TFLite Micro is not installed.
    """
    if not find("tflite_micro").available():
        raise MissingExtra("building for a microcontroller", "micro")
    tell("running the examples in TFLite Micro", 0, 0)
    flashed = _flashed(order)
    space = f"{order.name}_model"
    graph, methods = flashed.model.main, registrations(flashed.model)
    known = {
        "order": order, "space": space, "flash": len(flashed.data), "arena": flashed.arena,
        "arena_bytes": flashed.arena_bytes, "headroom": flashed.arena_bytes - flashed.arena.least,
        "sha256": hashlib.sha256(flashed.data).hexdigest(), "variables": variables(flashed.model),
        "registrations": methods, "count": len(order.examples),
        "inputs": source.ports(flashed.model, order.model.input_names(), graph.inputs),
        "outputs": source.ports(flashed.model, order.model.output_names(), graph.outputs),
    }  # fmt: skip
    for name in ("model.h", "operators.h", "examples.h"):
        files.write_text(folder / name, render(_PACKAGE, f"{name}.j2", **known))
    files.write_text(folder / "model.cc", _model_source(space, flashed.data))
    files.write_text(folder / "examples.cc", _examples_source(order, flashed.answers))
    own = resources(_PACKAGE) / "files"
    for name in ("main.cc", "CMakeLists.txt"):
        (folder / name).write_bytes((own / name).read_bytes())
    return _built(order, flashed, methods)


def _built(order: Order, flashed: Flashed, methods: Mapping[str, str]) -> Built:
    where = "TFLite Micro's allocator, with 64-bit pointers: a 32-bit processor takes less"
    stored = [*(e.feeds for e in order.examples), *flashed.answers]
    return Built(
        figures=(
            Figure("flash of the model", len(flashed.data), "bytes", "model.cc, without TFLite Micro's code"),
            Figure("arena, recorded", flashed.arena.recorded, "bytes", where),
            Figure("arena, to start with", flashed.arena.least, "bytes", where),
        ),
        notes=_notes(order, flashed),
        start="cmake -S . -B build -DTFLITE_MICRO=/path/to/tree && cmake --build build && build/self_test",
        more={
            "microcontroller": {
                "flash_bytes": len(flashed.data),
                "arena_bytes": flashed.arena_bytes,
                "arena_recorded_bytes": flashed.arena.recorded,
                "arena_least_bytes": flashed.arena.least,
                "examples_bytes": sum(array.nbytes for values in stored for array in values.values()),
                "operators": sorted(methods),
                "variables": variables(flashed.model),
                "look_up_tables": flashed.packed,
                "tflite_micro": find("tflite_micro").version(),
            }
        },
    )


def _notes(order: Order, flashed: Flashed) -> tuple[str, ...]:
    notes = []
    if reference := of_reference(order):
        steps = steps_apart(flashed.answers, reference)
        notes.append(
            f"its answers differ from those of LiteRT's reference kernels by up to {steps:g} steps"
            if steps
            else "its answers are those of LiteRT's reference kernels, bit for bit"
        )
    if tables(order):
        notes.append(
            f"{flashed.packed} weights are tables, which TFLite Micro unpacks into the arena"
            if flashed.packed
            else "no weights have so few values that tables would be smaller: the model is as it was"
        )
    if by_channel(flashed.model):
        notes.append(
            "its FULLY_CONNECTED weights have a scale for each channel, which older versions of TFLite Micro "
            "compute wrong: the self-test shows it"
        )
    if order.detector is not None:
        notes.append("the model sees what a detector found, and the detector is not in this folder")
    return tuple(notes)


def _flashed(order: Order) -> Flashed:
    """Returns: what goes into flash, run and measured in TFLite Micro.

    Raises:
        DeployError: TFLite Micro does not run it.
    """
    with tempfile.TemporaryDirectory(prefix="sanderling-") as place:
        file, packed = order.file, 0
        if tables(order):
            model, packed = with_look_up_tables(order.model)
            if packed:
                file = Path(place) / "model.tflite"
                write(model, file)
        model = read_model(file)
        try:
            answers = of_tflite_micro(file, model, order)
            return Flashed(file.read_bytes(), model, packed, arena.measure(file), answers)
        except (ModelError, RunError) as error:
            raise DeployError(error.what, where=order.file.name) from None


def _model_source(space: str, data: bytes) -> str:
    return (
        f'#include "model.h"\n\nnamespace {space} {{\n\n'
        f"alignas(16) const unsigned char kModel[] = {{\n{source.byte_lines(data)}\n}};\n\n"
        f"}}  // namespace {space}\n"
    )


def _examples_source(order: Order, answers: Answers) -> str:
    """Returns: the stored inputs and answers, an array each, and tables of them."""
    graph = order.model.main
    sides = (
        ("kGiven", order.model.input_names(), graph.inputs, [e.feeds for e in order.examples]),
        ("kAnswers", order.model.output_names(), graph.outputs, answers),
    )
    arrays, listed = [], []
    for table, names, indices, values in sides:
        rows = []
        for number, each in enumerate(values):
            row = []
            for port, (name, index) in enumerate(zip(names, indices, strict=True)):
                element = source.element(graph.tensors[index].dtype, name)
                array = f"{table}{number}_{port}"
                lines = source.number_lines(each[name])
                arrays.append(f"alignas(16) const std::{element} {array}[] = {{\n{lines}\n}};\n")
                row.append(array)
            rows.append(f"    {{{', '.join(row)}}},")
        bound = "kInputCount" if table == "kGiven" else "kOutputCount"
        body = "\n".join(rows)
        listed.append(f"const void* const {table}[kCount][model::{bound}] = {{\n{body}\n}};\n")
    inner = "\n".join(arrays)
    return (
        f'#include "examples.h"\n\nnamespace examples {{\nnamespace {{\n\n{inner}\n}}  // namespace\n\n'
        + "\n".join(listed)
        + "\n}  // namespace examples\n"
    )
