"""Small models that the tests write for themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.tflite import write

NO_ACTIVATION = {"fused_activation_function": "NONE"}


def _kind(
    dtype: DType = DType.FLOAT32, shape: tuple[int, ...] = (1, 4), quant: Quant | None = None
) -> TensorType:
    return TensorType(shape, dtype, quant)


def add_one(dtype: DType = DType.FLOAT32) -> Model:
    """y = x + 1, any batch."""
    kind = _kind(dtype)
    one = np.ones((1, 4), dtype.numpy)
    tensors = (
        Tensor("x", kind, shape_signature=(-1, 4)),
        Tensor("one", kind, one),
        Tensor("y", kind, shape_signature=(-1, 4)),
    )
    add = Node("ADD", (0, 1), (2,), NO_ACTIVATION, "AddOptions")
    return Model((Graph(tensors, (add,), (0,), (2,)),))


def two_by_two() -> Model:
    """(a, b) → (a + b, a × b), with a signature that names them otherwise than the tensors."""
    kind = _kind()
    tensors = tuple(Tensor(name, kind) for name in ("t0", "t1", "t2", "t3"))
    nodes = (
        Node("ADD", (0, 1), (2,), NO_ACTIVATION, "AddOptions"),
        Node("MUL", (0, 1), (3,), NO_ACTIVATION, "MulOptions"),
    )
    signature = Signature("serving_default", (("a", 0), ("b", 1)), (("sum", 2), ("product", 3)))
    return Model((Graph(tensors, nodes, (0, 1), (2, 3)),), (signature,))


def from_int8() -> Model:
    """y = 0.5 × (x − 3), x stored as int8."""
    tensors = (Tensor("x", _kind(DType.INT8, quant=Quant.of(0.5, 3))), Tensor("y", _kind()))
    return Model((Graph(tensors, (Node("DEQUANTIZE", (0,), (1,)),), (0,), (1,)),))


def to_int8() -> Model:
    """y = round(x / 0.5) + 3, stored as int8."""
    tensors = (Tensor("x", _kind()), Tensor("y", _kind(DType.INT8, quant=Quant.of(0.5, 3))))
    return Model((Graph(tensors, (Node("QUANTIZE", (0,), (1,)),), (0,), (1,)),))


def running_sum() -> Model:
    """y = the sum of all x fed so far: a variable that a second graph sets to zero once."""
    kind, handle = _kind(), TensorType((), DType.RESOURCE)
    variable = {"container": "", "shared_name": "total"}
    main = Graph(
        (Tensor("x", kind), Tensor("handle", handle), Tensor("old", kind), Tensor("y", kind)),
        (
            Node("CALL_ONCE", (), (), {"init_subgraph_index": 1}, "CallOnceOptions"),
            Node("VAR_HANDLE", (), (1,), variable, "VarHandleOptions"),
            Node("READ_VARIABLE", (1,), (2,), {}, "ReadVariableOptions"),
            Node("ADD", (2, 0), (3,), NO_ACTIVATION, "AddOptions"),
            Node("ASSIGN_VARIABLE", (1, 3), (), {}, "AssignVariableOptions"),
        ),
        (0,),
        (3,),
    )
    zero = Tensor("zero", kind, np.zeros((1, 4), np.float32))
    start = Graph(
        (Tensor("handle", handle), zero),
        (
            Node("VAR_HANDLE", (), (0,), variable, "VarHandleOptions"),
            Node("ASSIGN_VARIABLE", (0, 1), (), {}, "AssignVariableOptions"),
        ),
        (),
        (),
        "init",
    )
    return Model((main, start))


def texts() -> Model:
    """y = x as a column of texts."""
    tensors = (
        Tensor("x", TensorType((3,), DType.STRING)),
        Tensor("shape", TensorType((2,), DType.INT32), np.array([3, 1], np.int32)),
        Tensor("y", TensorType((3, 1), DType.STRING)),
    )
    node = Node("RESHAPE", (0, 1), (2,), {"new_shape": (3, 1)}, "ReshapeOptions")
    return Model((Graph(tensors, (node,), (0,), (2,)),))


def custom(name: str, options: bytes = b"", inputs: int = 1, outputs: int = 1) -> Model:
    """One custom operator."""
    tensors = tuple(Tensor(f"t{i}", _kind()) for i in range(inputs + outputs))
    ins, outs = tuple(range(inputs)), tuple(range(inputs, inputs + outputs))
    node = Node("CUSTOM", ins, outs, custom_code=name, custom_options=options)
    return Model((Graph(tensors, (node,), ins, outs),))


def convolution(size: int = 32, channels: int = 16) -> Model:
    """One 3×3 convolution, slow enough to be timed."""
    rng = np.random.default_rng(0)
    kind = _kind(shape=(1, size, size, channels))
    weights = rng.standard_normal((channels, 3, 3, channels)).astype(np.float32)
    tensors = (
        Tensor("x", kind),
        Tensor("w", _kind(shape=weights.shape), weights),
        Tensor("b", _kind(shape=(channels,)), np.zeros(channels, np.float32)),
        Tensor("y", kind),
    )
    attrs = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
    node = Node("CONV_2D", (0, 1, 2), (3,), {**attrs, **NO_ACTIVATION}, "Conv2DOptions")
    return Model((Graph(tensors, (node,), (0,), (3,)),))


def grouped_convolution(per_group: int = 3, groups: int = 2, outputs: int = 8, size: int = 6) -> Model:
    """One 3×3 convolution in groups.

    LiteRT's GPU accelerator (2.3) calls it fully accelerated and answers zeros where the number of channels
    in a group, of the input or the output, is no multiple of 4. Where they are more than 4, it ends the
    process.

    Args:
        per_group: input channels in each group.
        outputs: channels of the output, a multiple of ``groups``.
    """
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((outputs, 3, 3, per_group)).astype(np.float32)
    bias = rng.standard_normal(outputs).astype(np.float32)
    tensors = (
        Tensor("x", _kind(shape=(1, size, size, per_group * groups))),
        Tensor("w", _kind(shape=weights.shape), weights),
        Tensor("b", _kind(shape=bias.shape), bias),
        Tensor("y", _kind(shape=(1, size, size, outputs))),
    )
    attrs = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
    node = Node("CONV_2D", (0, 1, 2), (3,), {**attrs, **NO_ACTIVATION}, "Conv2DOptions")
    return Model((Graph(tensors, (node,), (0,), (3,)),))


def slicing() -> Model:
    """y = two rows of x from where b says. TFLite Micro trusts b: one that is far out ends its process."""
    tensors = (
        Tensor("x", _kind(shape=(4, 3))),
        Tensor("b", _kind(DType.INT32, (2,))),
        Tensor("size", _kind(DType.INT32, (2,)), np.array([2, 3], np.int32)),
        Tensor("y", _kind(shape=(2, 3))),
    )
    return Model((Graph(tensors, (Node("SLICE", (0, 1, 2), (3,), {}, "SliceOptions"),), (0, 1), (3,)),))


def save(model: Model, folder: Path, name: str = "model") -> Path:
    """Returns: the file."""
    path = folder / f"{name}.tflite"
    write(model, path)
    return path
