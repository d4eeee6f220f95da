"""Complex numbers as two tensors of real ones, which a GPU can hold: what RFFT2D gives and others take apart.

RFFT2D becomes products with the constant matrices of the transform, for sizes at which these are no burden.
Source: X[k] = Σ x[n] · (cos(2π k n / N) − i · sin(2π k n / N)), first along the last axis, then the one
before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._operands import constant
from sanderling.ops.registry import find_for

LARGEST = 2048  # of a transform's sizes: its matrices take 17 MB
MOST_ELEMENTS = 2**26  # of all matrices of a graph
_TAKEN_APART = frozenset({"REAL", "IMAG", "COMPLEX_ABS"})
COMPLEX = _TAKEN_APART | {"RFFT2D"}
_DENSE = {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": True}


def separate_complex(graph: Graph) -> Graph:
    """Replaces complex64 tensors between operators by their real and imaginary parts.

    The real part takes the place of the complex tensor, and every result that was real keeps its own. Where
    one of the operators cannot be replaced, all stay: the graph is given back as it is.

    Args:
        graph: shapes are known, constants folded.
    """
    complex_ones = {i for i, t in enumerate(graph.tensors) if t.dtype is DType.COMPLEX64}
    touched = [n for n in graph.nodes if complex_ones & {*n.inputs, *n.outputs}]
    if not touched or complex_ones & {*graph.inputs, *graph.outputs}:
        return graph
    made: set[int] = set()
    for node in touched:
        if not complex_ones & set(node.inputs) <= made or not _replaceable(graph, node, complex_ones):
            return graph
        made |= set(node.outputs)
    if sum(_matrix_elements(graph, node) for node in touched) > MOST_ELEMENTS:
        return graph
    work = _Work(list(graph.tensors))
    for node in graph.nodes:
        work.take(node, complex_ones)
    return replace(graph, tensors=tuple(work.tensors), nodes=tuple(work.nodes))


def _replaceable(graph: Graph, node: Node, complex_ones: set[int]) -> bool:
    op, operands, results = find_for(node), graph.operands(node), graph.results(node)
    if op is None or any(-1 in t.shape_signature or 0 in t.shape for t in (*operands, *results) if t):
        return False
    try:
        kinds = op.infer(node, operands, results)
    except InvalidGraph:
        return False
    if len(results) != 1 or [(k.shape, k.dtype) for k in kinds] != [(t.shape, t.dtype) for t in results]:
        return False
    x = graph.tensors[node.inputs[0]]
    if node.op == "RFFT2D":
        sizes = constant(graph.tensors[node.inputs[1]])
        return sizes is not None and len(x.shape) <= 5 and max(int(sizes.max()), *x.shape[-2:]) <= LARGEST
    moves = op.moves_data and node.outputs[0] in complex_ones and not complex_ones & set(node.inputs[1:])
    return not x.is_constant and node.inputs[0] in complex_ones and (moves or node.op in _TAKEN_APART)


def _matrix_elements(graph: Graph, node: Node) -> int:
    """Returns: the most elements of the matrices that a node needs."""
    if node.op != "RFFT2D":
        return 0
    (height, width), given = graph.tensors[node.outputs[0]].shape[-2:], graph.tensors[node.inputs[0]].shape
    return 2 * (height * given[-2] + width * given[-1])


@dataclass(slots=True)
class _Work:
    """The graph as it becomes.

    Attributes:
        imaginary: tensor that holds a real part → the one that holds its imaginary part.
    """

    tensors: list[Tensor]
    nodes: list[Node] = field(default_factory=list)
    imaginary: dict[int, int] = field(default_factory=dict)

    def take(self, node: Node, complex_ones: set[int]) -> None:
        """Adds what becomes of a node."""
        if not complex_ones & {*node.inputs, *node.outputs}:
            self.nodes.append(node)
        elif node.op == "RFFT2D":
            self._transform(node)
        elif node.op == "COMPLEX_ABS":
            self._absolute(node)
        elif node.op in _TAKEN_APART:
            part = node.inputs[0] if node.op == "REAL" else self.imaginary[node.inputs[0]]
            shape = self._constant(np.array(self.tensors[part].shape, np.int32))
            self.nodes.append(Node("RESHAPE", (part, shape), node.outputs, {}, "ReshapeOptions"))
        else:
            self.nodes.append(node)
            other = self._parts(node.outputs[0])
            operands = (self.imaginary[node.inputs[0]], *node.inputs[1:])
            self.nodes.append(replace(node, inputs=operands, outputs=(other,)))

    def _parts(self, index: int) -> int:
        """Makes a complex tensor the real part. Returns: the tensor of the imaginary part."""
        tensor = self.tensors[index]
        real = replace(tensor, type=TensorType(tensor.shape, DType.FLOAT32))
        self.tensors[index] = real
        self.imaginary[index] = self._tensor(replace(real, name=f"{tensor.name}:imaginary"))
        return self.imaginary[index]

    def _tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _constant(self, values: Array) -> int:
        kind = TensorType(values.shape, DType(values.dtype.name))
        return self._tensor(Tensor(f"constant{len(self.tensors)}", kind, values))

    def _emit(
        self,
        op: str,
        inputs: tuple[int, ...],
        shape: tuple[int, ...],
        options: str = "",
        attrs: dict[str, object] | None = None,
        to: int = -1,
    ) -> int:
        """Adds a node. Returns: its result, a new tensor unless ``to`` names one."""
        if to < 0:
            to = self._tensor(Tensor(f"{op.lower()}{len(self.tensors)}", TensorType(shape, DType.FLOAT32)))
        self.nodes.append(Node(op, inputs, (to,), attrs or {}, options))
        return to

    def _dense(self, x: int, matrix: Array, to: int = -1) -> int:
        """Multiplies the last axis by a matrix [out, in]."""
        shape = (*self.tensors[x].shape[:-1], len(matrix))
        operands = (x, self._constant(matrix), -1)
        return self._emit("FULLY_CONNECTED", operands, shape, "FullyConnectedOptions", dict(_DENSE), to)

    def _turned(self, x: int, to: int = -1) -> int:
        """Exchanges the last two axes."""
        shape = self.tensors[x].shape
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        turned = tuple(shape[axis] for axis in order)
        operands = (x, self._constant(np.array(order, np.int32)))
        return self._emit("TRANSPOSE", operands, turned, "TransposeOptions", to=to)

    def _sum(self, op: str, x: int, y: int, to: int = -1) -> int:
        options = {"fused_activation_function": "NONE"}
        return self._emit(op, (x, y), self.tensors[x].shape, f"{op.title()}Options", dict(options), to)

    def _transform(self, node: Node) -> None:
        x, real = node.inputs[0], node.outputs[0]
        imaginary = self._parts(real)
        height, width = (int(n) for n in np.asarray(self.tensors[node.inputs[1]].data).reshape(-1))
        rows, columns = self.tensors[x].shape[-2:]
        across = matrices(width, width // 2 + 1, columns)
        if height == rows == 1:
            self._dense(x, across[0], real)
            self._dense(x, across[1], imaginary)
            return
        a, b = (self._turned(self._dense(x, matrix)) for matrix in across)
        cosine, sine = matrices(height, height, rows)
        first = self._sum("SUB", self._dense(a, cosine), self._dense(b, sine))
        second = self._sum("ADD", self._dense(a, sine), self._dense(b, cosine))
        self._turned(first, real)
        self._turned(second, imaginary)

    def _absolute(self, node: Node) -> None:
        x = node.inputs[0]
        shape = self.tensors[x].shape
        squares = [self._emit("SQUARE", (i,), shape, "SquareOptions") for i in (x, self.imaginary[x])]
        self._emit("SQRT", (self._sum("ADD", *squares),), shape, to=node.outputs[0])


def matrices(size: int, results: int, given: int) -> tuple[Array, Array]:
    """Returns: real and imaginary part, float32 [results, given], of the matrix of a transform of ``size``
    elements. Of those given, what lies behind is cut off; what is missing counts as 0."""
    turns = np.outer(np.arange(results), np.arange(given)) % size * (-2 * np.pi / size)
    inside = np.arange(given) < size
    return (np.cos(turns) * inside).astype(np.float32), (np.sin(turns) * inside).astype(np.float32)
