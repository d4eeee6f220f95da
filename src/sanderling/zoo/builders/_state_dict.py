"""Reads the weights that PyTorch saved before version 1.6, without unpickling them.

Such a file is five pickles (a magic number, the protocol's version, the machine's word sizes, the dictionary
of weights, the storages' keys) and then the storages' bytes. A pickle is a program for a stack machine that
can call anything. Here its instructions are read as data, and only those mean something that a dictionary of
tensors consists of; the names in it are compared and never looked up.

Source: torch/serialization.py, ``_legacy_save``; Python's ``pickletools`` for the instructions.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import FormatError
from sanderling.graph.types import Array

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}
_TENSOR, _DICTIONARY = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
_MARK = object()
# What reading instructions and sizes out of arbitrary bytes may come to.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, struct.error)


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that the pickle would import."""

    text: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A row of numbers later in the file."""

    dtype: np.dtype[Any]
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A part of a storage; ``offset`` and ``strides`` count numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: Path) -> dict[str, Array]:
    """Reads a file of weights.

    Returns: name → weights, float32 or int64, in PyTorch's layout.

    Raises:
        FormatError: it is damaged, or holds anything but tensors.
    """
    data = path.read_bytes()
    stream = io.BytesIO(data)
    try:
        magic, protocol, _, tensors, keys = (_Machine().run(stream) for _ in range(5))
        if (magic, protocol) != (_MAGIC, 1001):
            raise ValueError("it begins otherwise")
        storages = _storages(data, stream.tell(), keys, tensors)
        return {name: _view(storages[each.storage.key], each) for name, each in tensors.items()}
    except _DAMAGED as error:
        raise FormatError(f"holds no PyTorch weights that can be read ({error})", where=str(path)) from None


class _Machine:
    """The part of the pickle machine that a dictionary of tensors needs."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """Reads one pickle. Returns: what it describes, made of plain values."""
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name in _SAME:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in ("PROTO", "STOP"):
                raise ValueError(f"a pickle with the instruction {name}")
        return self.stack.pop()

    def many(self) -> list[Any]:
        """Takes what lies above the last mark."""
        place = max(i for i, each in enumerate(self.stack) if each is _MARK)
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def some(self, count: int) -> None:
        """Makes a tuple of the topmost values."""
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(taken)

    def keep(self, index: int) -> None:
        """Notes the topmost value under a number."""
        self.memo[index] = self.stack[-1]

    def put(self, pairs: list[Any]) -> None:
        """Fills a dictionary."""
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("a pickle that fills something other than a dictionary")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def extend(self, values: list[Any]) -> None:
        """Fills a list."""
        if not isinstance(self.stack[-1], list):
            raise ValueError("a pickle that fills something other than a list")
        self.stack[-1].extend(values)

    def call(self) -> None:
        """Makes a tensor or an empty dictionary, where the pickle says which function would make it."""
        arguments, called = self.stack.pop(), self.stack.pop()
        if called == _Name(_DICTIONARY) and arguments == ():
            self.stack.append({})
        elif called == _Name(_TENSOR):
            storage, offset, shape, strides, *_ = arguments
            self.stack.append(_Tensor(storage, offset, shape, strides))
        else:
            raise ValueError(f"a pickle that calls {getattr(called, 'text', 'something')}")

    def storage(self) -> None:
        """Notes where the numbers of a tensor lie."""
        kind, of, key, _, count, view = self.stack.pop()
        if kind != "storage" or view is not None or not isinstance(count, int) or count < 0:
            raise ValueError("a storage of a kind that is not known")
        self.stack.append(_Storage(_STORAGES[of.text], str(key), count))


_SAME = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "MARK": lambda: _MARK,
}  # fmt: skip
_STEPS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "GLOBAL": lambda machine, text: machine.stack.append(_Name(text)),
    "BINPUT": _Machine.keep,
    "LONG_BINPUT": _Machine.keep,
    "BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.many())),
    "TUPLE1": lambda machine, _: machine.some(1),
    "TUPLE2": lambda machine, _: machine.some(2),
    "TUPLE3": lambda machine, _: machine.some(3),
    "APPENDS": lambda machine, _: machine.extend(machine.many()),
    "SETITEMS": lambda machine, _: machine.put(machine.many()),
    "SETITEM": lambda machine, _: machine.put([machine.stack.pop(-2), machine.stack.pop()]),
    "REDUCE": lambda machine, _: machine.call(),
    "BINPERSID": lambda machine, _: machine.storage(),
    "BUILD": lambda machine, _: machine.stack.pop(),  # the dictionary's notes on versions
}


def _storages(data: bytes, start: int, keys: Any, tensors: Any) -> dict[str, Array]:
    """Returns: the numbers of every storage, which follow each other in the order of the keys."""
    kinds = {each.storage.key: each.storage for each in tensors.values()}
    found = {}
    for key in keys:
        storage = kinds[key]
        (count,) = struct.unpack_from("<q", data, start)
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} numbers, expected {storage.count}")
        found[key] = np.frombuffer(data, storage.dtype, count, start + 8)
        start += 8 + count * storage.dtype.itemsize
    return found


def _view(storage: Array, tensor: _Tensor) -> Array:
    """Returns: a tensor of its storage, every number of which lies inside."""
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides) or not all(isinstance(n, int) and n >= 0 for n in (*shape, *strides)):
        raise ValueError("a tensor of an impossible shape")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if tensor.offset < 0 or prod(shape) > storage.size or last >= storage.size:
        raise ValueError("a tensor that reaches beyond its storage")
    steps = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], shape, steps, writeable=False)
