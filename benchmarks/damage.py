"""Ways in which a model file can be damaged, from a flipped bit to a table that contains itself."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sanderling.errors import ModelError
from sanderling.tflite.flatbuffer import Reader

_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")
_SCALARS = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4,
    "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip
# Around the limits of what a word can hold, and of what a reader may believe it holds.
_HOSTILE = (
    0,
    1,
    2,
    3,
    0x7F,
    0xFF,
    0x100,
    0x7FFF,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFC,
    0xFFFFFFFF,
)


@dataclass(frozen=True)
class Anatomy:
    """Where a flatbuffer keeps what.

    Attributes:
        tables: positions of tables.
        offsets: positions of words that point at tables, vectors and strings.
        lengths: positions of the lengths of vectors.
        scalars: (position, bytes) of plain fields: types, indices, options.
        leaves: those of ``offsets`` that point at strings and vectors of numbers.
    """

    tables: tuple[int, ...]
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    scalars: tuple[tuple[int, int], ...]
    leaves: tuple[int, ...]


def anatomy(data: bytes) -> Anatomy:
    """Takes a sound model apart."""
    reader = Reader(memoryview(data), "model")
    reader.root("Model")
    offsets, lengths, scalars, leaves = [0], [], [], []
    for table, position in reader.seen:
        start = position - _I32.unpack_from(data, position)[0]
        count = (_U16.unpack_from(data, start)[0] - 4) // 2
        slots = struct.unpack_from(f"<{count}H", data, start + 4)
        for field in reader.schema.tables[table]:
            at = slots[field.slot] if field.slot < count else 0
            if at == 0:
                continue
            place = position + at
            if field.kind in _SCALARS:
                scalars.append((place, _SCALARS[field.kind]))
                continue
            offsets.append(place)
            if field.kind == "string" or (field.is_vector and field.element in _SCALARS):
                leaves.append(place)
            if field.is_vector:
                target = place + _U32.unpack_from(data, place)[0]
                lengths.append(target)
                if field.element not in _SCALARS:
                    length = _U32.unpack_from(data, target)[0]
                    offsets.extend(target + 4 + 4 * i for i in range(length))
    tables = sorted({position for _, position in reader.seen})
    return Anatomy(tuple(tables), tuple(offsets), tuple(lengths), tuple(scalars), tuple(leaves))


Rng = np.random.Generator
Damage = Callable[[bytes, Anatomy, Rng], bytes]


def _pick(places: tuple[int, ...], rng: Rng) -> int:
    return int(places[rng.integers(len(places))])


def _word(data: bytearray, place: int, value: int) -> None:
    data[place : place + 4] = _U32.pack(value & 0xFFFFFFFF)


def flipped_bytes(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """One to eight bytes anywhere."""
    damaged = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        damaged[place] ^= int(rng.integers(1, 256))
    return bytes(damaged)


def flipped_structure(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """One to four bytes within reach of a table, where every one of them means something."""
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = min(len(data) - 1, max(0, _pick(parts.tables, rng) + int(rng.integers(-24, 48))))
        damaged[place] ^= int(rng.integers(1, 256))
    return bytes(damaged)


def cut(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """The end is missing, as after a download that broke off."""
    return data[: int(rng.integers(0, len(data)))]


def hostile_offset(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """A word that points somewhere points elsewhere."""
    damaged = bytearray(data)
    _word(damaged, _pick(parts.offsets, rng), int(rng.choice(_HOSTILE)))
    return bytes(damaged)


def hostile_length(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """A vector says that it is longer or shorter than it is."""
    damaged = bytearray(data)
    place = _pick(parts.lengths, rng)
    true = _U32.unpack_from(data, place)[0]
    near = (true - 1, true + 1, true * 2, true + 1000)
    _word(damaged, place, int(rng.choice([*_HOSTILE, *near])))
    return bytes(damaged)


def hostile_scalar(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """A type, an index or an option holds another value, small or absurd."""
    damaged = bytearray(data)
    place, width = parts.scalars[rng.integers(len(parts.scalars))]
    value = int(rng.integers(0, 40)) if rng.random() < 0.5 else int(rng.choice(_HOSTILE))
    damaged[place : place + width] = (value & (256**width - 1)).to_bytes(width, "little")
    return bytes(damaged)


def hostile_number(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """The first element of a short vector (a shape, operands, scales) holds another value."""
    damaged = bytearray(data)
    short = tuple(p for p in parts.lengths if 0 < _U32.unpack_from(data, p)[0] <= 16)
    place = _pick(short or parts.lengths, rng)
    if place + 8 <= len(damaged):
        _word(damaged, place + 4, int(rng.choice(_HOSTILE)))
    return bytes(damaged)


def containing_itself(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """A table refers to itself, or to one that it is a part of."""
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = _pick(parts.offsets, rng)
        before = tuple(t for t in parts.tables if t <= place) or parts.tables
        target = before[-1] if rng.random() < 0.5 else _pick(before, rng)
        _word(damaged, place, target - place)  # negative distances wrap around
    return bytes(damaged)


def shared(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """Several references lead to the same place."""
    damaged = bytearray(data)
    source = _pick(parts.offsets, rng)
    target = source + _U32.unpack_from(data, source)[0]
    for _ in range(rng.integers(1, 30)):
        place = _pick(parts.offsets, rng)
        if place < target:
            _word(damaged, place, target - place)
    return bytes(damaged)


def amplified(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """Many names, shapes, operands and scales are one and the same vector, which is long."""
    damaged = bytearray(data + bytes(-len(data) % 8))
    count = int(rng.choice([1000, 100_000, 400_000]))
    end = len(damaged)
    damaged += _U32.pack(count) + rng.integers(0, 3, count, np.uint32).astype("<u4").tobytes()
    damaged += bytes(4 * count)  # for those that are read as wider numbers
    share = float(rng.choice([0.05, 0.3, 0.9]))
    for place in parts.leaves:
        if rng.random() < share:
            _word(damaged, place, end - place)
    return bytes(damaged)


def zeroed(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """A block is zero, as after a disk's failure."""
    size = int(rng.choice([16, 64, 512, 4096]))
    start = int(rng.integers(0, max(1, len(data) - size)))
    if rng.random() < 0.5:
        start = max(0, _pick(parts.tables, rng) - size // 2)
    return data[:start] + bytes(min(size, len(data) - start)) + data[start + size :]


def swapped(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """Two parts have changed places; the head stays more often than not, so that it still looks right."""
    head = 0 if rng.random() < 0.3 else 8
    middle = int(rng.integers(head, len(data)))
    return data[:head] + data[middle:] + data[head:middle]


def zip_tail(data: bytes, parts: Anatomy, rng: Rng) -> bytes:
    """An appended archive: cut, with absurd sizes, or one that unpacks to far more than it holds."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("labels.txt", b"a\n" * int(rng.choice([1, 1000, 20_000_000])))
        for i in range(int(rng.choice([0, 3, 500]))):
            target.writestr(f"{'../' * int(rng.integers(3))}{i}.txt", b"x")
    tail = bytearray(archive.getvalue())
    how = rng.integers(4)
    if how == 0:
        del tail[int(rng.integers(len(tail))) :]
    elif how == 1:
        for place in rng.integers(max(0, len(tail) - 80), len(tail), rng.integers(1, 8)):
            tail[place] = int(rng.choice([0, 1, 0x7F, 0xFF]))
    elif how == 2:
        tail += b"PK\x05\x06" + bytes(rng.integers(0, 256, 18, np.uint8))
    return data + bytes(tail)


KINDS: dict[str, Damage] = {
    f.__name__.replace("_", " "): f
    for f in (
        flipped_bytes, flipped_structure, cut, hostile_offset, hostile_length, hostile_scalar, hostile_number,
        containing_itself, shared, amplified, zeroed, swapped, zip_tail,
    )
}  # fmt: skip


def can_be_damaged(data: bytes) -> bool:
    """Returns: whether it is a sound model to begin with."""
    try:
        return bool(anatomy(data).lengths)
    except ModelError:
        return False
