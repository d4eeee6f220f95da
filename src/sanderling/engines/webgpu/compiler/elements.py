"""How elements that are stored in one way or another are read and written in WGSL, four at a time.

Where the device has ``shader-f16``, halves are ``vec4<f16>``; elsewhere the same bytes are two packed words.
"""

from __future__ import annotations

VECTOR = {"f": "vec4<f32>", "i": "vec4<i32>", "b": "vec4<bool>"}
SCALAR = {"f": "f32", "i": "i32", "b": "bool"}
ELEMENT = {
    "f32": "vec4<f32>", "f16": "vec2<u32>", "i32": "vec4<i32>", "q8": "u32", "qu8": "u32", "i8": "u32",
    "u8": "u32", "bool": "u32", "i4": "u32", "i16": "vec2<u32>", "q16": "vec2<u32>", "i64": "vec4<i32>",
}  # fmt: skip
LOAD = {
    "f32": "return {b}[i];",
    "f16": "let r = {b}[i]; return vec4<f32>(unpack2x16float(r.x), unpack2x16float(r.y));",
    "i32": "return {b}[i];",
    "q8": "return (vec4<f32>(unpack4xI8({b}[i])) - u.{n}.zero_point) * u.{n}.scale;",
    "qu8": "return (vec4<f32>(unpack4xU8({b}[i])) - u.{n}.zero_point) * u.{n}.scale;",
    "i8": "return unpack4xI8({b}[i]);",
    "u8": "return vec4<i32>(unpack4xU8({b}[i]));",
    "bool": "return unpack4xU8({b}[i]) != vec4<u32>();",
    "i16": "let r = {b}[i].xxyy << vec4<u32>(16u, 0u, 16u, 0u); return vec4<i32>(r) >> vec4<u32>(16u);",
    "q16": "let r = {b}[i].xxyy << vec4<u32>(16u, 0u, 16u, 0u);"
    " return (vec4<f32>(vec4<i32>(r) >> vec4<u32>(16u)) - u.{n}.zero_point) * u.{n}.scale;",
    # What does not fit 32 bits is brought to their end, on which nothing that is read so can lie.
    "i64": "let l = vec4<i32>({b}[2u * i].xz, {b}[2u * i + 1u].xz);"
    " let h = vec4<i32>({b}[2u * i].yw, {b}[2u * i + 1u].yw);"
    " return select((h >> vec4<u32>(31u)) ^ vec4<i32>(2147483647), l, h == l >> vec4<u32>(31u));",
    "i4": "let r = vec4<u32>({b}[i / 2u] >> (i % 2u * 16u)) << vec4<u32>(28u, 24u, 20u, 16u);"
    " return vec4<i32>(r) >> vec4<u32>(28u);",
}  # fmt: skip
STORE = {
    "f32": "{b}[i] = v;",
    # What f16 does not hold is brought to its end: packing may make anything of it, and as a mask it works.
    "f16": "let h = clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));"
    " {b}[i] = vec2<u32>(pack2x16float(h.xy), pack2x16float(h.zw));",
    "i32": "{b}[i] = v;",
    "q8": "{b}[i] = pack4xI8(vec4<i32>(clamp(round(v / u.y.scale) + u.y.zero_point,"
    " vec4<f32>(-128.0), vec4<f32>(127.0))));",
    "qu8": "{b}[i] = pack4xU8(vec4<u32>(clamp(round(v / u.y.scale) + u.y.zero_point,"
    " vec4<f32>(0.0), vec4<f32>(255.0))));",
    "q16": "let q = vec4<u32>(vec4<i32>(clamp(round(v / u.y.scale) + u.y.zero_point,"
    " vec4<f32>(-32768.0), vec4<f32>(32767.0))));"
    " {b}[i] = (q.xz & vec2<u32>(65535u)) | (q.yw << vec2<u32>(16u));",
    "i16": "let q = vec4<u32>(v); {b}[i] = (q.xz & vec2<u32>(65535u)) | (q.yw << vec2<u32>(16u));",
    "i64": "let h = v >> vec4<u32>(31u); {b}[2u * i] = vec4<i32>(v.x, h.x, v.y, h.y);"
    " {b}[2u * i + 1u] = vec4<i32>(v.z, h.z, v.w, h.w);",
    "i8": "{b}[i] = pack4xI8(v);",
    "u8": "{b}[i] = pack4xU8(vec4<u32>(v));",
    "bool": "{b}[i] = pack4xU8(select(vec4<u32>(), vec4<u32>(1u), v));",
}
_NATIVE_LOAD = {"f16": "return vec4<f32>({b}[i]);"}
_NATIVE_STORE = {"f16": "{b}[i] = vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)));"}
HALF = "vec4<f16>"


def element(storage: str, *, f16: bool) -> str:
    """Returns: the type of a buffer's elements, each of which holds a vec4 (of i64 a half of one)."""
    return HALF if f16 and storage == "f16" else ELEMENT[storage]


def load(storage: str, *, f16: bool) -> str:
    """Returns: statements that return the vec4 at ``i`` of buffer {b}; {n} is the operand's name."""
    return (_NATIVE_LOAD if f16 else LOAD).get(storage, LOAD[storage])


def store(storage: str, *, f16: bool) -> str:
    """Returns: statements that store the vec4 ``v`` at ``i`` of buffer {b}."""
    return (_NATIVE_STORE if f16 else STORE).get(storage, STORE[storage])
