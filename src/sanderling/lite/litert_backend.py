"""LiteRT's own interpreter, behind guards for the calls on which it would crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.litert import log
from sanderling.engines.litert.operators import supported
from sanderling.graph.graph import CUSTOM, Model, Tensor
from sanderling.graph.types import Array, DType
from sanderling.lite.op_resolver import OpResolverType
from sanderling.runtime.backend import (
    HANDLES,
    NO_DATA,
    UNALLOCATED,
    BadCall,
    BadModel,
    BadValue,
    check_resize,
)
from sanderling.runtime.tensor_details import Details
from sanderling.runtime.tensor_values import stored_constant

Shapes = dict[int, tuple[int, ...]]
_BARE = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
_KERNELS = {  # as ``engines.litert.operators`` names them
    OpResolverType.AUTO: "default",
    OpResolverType.BUILTIN: "default",
    OpResolverType.BUILTIN_REF: "reference",
    _BARE: "builtin",
}
_REMEMBERED = 64  # shapes known to be sound


class _Kind(Enum):
    """Tensors that LiteRT's interpreter does not protect."""

    CONSTANT = "lies in the file, which is mapped read-only: writing crashes"
    STRING = "has no memory before it is set: reading crashes"
    HANDLE = "refers to something that is no array: reading crashes"


@dataclass(frozen=True, slots=True)
class Source:
    """What LiteRT's interpreter is made of.

    Attributes:
        path, content: the model, one of them.
        threads: CPU threads.
        resolver: the kernel set.
        delegates: LiteRT's own delegates.
        registerers: what registers custom operators.
        flags: further arguments of LiteRT's ``Interpreter``.
    """

    path: Path | None
    content: bytes | None
    threads: int
    resolver: OpResolverType = OpResolverType.AUTO
    delegates: Sequence[Any] = ()
    registerers: Sequence[Any] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)

    def build(self) -> Any:
        """Returns: a new interpreter of LiteRT's, without tensors."""
        from ai_edge_litert import interpreter as litert

        source = {"model_content": self.content} if self.path is None else {"model_path": str(self.path)}
        return litert.InterpreterWithCustomOps(
            custom_op_registerers=list(self.registerers),
            experimental_delegates=list(self.delegates),
            experimental_op_resolver_type=litert.OpResolverType[self.resolver.name],
            num_threads=self.threads,
            **source,
            **{name: True for name, on in self.flags.items() if on},
        )


class LiteRTBackend:
    """A backend that is LiteRT's interpreter. Its errors reach the caller as they are.

    Args:
        model: the verified model.
        source: what to build the interpreter of.

    Raises:
        ValueError: LiteRT refuses the model, or would crash on it.
    """

    def __init__(self, model: Model, source: Source) -> None:
        self.model = model
        self._source = source
        _refuse_what_crashes(model, _KERNELS[source.resolver])
        with log.captured():
            self._litert = source.build()
        self._allocated = False
        self._broken = False  # after a failed allocation tensors point to memory that was given back
        self._filled: set[tuple[int, int]] = set()  # (subgraph, index) of strings that were set or computed
        self._special = [
            {i: kind for i, tensor in enumerate(graph.tensors) if (kind := _kind(tensor))}
            for graph in model.graphs
        ]
        self._main = self._special[0]
        self._shapes: list[Shapes] = [
            {i: graph.tensors[i].shape for i in graph.inputs} for graph in model.graphs
        ]
        self._sound = {_key(subgraph, shapes) for subgraph, shapes in enumerate(self._shapes)}

    def tensor_count(self, subgraph: int) -> int:
        return int(self._litert._interpreter.NumTensors(subgraph))

    def tensor_details(self, index: int, subgraph: int) -> Details:
        self._check_subgraph(subgraph)
        details: Details = self._litert._get_tensor_details(index, subgraph)
        return details

    def operator_count(self) -> int:
        return int(self._litert._interpreter.NumNodes())

    def operator_details(self, index: int) -> Details:
        details: Details = self._litert._get_op_details(index)
        return details

    def resize(self, index: int, shape: Array, strict: bool, subgraph: int) -> None:
        if shape.ndim == 1:
            check_resize(self.model.graphs[subgraph], index, shape)
        self._litert._interpreter.ResizeInputTensor(index, shape, strict, subgraph)
        wanted = tuple(int(size) for size in shape)
        if self._shapes[subgraph].get(index) != wanted:
            self._shapes[subgraph][index] = wanted
            self._filled = {place for place in self._filled if place[0] != subgraph}

    def allocate(self, subgraph: int) -> None:
        key = _key(subgraph, self._shapes[subgraph])
        if key not in self._sound:
            self._check_shapes(subgraph)
            if len(self._sound) >= _REMEMBERED:
                self._sound.clear()
            self._sound.add(key)
        self._broken = True
        # The first allocation tells of XNNPACK; later ones are part of a stream of calls.
        with nullcontext() if self._allocated else log.captured():
            self._litert._interpreter.AllocateTensors(subgraph)
        self._allocated, self._broken = True, False

    def _check_shapes(self, subgraph: int) -> None:
        """Asks the plain kernels whether shapes fit: XNNPACK trusts them, and crashes on some that do not."""
        if _KERNELS[self._source.resolver] != "default":
            return
        if self._plain_kernels_take_it:
            self._litert_without_xnnpack(subgraph, self._shapes[subgraph])
            return
        tensors = self.model.graphs[subgraph].tensors
        for index, shape in self._shapes[subgraph].items():
            if len(shape) != len(tensors[index].shape) or 0 in shape:
                raise BadCall(
                    f"tensor {index} {tensors[index].name!r} of rank {len(tensors[index].shape)} cannot take"
                    f" the shape {shape}",
                    hint="keep the rank, and every size at least 1",
                )

    @cached_property
    def _plain_kernels_take_it(self) -> bool:
        """Whether they run the model at all: if not, they cannot be asked about its shapes."""
        if self._source.delegates or any(node.op == CUSTOM for g in self.model.graphs for node in g.nodes):
            return False
        try:
            self._litert_without_xnnpack(0, {})
        except (ValueError, RuntimeError):
            return False
        return True

    def _litert_without_xnnpack(self, subgraph: int, shapes: Shapes) -> None:
        """Allocates the model in another interpreter, whose memory is never touched."""
        with log.captured():
            other = replace(self._source, resolver=_BARE, flags={}).build()
        for index, shape in shapes.items():
            other._interpreter.ResizeInputTensor(index, np.array(shape, np.int32), False, subgraph)
        other._interpreter.AllocateTensors(subgraph)

    def set(self, index: int, value: Any, subgraph: int) -> None:
        kind = self._main.get(index) if subgraph == 0 else self._other(subgraph).get(index)
        if kind is _Kind.CONSTANT:
            name = self.model.graphs[subgraph].tensors[index].name
            raise BadValue(f"Cannot set tensor: tensor {index} {name!r} is a constant of the model")
        if self._broken:
            raise BadValue(UNALLOCATED)
        if isinstance(value, np.ndarray) and not value.dtype.isnative:
            value = value.astype(value.dtype.newbyteorder("="))  # LiteRT would take the bytes as they lie
        self._litert._interpreter.SetTensor(index, value, subgraph)
        if kind is _Kind.STRING:
            self._filled.add((subgraph, index))

    def get(self, index: int, subgraph: int) -> Array:
        kind = self._main.get(index) if subgraph == 0 else self._other(subgraph).get(index)
        if kind is _Kind.CONSTANT:
            return stored_constant(self.model.graphs[subgraph].tensors[index], copy=True)
        if self._broken or kind is _Kind.HANDLE:
            raise BadValue(NO_DATA)
        if kind is _Kind.STRING and (subgraph, index) not in self._filled:
            raise BadValue(NO_DATA)
        value: Array = self._litert._interpreter.GetTensor(index, subgraph)
        return value

    def view(self, index: int) -> Array:
        kind = self._main.get(index)
        if kind is _Kind.CONSTANT:
            return stored_constant(self.model.main.tensors[index])
        if kind is not None or self._broken:
            raise BadValue(NO_DATA)
        native = self._litert._interpreter
        memory: Array = native.tensor(native, index)  # the first argument becomes the array's base
        return memory

    def has_views(self) -> bool:
        return not self._litert._safe_to_run()

    def invoke(self, subgraph: int) -> None:
        graph = self.model.graphs[subgraph]
        special = self._special[subgraph]
        for index in graph.inputs:
            if special.get(index) is _Kind.STRING and (subgraph, index) not in self._filled:
                raise BadCall(f"input {index} {graph.tensors[index].name!r} has no value yet")
        self._litert._interpreter.Invoke(subgraph)
        for index in graph.outputs:
            if special.get(index) is _Kind.STRING:
                self._filled.add((subgraph, index))

    def reset_variables(self) -> None:
        self._litert.reset_all_variables()

    def native_handle(self) -> int:
        return int(self._litert._native_handle())

    def _check_subgraph(self, subgraph: int) -> None:
        if not 0 <= subgraph < len(self._special):
            count = len(self._special)
            raise BadValue(f"Invalid subgraph index {subgraph} exceeds max subgraph index {count}")

    def _other(self, subgraph: int) -> dict[int, _Kind]:
        self._check_subgraph(subgraph)
        return self._special[subgraph]


def _key(subgraph: int, shapes: Shapes) -> tuple[Any, ...]:
    return subgraph, tuple(shapes.items())


def _kind(tensor: Tensor) -> _Kind | None:
    if tensor.is_constant:
        return _Kind.CONSTANT
    if tensor.dtype in HANDLES:
        return _Kind.HANDLE
    return _Kind.STRING if tensor.dtype is DType.STRING else None


def _refuse_what_crashes(model: Model, kernels: str) -> None:
    """LiteRT refuses a custom operator that it does not know; one that it knows it trusts."""
    for graph in model.graphs:
        for node in graph.nodes:
            if node.op != CUSTOM:
                continue
            perfect = replace(node, inputs=(0,) * 9, outputs=(0,) * 9, custom_options=b"\0")
            verdict = supported(node, kernels)
            if supported(perfect, kernels) and not verdict:
                raise BadModel(verdict.reason, where=str(model.source or model.name))
