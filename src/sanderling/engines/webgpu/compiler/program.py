"""The program: pure data that an executor runs, in Python or in a browser (``runner.js``).

A program is saved as a folder: ``program.json`` (everything but the constants, WGSL included) and
``weights.bin`` (the constant buffers, one after the other).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.webgpu.compiler.memory import Layout
from sanderling.engines.webgpu.compiler.plan import BYTES, UNIFORM_BYTES, Binding, Plan
from sanderling.engines.webgpu.compiler.wgsl import shader
from sanderling.errors import FormatError
from sanderling.graph.types import Array, DType
from sanderling.ops.kernel import Limits

Soon = Callable[[Sequence[tuple[str, tuple[str, ...]]]], None]
FORMAT = 2
# WebGPU's name of a feature → what is in the text of every shader that needs it.
FEATURES = {"shader-f16": "enable f16;", "subgroups": "quadBroadcast"}
MAX_JSON = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Slot:
    """A range of a buffer that holds one value.

    Attributes:
        value: which; two slots of one value are the same range.
        buffer: position among the program's buffers.
        offset, size: bytes; the offset is a multiple of 256.
        writes: the dispatch writes it.
        constant: it lies in a buffer of constants.
        uniform: such a one that is bound as a uniform buffer.
    """

    value: int
    buffer: int
    offset: int
    size: int
    writes: bool = False
    constant: bool = False
    uniform: bool = False

    @property
    def binding(self) -> str:
        """WebGPU's name for how it is bound."""
        if self.uniform:
            return "uniform"
        return "read-only-storage" if self.constant else "storage"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One kernel call.

    Attributes:
        shader: position among the program's shaders.
        groups: workgroups in x, y and z.
        uniforms: content of binding 0, 32-bit words.
        slots: bindings 1, 2, …
        label: for people: the kernel.
        nodes: the graph's nodes that it computes, by position.
        partial: it writes only a part of its value.
    """

    shader: int
    groups: tuple[int, int, int]
    uniforms: tuple[int, ...]
    slots: tuple[Slot, ...]
    label: str = ""
    nodes: tuple[int, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: the bytes of a C-ordered array of this dtype and shape at the slot's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    slot: Slot

    @property
    def numpy(self) -> np.dtype[np.generic]:
        return DType(self.dtype).numpy


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """All that is needed to run a graph.

    Attributes:
        shaders: WGSL texts, each different, entry point ``main``.
        dispatches: in order.
        buffers: sizes in bytes: first the arenas, then the buffers of constants.
        arenas: number of arenas.
        inputs, outputs: the ports.
        weights: the content of the constant buffers, one after the other, uint8.
        requires: limits that the device must offer.
        features: names of ``FEATURES`` that it must have.
    """

    shaders: tuple[str, ...]
    dispatches: tuple[Dispatch, ...]
    buffers: tuple[int, ...]
    arenas: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: Array = field(repr=False)
    requires: Mapping[str, int]
    features: tuple[str, ...] = ()

    def kernels(self) -> list[tuple[str, tuple[str, ...]]]:
        """Returns: text and bindings of every dispatch."""
        return [(self.shaders[d.shader], tuple(s.binding for s in d.slots)) for d in self.dispatches]

    @property
    def arena_bytes(self) -> int:
        """Bytes of all arenas."""
        return sum(self.buffers[: self.arenas])


def build(plan: Plan, layout: Layout, limits: Limits, *, soon: Soon | None = None) -> Program:
    """Turns a placed plan into a program.

    Args:
        plan, layout: what to run, and where its values lie.
        limits: what kernels may ask for.
        soon: is told of every kernel as soon as its text is written.

    Raises:
        KernelError: a kernel's text is wrong.
    """
    texts: dict[str, int] = {}
    dispatches = []
    for call in plan.calls:
        made = shader(plan, call, f16=limits.f16, alike=limits.software)
        slots = tuple(
            _slot(plan, layout, value, writes=position == made.written)
            for position, value in enumerate(made.values)
        )
        if soon is not None and made.text not in texts:
            soon([(made.text, tuple(slot.binding for slot in slots))])
        number = texts.setdefault(made.text, len(texts))
        groups = workgroups(call.threads, call.workgroup, cooperative=call.cooperative)
        dispatches.append(
            Dispatch(number, groups, made.uniforms, slots, call.label, call.nodes, call.partial)
        )
    return Program(
        tuple(texts), tuple(dispatches), layout.buffers, layout.arenas,
        _ports(plan, layout, plan.inputs), _ports(plan, layout, plan.outputs),
        _weights(plan, layout), _requires(plan, layout, dispatches, tuple(texts), limits),
        _features(tuple(texts)),
    )  # fmt: skip


def _requires(
    plan: Plan, layout: Layout, dispatches: Sequence[Dispatch], texts: Sequence[str], limits: Limits
) -> dict[str, int]:
    """Returns: the least that a device must offer for these dispatches."""
    sizes = [slot.size for d in dispatches for slot in d.slots]
    groups = [call.workgroup for call in plan.calls]
    shared = any("var<workgroup>" in text for text in texts)
    return {
        "max_storage_buffers_per_shader_stage": max((len(d.slots) for d in dispatches), default=1),
        "max_compute_invocations_per_workgroup": max(map(prod, groups), default=1),
        "max_compute_workgroup_size_x": max((x for x, _, _ in groups), default=1),
        "max_compute_workgroup_size_y": max((y for _, y, _ in groups), default=1),
        "max_compute_workgroup_size_z": max((z for _, _, z in groups), default=1),
        "max_compute_workgroup_storage_size": limits.workgroup_bytes if shared else 0,
        "max_storage_buffer_binding_size": max(sizes, default=4),
        "max_buffer_size": max(layout.buffers, default=4),
        "max_uniform_buffer_binding_size": UNIFORM_BYTES,
    }


def _features(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, word in FEATURES.items() if any(word in text for text in texts))


def workgroups(
    threads: Sequence[int], workgroup: tuple[int, int, int], *, cooperative: bool, most: int = 65535
) -> tuple[int, int, int]:
    """Returns: the number of workgroups that cover the threads, in a row; one too long for one dimension is
    folded into two (the prelude unfolds it)."""
    if cooperative:
        x, y, z = (*threads, 1, 1)[:3]
        return x, y, z
    count = -(-prod(threads) // workgroup[0])
    rows = -(-count // most)
    return -(-count // rows), rows, 1


def _slot(plan: Plan, layout: Layout, value: int, *, writes: bool = False) -> Slot:
    found = layout.ranges[value]
    held = plan.values[value]
    constant = held.constant is not None
    return Slot(value, found.buffer, found.offset, found.size, writes, constant, held.uniform)


def _ports(plan: Plan, layout: Layout, bindings: Sequence[Binding]) -> tuple[Port, ...]:
    return tuple(
        Port(b.name, b.type.dtype.value, b.type.shape, _slot(plan, layout, b.value)) for b in bindings
    )


def _weights(plan: Plan, layout: Layout) -> Array:
    """Returns: the constant buffers' bytes."""
    starts, total = {}, 0
    for number in range(layout.arenas, len(layout.buffers)):
        starts[number] = total
        total += layout.buffers[number]
    raw = np.zeros(total, np.uint8)
    for value, place in layout.ranges.items():
        if place.buffer in starts:
            held = plan.values[value]
            assert held.constant is not None
            data = encode(held.constant, held.storage.name)
            start = starts[place.buffer] + place.offset
            raw[start : start + data.size] = data
    return raw


def encode(values: Array, storage: str) -> Array:
    """Returns: the bytes of constants in a storage, uint8."""
    if storage == "i4":
        pairs = values.astype(np.int16).reshape(-1, 2) & 15
        return (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8)
    kinds = {
        "f32": "<f4",
        "f16": "<f2",
        "i32": "<i4",
        "i8": "i1",
        "q8": "i1",
        "u8": "u1",
        "qu8": "u1",
        "bool": "u1",
        "i16": "<i2",
        "q16": "<i2",
        "i64": "<i8",
    }
    assert BYTES[storage]
    if storage == "f16":
        values = values.clip(-65504, 65504)
    return np.ascontiguousarray(values, kinds[storage]).view(np.uint8).reshape(-1)


def save(program: Program, folder: Path, *, indent: int | None = 1) -> None:
    """Writes a program as ``program.json`` and ``weights.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.json").write_text(to_json(program, indent=indent), encoding="utf-8")
    program.weights.tofile(folder / "weights.bin")


def to_json(program: Program, *, indent: int | None = 1) -> str:
    """Returns: the program without its constants; for people, or without ``indent``, five times as fast,
    for machines."""
    value = {
        "format": FORMAT,
        "requires": dict(program.requires),
        "features": program.features,
        "buffers": program.buffers,
        "arenas": program.arenas,
        "weights_bytes": int(program.weights.size),
        "inputs": [_fields(port) for port in program.inputs],
        "outputs": [_fields(port) for port in program.outputs],
        "shaders": program.shaders,
        "dispatches": [
            {**_fields(dispatch), "slots": [_fields(slot) for slot in dispatch.slots]}
            for dispatch in program.dispatches
        ],
    }
    return json.dumps(value, indent=indent)


def _fields(part: Slot | Port | Dispatch) -> dict[str, Any]:
    """Returns: what ``dataclasses.asdict`` says, without its deep copies."""
    found = {name: getattr(part, name) for name in part.__slots__}
    return {name: _fields(value) if isinstance(value, Slot) else value for name, value in found.items()}


def load(folder: Path) -> Program:
    """Reads a program back. ``validate`` it before it is run.

    Raises:
        FormatError: a file is missing or is no program of this version.
    """
    try:
        path = folder / "program.json"
        if path.stat().st_size > MAX_JSON:
            raise FormatError(f"is larger than {MAX_JSON} bytes", where=str(path))
        value = json.loads(path.read_text(encoding="utf-8"))
        weights = np.fromfile(folder / "weights.bin", np.uint8)
        return _program(value, weights)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=str(folder)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(
            f"is no program ({error!r})", where=str(folder), hint="save it again with this version"
        ) from None


def _program(value: Mapping[str, Any], weights: Array) -> Program:
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']}, expected {FORMAT}")
    dispatches = tuple(
        Dispatch(
            **{
                **d, "groups": _three(d["groups"]), "uniforms": tuple(map(int, d["uniforms"])),
                "slots": tuple(Slot(**s) for s in d["slots"]), "nodes": tuple(d["nodes"]),
            }
        )
        for d in value["dispatches"]
    )  # fmt: skip

    def ports(name: str) -> tuple[Port, ...]:
        return tuple(
            Port(str(p["name"]), DType(p["dtype"]).value, tuple(map(int, p["shape"])), Slot(**p["slot"]))
            for p in value[name]
        )

    return Program(
        tuple(map(str, value["shaders"])), dispatches, tuple(map(int, value["buffers"])),
        int(value["arenas"]), ports("inputs"), ports("outputs"), weights, dict(value["requires"]),
        tuple(map(str, value["features"])),
    )  # fmt: skip


def _three(numbers: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = map(int, numbers)
    return x, y, z
