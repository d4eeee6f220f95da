"""Call → WGSL and its uniforms: the prelude that lets a body know neither element types nor fused steps.

What a body may use is described in ``docs/guide/gpu-kernels.md``. The text depends on element types, on how
the operands of steps broadcast, and on whether the last axis is a multiple of 4; never on sizes, which are
uniforms: one pipeline serves every shape.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from math import prod

from sanderling.engines.webgpu.compiler import elements
from sanderling.engines.webgpu.compiler.elements import HALF, SCALAR, VECTOR
from sanderling.engines.webgpu.compiler.plan import (
    KINDS,
    UNIFORM_BYTES,
    WHOLE,
    Applied,
    Call,
    Constants,
    FlowRef,
    Plan,
    Storage,
    Table,
    View,
)
from sanderling.engines.webgpu.compiler.pool import TABLE
from sanderling.engines.webgpu.compiler.template import expand
from sanderling.ops.kernel import Kind, Shape

_ENTRY = {
    "flat": """fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>
) {{
  let i = id.x + id.y * groups.x * {width}u;
  if (i < u.grid.x) {{ kernel(i); }}
}}""",
    "box": """fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>
) {{
  let i = id.x + id.y * groups.x * {width}u;
  let row = i / u.grid.x;
  if (row < u.grid.y * u.grid.z) {{ kernel(vec3<u32>(i % u.grid.x, row % u.grid.y, row / u.grid.y)); }}
}}""",
    "cooperative": """fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>
) {{
  kernel(group, local);
}}""",
}  # fmt: skip
_SCALARS = ("f32", "i32")
_DIMS = "struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }"


@dataclass(frozen=True, slots=True)
class Shader:
    """A kernel's text and what to bind.

    Attributes:
        text: WGSL, entry point ``main``; binding 0 is the uniforms, then come ``values`` in order.
        uniforms: their content, as 32-bit words.
        values: what the storage bindings hold.
        written: which of them is written.
    """

    text: str
    uniforms: tuple[int, ...]
    values: tuple[int, ...]
    written: int


def dims(shape: Shape) -> tuple[int, int, int, int, int]:
    """Returns: a shape as (d, n, h, w, c), ones in front."""
    padded = (1,) * (5 - len(shape)) + tuple(shape)
    return padded[0], padded[1], padded[2], padded[3], padded[4]


@cache
def body_text(body: str) -> str:
    """Returns: the WGSL of a body: itself, or the file of that stem among the operators."""
    if "\n" in body:
        return body
    return (resources.files("sanderling.ops") / f"{body}.wgsl").read_text(encoding="utf-8")


@cache
def _expanded(body: str, constants: tuple[tuple[str, int], ...], where: str) -> str:
    """Returns: a body with its blocks written out."""
    return expand(body_text(body), dict(constants), where=where).rstrip()


@cache
def _used(body: str, constants: tuple[tuple[str, int], ...], where: str, name: str) -> frozenset[str]:
    """Returns: the functions ``name_…`` that a body calls."""
    return frozenset(re.findall(rf"\b{name}_(\w+)\(", _expanded(body, constants, where)))


@dataclass(slots=True)
class _Writer:
    """A shader while it is being written."""

    plan: Plan
    call: Call
    f16: bool  # the device has shader-f16
    alike: bool  # see ``shader``
    buffers: dict[int, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    large: list[tuple[str, str, bytes]] = field(default_factory=list)  # Dims and vectors, 16-byte aligned
    small: list[tuple[str, str, bytes]] = field(default_factory=list)  # 32-bit scalars
    elements: dict[str, str] = field(default_factory=dict)  # of buffers that are read element by element
    channel: list[tuple[str, str]] = field(default_factory=list)  # of ``Channel``: field, how it is read

    def buffer(self, value: int) -> str:
        return self.buffers.setdefault(value, f"b{len(self.buffers)}")

    def dims(self, name: str, shape: Shape, storage: Storage) -> None:
        d, n, h, w, c = dims(shape)
        packed = struct.pack("<6I2f", d, n, h, w, c, -(-c // 4), storage.scale, storage.zero_point)
        self.large.append((name, "Dims", packed))

    def load(self, name: str, view: View) -> Kind:
        """Adds ``name_load4`` and ``u.name``."""
        storage = self.plan.values[view.value].storage
        self.dims(name, view.shape, storage)
        text = elements.load(storage.name, f16=self.f16).format(b=self.buffer(view.value), n=name)
        kind = storage.kind
        self.functions.append(f"fn {name}_load4(i: u32) -> {VECTOR[kind]} {{ {text} }}")
        return kind

    def convert(self, name: str, old: str, expression: str, vector: str) -> None:
        """Has ``name_load4`` give what ``expression`` makes of its result, and ``old`` be its former name."""
        self.functions.append(self.functions.pop().replace(f"{name}_load4", old))
        self.functions.append(f"fn {name}_load4(i: u32) -> {vector} {{ return {expression}; }}")


def shader(plan: Plan, call: Call, *, f16: bool = False, alike: bool = False) -> Shader:
    """Writes the WGSL of a call.

    Args:
        f16: the device has ``shader-f16``.
        alike: one text, whether the last axis is a multiple of 4 or not: the device compiles slowly.

    Raises:
        KernelError: the body's ``#for`` blocks are wrong.
    """
    writer = _Writer(plan, call, f16, alike)
    grid = (*call.threads, 1, 1)[:3]
    writer.large.append(("grid", "vec4<u32>", struct.pack("<4I", *grid, 0)))
    kinds = {name: _read(writer, name, view) for name, view in call.reads}
    stored = plan.values[call.write.value].storage
    kind: Kind = call.kind or kinds.get("x", stored.kind)
    _write(writer, stored, kind)
    for name, value in call.uniforms.items():
        code = struct.pack("<f", value) if isinstance(value, float) else struct.pack("<I", value % 2**32)
        writer.small.append((name, "f32" if isinstance(value, float) else "u32", code))
    text = _assemble(writer, kinds.get("x", kind), kind)
    raw = b"".join(data for _, _, data in (*writer.large, *writer.small))
    raw += bytes(-len(raw) % 16)
    words = struct.unpack(f"<{len(raw) // 4}I", raw)
    values = tuple(writer.buffers)
    return Shader(text, words, values, values.index(call.write.value))


def _read(writer: _Writer, name: str, view: View) -> Kind:
    """Adds the functions by which the body reads an operand."""
    storage = writer.plan.values[view.value].storage
    kind = writer.load(name, view)
    if writer.plan.values[view.value].constant is not None and name.startswith("w") and kind == "i":
        kind = "f"  # integer weights: whole numbers as floats
        writer.convert(name, f"{name}_whole4", f"vec4<f32>({name}_whole4(i))", "vec4<f32>")
    vector, scalar, b = VECTOR[kind], SCALAR[kind], writer.buffer(view.value)
    if writer.call.half and kind == "f" and name != TABLE:
        vector, scalar = HALF, "f16"
        down = f" / {WHOLE[storage.name]}.0" if storage.name in WHOLE else ""
        writer.convert(name, f"{name}_wide4", f"{HALF}({name}_wide4(i){down})", HALF)
    elif storage.name in _SCALARS and _lanes_only(writer, name, view):
        writer.elements[b] = scalar
        del writer.functions[-1]
        writer.functions.append(
            f"fn {name}_lane(row: u32, c: u32) -> {scalar} {{ return {b}[row * u.{name}.c4 * 4u + c]; }}"
        )
        return kind
    writer.functions += [
        f"fn {name}_at(n: u32, y: u32, x: u32, c4: u32) -> u32"
        f" {{ return ((n * u.{name}.h + y) * u.{name}.w + x) * u.{name}.c4 + c4; }}",
        f"fn {name}_load4_or0(ok: bool, i: u32) -> {vector}"
        f" {{ return select({vector}(), {name}_load4(select(0u, i, ok)), ok); }}",
        f"fn {name}_lane(row: u32, c: u32) -> {scalar}"
        f" {{ return {name}_load4(row * u.{name}.c4 + c / 4u)[c % 4u]; }}",
    ]
    if storage.name in ("q8", "qu8", "i8", "u8"):
        writer.functions.append(f"fn {name}_raw(i: u32) -> u32 {{ return {b}[i]; }}")
    return kind


def _lanes_only(writer: _Writer, name: str, view: View) -> bool:
    """Returns: whether single elements are all that is read of a value: then vec4 need not be loaded."""
    call = writer.call
    used = _used(call.body, tuple(call.constants.items()), f"{call.label}.wgsl", name)
    return used == {"lane"} and sum(v.value == view.value for v in call.views()) == 1


def _write(writer: _Writer, stored: Storage, kind: Kind) -> None:
    """Adds the functions by which the body writes: steps, mask and packing."""
    call, b = writer.call, writer.buffer(writer.call.write.value)
    writer.dims("y", call.write.shape, stored)
    kinds, lines = [kind], []
    for position, step in enumerate(call.steps):
        arguments, parameters = _arguments(writer, position, step, kinds)
        expression = step.expression if "return" in step.expression else f"return {step.expression};"
        first = parameters[0].split(": ")[1] if parameters else "vec4<f32>"
        expression = re.sub(r"\bT4\b", first, expression)
        head = f"fn step{position}({', '.join(parameters)}) -> {VECTOR[step.kind]}"
        writer.functions.append(f"{head} {{ {expression} }}")
        lines.append(f"  let v{position + 1} = step{position}({', '.join(arguments)});")
        kinds.append(step.kind)
    last, result = f"v{len(call.steps)}", VECTOR[stored.kind]
    if kinds[-1] != stored.kind:
        last = f"{result}({last})"
    if writer.alike or not call.write.shape or call.write.shape[-1] % 4:
        inside = "p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)"
        last = f"select({result}(), {last}, {inside})"
    read = elements.load(stored.name, f16=writer.f16).format(b=b, n="y")
    written = elements.store(stored.name, f16=writer.f16).format(b=b)
    writer.functions += [
        f"fn y_load4(i: u32) -> {result} {{ {read} }}",
        "fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32"
        " { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }",
        "fn y_coord(i: u32) -> vec4<u32> {\n  let row = i / u.y.c4;\n  let line = row / u.y.w;\n"
        "  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);\n}",
        f"fn y_write4(i: u32, v: {result}) {{ {written} }}",
        *_stores(writer.channel, VECTOR[kind], [*lines, f"  y_write4(i, {last});"]),
    ]


def _stores(channel: list[tuple[str, str]], vector: str, lines: list[str]) -> list[str]:
    """Returns: the functions that store, and the one that reads the steps' constants of a channel, which
    bodies with several pixels of a channel call once for all."""
    held = channel or [("none", "c4")]
    fields = ", ".join(f"{name}: {'vec4<f32>' if channel else 'u32'}" for name, _ in held)
    four = "n: u32, y: u32, x: u32, c4: u32"
    there = "y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v"
    return [
        f"struct Channel {{ {fields} }}",
        f"fn y_channel(c4: u32) -> Channel {{ return Channel({', '.join(text for _, text in held)}); }}",
        "\n".join([f"fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: {vector}) {{", *lines, "}"]),
        f"fn y_store4_at(i: u32, p: vec4<u32>, v: {vector}) {{ y_store4_steps(y_channel(p.w), i, p, v); }}",
        f"fn y_store4({four}, v: {vector}) {{ y_store4_at({there}); }}",
        f"fn y_store4_to(to: Channel, {four}, v: {vector}) {{ y_store4_steps(to, {there}); }}",
    ]


def _arguments(
    writer: _Writer, position: int, step: Applied, kinds: list[Kind]
) -> tuple[list[str], list[str]]:
    """Returns: what a step is called with, and its parameters."""
    arguments, parameters = [], []
    for operand, read in step.operands:
        name = f"s{position}_{operand}"
        if isinstance(read, FlowRef):
            kind, text = kinds[read.step], f"v{read.step}"
        elif isinstance(read, Constants):
            kind, text = "f", f"vec4<f32>(u.{name})"
            writer.small.append((name, "f32", struct.pack("<f", float(read.values[0]))))
        elif isinstance(read, Table):
            kind, text = "f", f"to.{name}"
            writer.channel.append((name, f"k_load4(u.{name} + c4)"))
            writer.small.append((name, "u32", struct.pack("<I", read.offset)))
        else:
            kind = writer.load(name, read)
            text = _broadcast(writer, name, read)(f"{name}_load4")
        arguments.append(text)
        parameters.append(f"{operand}: {VECTOR[kind]}")
    for scalar, number in step.scalars:
        name = f"s{position}_{scalar}"
        writer.small.append((name, "f32", struct.pack("<f", number)))
        arguments.append(f"u.{name}")
        parameters.append(f"{scalar}: f32")
    return arguments, parameters


def _broadcast(writer: _Writer, name: str, view: View) -> Callable[[str], str]:
    """Returns: how to read an operand that is stretched to the output's shape; behind the end of a last axis
    that is shorter than the output's, but not 1, are zeros."""
    have, want = dims(view.shape), dims(writer.call.write.shape)
    vector = VECTOR[_kind(writer, view)]
    if prod(have) == prod(want) and have[4] == want[4]:
        return lambda load: f"{load}(i)"
    if prod(have) == 1:
        return lambda load: f"{vector}({load}(0u).x)"
    ends = have[4] not in (1, want[4])
    if prod(have[:-1]) == 1 and not ends:
        return lambda load: f"{load}(p.w)"
    outer, strides = _strides(have, want)
    writer.large.append((f"{name}_by", "vec4<u32>", struct.pack("<4I", *strides)))
    text = f"dot(p, u.{name}_by)"
    if outer is not None:
        writer.large.append((f"{name}_outer", "vec4<u32>", struct.pack("<4I", *outer, 0, 0)))
        text += f" + p.x / u.y.n * u.{name}_outer.x + p.x % u.y.n * u.{name}_outer.y"
    if ends:
        inside = f"p.w < u.{name}.c4"
        return lambda load: f"select({vector}(), {load}(select(0u, {text}, {inside})), {inside})"
    if have[4] == 1 and want[4] > 1:
        return lambda load: f"{vector}({load}({text}).x)"
    return lambda load: f"{load}({text})"


def _kind(writer: _Writer, view: View) -> Kind:
    return KINDS[writer.plan.values[view.value].storage.name]


def _strides(
    have: tuple[int, ...], want: tuple[int, ...]
) -> tuple[tuple[int, int] | None, tuple[int, int, int, int]]:
    """Returns: steps in vec4 along d and n where only one of them is stretched, and along (d·n, h, w, c4) of
    the output; 0 where the operand is stretched."""
    c4 = -(-have[4] // 4)
    along_w = c4
    along_h = along_w * have[3]
    along_n = along_h * have[2]
    inner = (along_h if have[2] > 1 else 0, along_w if have[3] > 1 else 0, 1 if have[4] > 1 else 0)
    if have[:2] in (want[:2], (1, 1)):
        return None, (along_n if have[:2] != (1, 1) else 0, *inner)
    along_d = along_n * have[1]
    return (along_d if have[0] > 1 else 0, along_n if have[1] > 1 else 0), (0, *inner)


def _halves(writer: _Writer) -> bool:
    """Returns: whether the text names the type f16."""
    stored = {writer.plan.values[value].storage.name for value in writer.buffers}
    return writer.f16 and ("f16" in stored or writer.call.half)


def _assemble(writer: _Writer, x: Kind, y: Kind) -> str:
    call = writer.call
    fields = ", ".join(f"{name}: {kind}" for name, kind, _ in (*writer.large, *writer.small))
    lines = ["enable f16;"] if _halves(writer) else []
    lines += [_DIMS, f"struct Uniforms {{ {fields} }}", "@group(0) @binding(0) var<uniform> u: Uniforms;"]
    for number, (value, name) in enumerate(writer.buffers.items(), 1):
        held = writer.plan.values[value]
        element = writer.elements.get(name, elements.element(held.storage.name, f16=writer.f16))
        head = f"@group(0) @binding({number})"
        access = "read" if held.constant is not None else "read_write"
        if held.uniform:
            lines.append(f"{head} var<uniform> {name}: array<{element}, {UNIFORM_BYTES // 16}>;")
        else:
            lines.append(f"{head} var<storage, {access}> {name}: array<{element}>;")
    vector, scalar = (HALF, "f16") if call.half and x == "f" else (VECTOR[x], SCALAR[x])
    lines += ["alias A4 = vec4<f32>;", "alias A1 = f32;", f"alias X4 = {vector};", f"alias X1 = {scalar};"]
    lines += [f"alias Y4 = {VECTOR[y]};", f"alias Y1 = {SCALAR[y]};"]
    lines += [f"const {name}: u32 = {number}u;" for name, number in call.constants.items()]
    lines += writer.functions
    lines.append(_expanded(call.body, tuple(call.constants.items()), f"{call.label}.wgsl"))
    how = "cooperative" if call.cooperative else ("flat" if len(call.threads) == 1 else "box")
    x_, y_, z_ = call.workgroup
    lines.append(f"@compute @workgroup_size({x_}, {y_}, {z_})")
    lines.append(_ENTRY[how].format(width=x_))
    return "\n".join(lines) + "\n"
