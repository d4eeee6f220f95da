"""What the rewriting passes share: walking the main graph and putting other operators in a node's place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.edit import GraphBuilder, consumers, producers, rewire
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.passes._known_shapes import Shape, known_shapes

Rewrite = Callable[["Editor", Node], str | None]


def rewrite_nodes(
    model: Model, rewrite: Rewrite, ops: Collection[str] | None = None
) -> tuple[Model, list[str]]:
    """Offers every node of the main graph, or those of ``ops``, to ``rewrite``, in execution order.

    A rewrite either emits operators that write the node's outputs and returns what it did, or emits
    nothing and returns None: the node stays.

    Returns: the model, the very same when nothing was done, and what was done.
    """
    if ops is not None and not any(node.op in ops for node in model.main.nodes):
        return model, []
    editor = Editor(model.main)
    notes: list[str] = []
    for node in model.main.nodes:
        offered = (ops is None or node.op in ops) and editor.is_sound(node)
        done = rewrite(editor, node) if offered else None
        if done is None:
            editor.builder.node(node)
        else:
            notes.append(done)
    return (model.with_main(editor.build()), notes) if notes else (model, [])


class Editor:
    """A graph that is being rewritten.

    Attributes:
        graph: as it was before.
        shapes: see ``known_shapes``; also for the values that were added.
        producers: tensor index → the node that writes it, as it was before.
        builder: the graph as it becomes.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes = known_shapes(graph)
        self.producers = {index: graph.nodes[position] for index, position in producers(graph).items()}
        self.builder = GraphBuilder.of(graph)
        self._readers = consumers(graph)
        self._positions = {id(node): position for position, node in enumerate(graph.nodes)}
        self._constants: dict[tuple[str, Shape, bytes], int] = {}
        self._instead: dict[int, int] = {}

    def build(self) -> Graph:
        """Returns: the graph as it became."""
        graph = self.builder.build(self.graph)
        return rewire(graph, self._instead) if self._instead else graph

    def shape(self, index: int, rank: int | None = None) -> Shape | None:
        """Returns: a shape in which nothing but the first size may change between calls (−1), or None."""
        shape = self.shapes.get(index)
        if shape is None or min(shape[1:], default=1) < 1 or 0 in shape[:1]:
            return None
        return shape if rank is None or len(shape) == rank else None

    def is_sound(self, node: Node) -> bool:
        """Returns: whether a node has the operands that its operator needs, as far as that is known here."""
        # Shape inference has checked them; what is in a custom operator its rewrite has to ask.
        return node.op == CUSTOM or (bool(node.inputs) and all(i in self.shapes for i in node.outputs))

    def is_float(self, *indices: int) -> bool:
        """Returns: whether these tensors (−1: an absent one) hold plain float32."""
        tensors = [self.graph.tensors[index] for index in indices if index >= 0]
        return all(t.dtype is DType.FLOAT32 and not t.is_variable for t in tensors)

    def readers(self, index: int) -> list[Node]:
        """Returns: the nodes that read a tensor."""
        return [self.graph.nodes[position] for position in self._readers.get(index, ())]

    def read_once(self, index: int) -> bool:
        """Returns: whether one node alone reads it, and nobody outside."""
        return len(self._readers.get(index, ())) == 1 and index not in self.graph.outputs

    def position(self, node: Node) -> int:
        """Returns: a node's place in the order of execution, as it was before."""
        return self._positions[id(node)]

    def hides(self, nodes: Sequence[Node], result: int) -> bool:
        """Returns: whether of all that these nodes compute, only ``result`` is read by anybody else."""
        inside = {id(node) for node in nodes}
        inner = [index for node in nodes for index in node.outputs if index != result]
        return not any(
            index in self.graph.outputs or any(id(reader) not in inside for reader in self.readers(index))
            for index in inner
        )

    def made_by(self, index: int, *ops: str) -> Node | None:
        """Returns: the node that writes a tensor if it is one of ``ops``."""
        node = self.producers.get(index)
        return node if node is not None and node.op in ops else None

    def integers(self, node: Node, position: int) -> Array | None:
        """Returns: an integer operand that is a constant."""
        index = node.inputs[position] if position < len(node.inputs) else -1
        tensor = self.graph.tensors[index] if index >= 0 else None
        plain = tensor is not None and tensor.is_constant and tensor.dtype in (DType.INT32, DType.INT64)
        return _decoded(tensor) if plain and tensor is not None else None

    def floats(self, node: Node, position: int) -> Array | None:
        """Returns: a float32 operand that is a constant, also one that is stored as float16."""
        index = node.inputs[position] if position < len(node.inputs) else -1
        if index < 0 or self.graph.tensors[index].dtype is not DType.FLOAT32:
            return None
        tensor = self.graph.tensors[index]
        unpack = self.made_by(index, "DEQUANTIZE")
        if unpack is not None:
            tensor = self.graph.tensors[unpack.inputs[0]]
        if not tensor.is_constant or tensor.dtype not in (DType.FLOAT32, DType.FLOAT16):
            return None
        values = _decoded(tensor)
        return None if values is None else values.astype(np.float32)

    def bias(self, node: Node, position: int, channels: int) -> Array | None:
        """Returns: a constant bias [channels], zeros for an absent one, None for one known at run time."""
        if position >= len(node.inputs) or node.inputs[position] < 0:
            return np.zeros(channels, np.float32)
        values = self.floats(node, position)
        return values.reshape(-1) if values is not None and values.size == channels else None

    def constant(self, values: Array, name: str) -> int:
        """Adds a constant, once for equal ones: models share weights. Returns: its index."""
        data = np.ascontiguousarray(values).reshape(values.shape)
        key = (data.dtype.name, data.shape, hashlib.sha256(data.tobytes()).digest())
        if key not in self._constants:
            kind = TensorType(data.shape, DType(data.dtype.name))
            self._constants[key] = self.builder.tensor(Tensor(name, kind, data))
        return self._constants[key]

    def value(self, shape: Shape, name: str, like: int | None = None) -> int:
        """Adds a value of a shape whose first size may be −1: float32, or of the type of tensor ``like``.

        Returns: its index.
        """
        # The declared size only has to be one that the other sizes allow: the engine infers its own.
        sizes = tuple(1 if size < 0 else size for size in shape)
        signature = shape if -1 in shape else ()
        kind = TensorType(sizes, DType.FLOAT32)
        if like is not None:
            kind = replace(self.builder.tensors[like].type, shape=sizes)
        index = self.builder.tensor(Tensor(name, kind, shape_signature=signature))
        self.shapes[index] = shape
        return index

    def emit(
        self, op: str, inputs: Sequence[int], output: int | tuple[Shape, str], options: str = "",
        attrs: Mapping[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """Adds an operator with one output: a tensor that is there already, or (shape, name) of a new one.

        Returns: the output's index.
        """
        index = output if isinstance(output, int) else self.value(*output)
        self.builder.node(Node(op, tuple(inputs), (index,), attrs or {}, options))
        return index

    def reshape(self, source: int, shape: Shape, output: int | str) -> int:
        """Adds a RESHAPE to a tensor that is there already, or to a new one of that name."""
        target = self.constant(np.array(shape, np.int32), "shape")
        to: int | tuple[Shape, str] = output if isinstance(output, int) else (shape, output)
        return self.emit("RESHAPE", (source, target), to, "ReshapeOptions", {"new_shape": shape})

    def forward(self, source: int, target: int) -> None:
        """Lets whoever reads ``target`` read ``source`` instead: a value of the same type and content."""
        if target in self.graph.outputs:  # its name and place in the interface stay
            self.reshape(source, self.shapes[target], target)
        else:
            self._instead[target] = self._instead.get(source, source)

    def pad(self, source: int, shape: Shape, pads: Sequence[tuple[int, int]], output: int | str) -> int:
        """Adds a PAD of a tensor of ``shape``."""
        after = tuple(
            size if size < 0 else before + size + behind
            for size, (before, behind) in zip(shape, pads, strict=True)
        )
        amounts = self.constant(np.array(pads, np.int32), "paddings")
        to: int | tuple[Shape, str] = output if isinstance(output, int) else (after, output)
        return self.emit("PAD", (source, amounts), to, "PadOptions")

    def cut(self, source: int, begin: Sequence[int], shape: Shape, output: int | str) -> int:
        """Adds a SLICE of ``shape`` from ``begin`` on, all of a dimension where ``shape`` has −1."""
        start = self.constant(np.array(begin, np.int32), "begin")
        size = self.constant(np.array(shape, np.int32), "size")
        to: int | tuple[Shape, str] = output if isinstance(output, int) else (shape, output)
        return self.emit("SLICE", (source, start, size), to, "SliceOptions")

    def transpose(self, source: int, shape: Shape, order: Sequence[int], output: int | str) -> int:
        """Adds a TRANSPOSE of a tensor of ``shape``."""
        after = tuple(shape[axis] for axis in order)
        permutation = self.constant(np.array(order, np.int32), "order")
        to: int | tuple[Shape, str] = output if isinstance(output, int) else (after, output)
        return self.emit("TRANSPOSE", (source, permutation), to, "TransposeOptions")

    def reverse(self, source: int, axis: int, name: str) -> int:
        """Adds a REVERSE_V2 along one axis of a value that was added."""
        operand = self.constant(np.array([axis], np.int32), "axis")
        return self.emit("REVERSE_V2", (source, operand), (self.shapes[source], name), "ReverseV2Options")

    def name(self, node: Node) -> str:
        """Returns: what a node's first output is called, for tensors that are derived from it."""
        # Converters join the names of all operators that they fused with ";": the first says which it is.
        return self.graph.tensors[node.outputs[0]].name.split(";")[0] or node.kind.lower()


def _decoded(tensor: Tensor) -> Array | None:
    try:
        return decode(tensor)
    except InvalidGraph:
        return None
