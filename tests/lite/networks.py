"""Small models with what an interpreter can trip over: several signatures, variables, scalars, texts."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from tests.engines.models import NO_ACTIVATION, add_one, from_int8, running_sum, texts, to_int8, two_by_two

FLOAT = TensorType((1, 4), DType.FLOAT32)


def two_entries() -> Model:
    """Signature ``double`` enters the main graph, ``square`` the second one."""

    def graph(op: str, options: str, name: str) -> Graph:
        tensors = (Tensor(f"{name}_x", FLOAT, shape_signature=(-1, 4)), Tensor(f"{name}_y", FLOAT))
        return Graph(tensors, (Node(op, (0, 0), (1,), NO_ACTIVATION, options),), (0,), (1,), name)

    signatures = (
        Signature("square", (("x", 0),), (("y", 1),), 1),
        Signature("double", (("x", 0),), (("y", 1),), 0),
    )
    return Model((graph("ADD", "AddOptions", "double"), graph("MUL", "MulOptions", "square")), signatures)


def absolute(shape: tuple[int, ...] = (), dtype: DType = DType.FLOAT32) -> Model:
    """y = |x|, of any rank, also 0."""
    kind = TensorType(shape, dtype)
    return Model((Graph((Tensor("x", kind), Tensor("y", kind)), (Node("ABS", (0,), (1,)),), (0,), (1,)),))


def memory() -> Model:
    """An SVDF: y[t] is a weighted sum of the last three inputs, which a variable tensor remembers."""
    features = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
    times = np.array([[0.25, 0.5, 1.0], [1.0, 0.0, 2.0]], np.float32)
    kind = TensorType((1, 2), DType.FLOAT32)
    tensors = (
        Tensor("x", kind),
        Tensor("features", TensorType(features.shape, DType.FLOAT32), features),
        Tensor("times", TensorType(times.shape, DType.FLOAT32), times),
        Tensor("state", TensorType((1, 6), DType.FLOAT32), is_variable=True),
        Tensor("y", kind),
    )
    node = Node(
        "SVDF", (0, 1, 2, -1, 3), (4,), {"rank": 1, "fused_activation_function": "NONE"}, "SVDFOptions"
    )
    return Model((Graph(tensors, (node,), (0,), (4,)),))


def counter() -> Model:
    """y = 1 + what y was before + the sum over the rows of x: a resource variable, any batch."""
    handle = TensorType((), DType.RESOURCE)
    options = {"container": "", "shared_name": "count"}
    main = Graph(
        (
            Tensor("x", FLOAT, shape_signature=(-1, 4)),
            Tensor("axis", TensorType((1,), DType.INT32), np.array([0], np.int32)),
            Tensor("one", FLOAT, np.ones((1, 4), np.float32)),
            Tensor("handle", handle),
            *(Tensor(name, FLOAT) for name in ("rows", "old", "next", "y")),
        ),
        (
            Node("CALL_ONCE", (), (), {"init_subgraph_index": 1}, "CallOnceOptions"),
            Node("VAR_HANDLE", (), (3,), options, "VarHandleOptions"),
            Node("READ_VARIABLE", (3,), (5,), {}, "ReadVariableOptions"),
            Node("SUM", (0, 1), (4,), {"keep_dims": True}, "ReducerOptions"),
            Node("ADD", (5, 4), (6,), NO_ACTIVATION, "AddOptions"),
            Node("ADD", (6, 2), (7,), NO_ACTIVATION, "AddOptions"),
            Node("ASSIGN_VARIABLE", (3, 7), (), {}, "AssignVariableOptions"),
        ),
        (0,),
        (7,),
    )
    start = Graph(
        (Tensor("handle", handle), Tensor("zero", FLOAT, np.zeros((1, 4), np.float32))),
        (
            Node("VAR_HANDLE", (), (0,), options, "VarHandleOptions"),
            Node("ASSIGN_VARIABLE", (0, 1), (), {}, "AssignVariableOptions"),
        ),
        (),
        (),
        "init",
    )
    return Model((main, start))


def constants() -> Model:
    """(x + c, a reshaped constant): constants of several types, one of them an output's source."""
    eight = TensorType((8,), DType.FLOAT32)
    two_four = TensorType((2, 4), DType.FLOAT32)
    tensors = (
        Tensor("x", two_four),
        Tensor("shape", TensorType((2,), DType.INT32), np.array([2, 4], np.int32)),
        Tensor("c", eight, np.arange(8, dtype=np.float32)),
        Tensor("r", two_four),
        Tensor("y", two_four),
    )
    nodes = (
        Node("RESHAPE", (2, 1), (3,), {"new_shape": (2, 4)}, "ReshapeOptions"),
        Node("ADD", (0, 3), (4,), NO_ACTIVATION, "AddOptions"),
    )
    return Model((Graph(tensors, nodes, (0,), (4, 3)),))


ALL = {
    "add_one": add_one,
    "two_by_two": two_by_two,
    "from_int8": from_int8,
    "to_int8": to_int8,
    "running_sum": running_sum,
    "texts": texts,
    "two_entries": two_entries,
    "scalar": absolute,
    "five_axes": lambda: absolute((1, 2, 1, 3, 1)),
    "memory": memory,
    "constants": constants,
    "counter": counter,
}
