"""The model as plain data: tensors, nodes, graphs, and the model that holds them.

Everything is immutable and free of any device. ``tflite.write`` can always turn it back into a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array, DType, Quant, TensorType

CUSTOM = "CUSTOM"
_NO_ATTRS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sparsity:
    """TFLite's ``SparsityParameters`` as read from the file: see ``graph/constant.py`` for the decoding.

    Attributes:
        traversal_order: order in which dimensions (and then block dimensions) are walked.
        block_map: for each block dimension, the tensor dimension that it splits.
        dims: per walked dimension (dense size, segments, indices); segments is None for a dense dimension.
    """

    traversal_order: tuple[int, ...]
    block_map: tuple[int, ...]
    dims: tuple[tuple[int, Array | None, Array | None], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One value of a graph.

    Attributes:
        name: as in the file; may be empty or shared by several tensors.
        type: shape, dtype and quantization.
        data: the stored constant, or None for a value computed at run time. A read-only view on the
            file where possible: shaped and typed for plain dense constants; flat uint8 for packed
            (int4 …), string, sparse and otherwise undecodable ones: use ``constant.decode``.
        is_variable: keeps its value between calls.
        shape_signature: the shape with −1 for sizes that may change between calls; () if absent.
        sparsity: how ``data`` is compressed, or None.
        has_rank: the file's flag; False means that the rank is unknown.
    """

    name: str
    type: TensorType
    data: Array | None = None
    is_variable: bool = False
    shape_signature: tuple[int, ...] = ()
    sparsity: Sparsity | None = None
    has_rank: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def quant(self) -> Quant | None:
        return self.type.quant

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def stored_nbytes(self) -> int:
        """Bytes that the constant takes in the file; 0 for values computed at run time."""
        return 0 if self.data is None else self.data.nbytes


@dataclass(frozen=True, slots=True)
class Node:
    """One operator call.

    Attributes:
        op: TFLite's builtin name (``CONV_2D``), or ``CUSTOM``.
        inputs: tensor indices of the graph; −1 for an optional input that is absent.
        outputs: tensor indices of the graph.
        attrs: the schema's options in snake_case. Enumerations are their names
            (``padding="SAME"``, ``fused_activation_function="RELU6"``, ``in_data_type="float32"``).
            Vectors are tuples. Fields at their default are present too.
        options: the schema table that holds ``attrs`` (``Conv2DOptions``), or "" for none.
        custom_code: name of a custom operator.
        custom_options: its options, uninterpreted.
        version: the operator's version in the file.
        intermediates: scratch tensors that carry quantization (LSTM).
        mutating: the file's ``mutating_variable_inputs``.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: _NO_ATTRS, hash=False)
    options: str = ""
    custom_code: str = ""
    custom_options: bytes = b""
    version: int = 1
    intermediates: tuple[int, ...] = ()
    mutating: tuple[bool, ...] = ()

    @property
    def kind(self) -> str:
        """What a person calls it: the builtin's name, or the custom operator's own."""
        return self.custom_code if self.op == CUSTOM else self.op


@dataclass(frozen=True, slots=True)
class Graph:
    """One subgraph. Nodes are in execution order."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = ""

    def operands(self, node: Node) -> list[Tensor | None]:
        """Returns: the node's input tensors, None where an optional one is absent."""
        return [self.tensors[i] if i >= 0 else None for i in node.inputs]

    def results(self, node: Node) -> list[Tensor]:
        """Returns: the node's output tensors."""
        return [self.tensors[i] for i in node.outputs]


SERVING = "serving_default"  # what everybody calls the only signature of a model


@dataclass(frozen=True, slots=True)
class Signature:
    """A named entry point: names given to the inputs and outputs of one graph."""

    key: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    graph: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """Graphs and all that travels with them.

    Attributes:
        graphs: the first is the main one; others are called by control flow.
        signatures: named entry points, possibly none.
        metadata: named blobs (``TFLITE_METADATA``, ``min_runtime_version`` …), as flat uint8 arrays.
        description: free text of the file.
        appended: bytes after the flatbuffer (a zip with labels and the like), flat uint8.
        source: the file it was read from, or None.
    """

    graphs: tuple[Graph, ...]
    signatures: tuple[Signature, ...] = ()
    metadata: tuple[tuple[str, npt.NDArray[np.uint8]], ...] = ()
    description: str = ""
    appended: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    source: Path | None = None

    @property
    def main(self) -> Graph:
        return self.graphs[0]

    @property
    def name(self) -> str:
        """The file's stem, or "model"."""
        return self.source.stem if self.source else "model"

    def with_main(self, graph: Graph) -> Model:
        """Returns: a copy with another main graph."""
        return replace(self, graphs=(graph, *self.graphs[1:]))

    def input_names(self) -> list[str]:
        """Returns: the names by which callers feed the main graph: the signature's, else the tensors'."""
        return _interface_names(self, inputs=True)

    def output_names(self) -> list[str]:
        """Returns: the names of the main graph's outputs: the signature's, else the tensors'."""
        return _interface_names(self, inputs=False)


def _interface_names(model: Model, *, inputs: bool) -> list[str]:
    graph = model.main
    indices = graph.inputs if inputs else graph.outputs
    named: dict[int, str] = {}
    for signature in model.signatures:
        if signature.graph == 0:
            pairs = signature.inputs if inputs else signature.outputs
            named = {index: name for name, index in pairs}
            break
    names: list[str] = []
    for position, index in enumerate(indices):
        stem = "input" if inputs else "output"
        name = named.get(index) or graph.tensors[index].name or f"{stem}_{position}"
        names.append(name if name not in names else f"{name}_{position}")
    return names
