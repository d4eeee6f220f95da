"""Well-formed files whose meaning is hostile: operands, shapes, options, calls that no converter writes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import tflite
from sanderling.errors import SanderlingError
from sanderling.graph.graph import Graph, Model, Node, Signature, Sparsity, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.tflite.schema import schema

Rng = np.random.Generator
Change = Callable[[Model, Rng], Model]
_SIZES = (0, 1, 2, 3, 7, 255, 256, 65_535, 65_536, 2**20, 2**24, 2**31 - 1)
_NUMBERS = (-(2**31), -65_536, -2, -1, 0, 1, 2, 3, 5, 127, 255, 65_536, 2**30, 2**31 - 1)
_REALS = (0.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan"))


def _with_tensor(model: Model, index: int, tensor: Tensor) -> Model:
    tensors = list(model.main.tensors)
    tensors[index] = tensor
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


def _with_node(model: Model, position: int, node: Node) -> Model:
    nodes = list(model.main.nodes)
    nodes[position] = node
    return model.with_main(replace(model.main, nodes=tuple(nodes)))


def _node(model: Model, rng: Rng) -> tuple[int, Node]:
    position = int(rng.integers(len(model.main.nodes)))
    return position, model.main.nodes[position]


def _tensor(model: Model, rng: Rng) -> tuple[int, Tensor]:
    index = int(rng.integers(len(model.main.tensors)))
    return index, model.main.tensors[index]


def operand_elsewhere(model: Model, rng: Rng) -> Model:
    """An operator reads or writes another tensor."""
    position, node = _node(model, rng)
    field = "inputs" if rng.random() < 0.7 and node.inputs else "outputs"
    operands = list(getattr(node, field))
    if operands:
        operands[rng.integers(len(operands))] = int(rng.integers(-1, len(model.main.tensors)))
    return _with_node(model, position, replace(node, **{field: tuple(operands)}))


def fewer_or_more_operands(model: Model, rng: Rng) -> Model:
    """An operator has lost operands or has some twice."""
    position, node = _node(model, rng)
    field = "inputs" if rng.random() < 0.7 else "outputs"
    operands = list(getattr(node, field))
    count = int(rng.choice([0, 1, 2, 3, 4, 5, 8, 40]))
    operands = (operands * (count + 1))[:count] if operands else [0] * count
    return _with_node(model, position, replace(node, **{field: tuple(operands)}))


def reading_its_own_result(model: Model, rng: Rng) -> Model:
    """An operator's result is its own operand, or that of an operator before it."""
    position, node = _node(model, rng)
    target = _node(model, rng)[0] if rng.random() < 0.5 else position
    victim = model.main.nodes[target]
    if not victim.inputs or not node.outputs:
        return model
    inputs = (node.outputs[0], *victim.inputs[1:])
    return _with_node(model, target, replace(victim, inputs=inputs))


def another_shape(model: Model, rng: Rng) -> Model:
    """A tensor has another shape: huge, empty, of another rank, or any size."""
    index, tensor = _tensor(model, rng)
    shape = list(tensor.shape)
    how = rng.integers(4)
    if how == 0 or not shape:
        shape = [int(rng.choice(_SIZES)) for _ in range(rng.integers(0, 10))]
    elif how == 1:
        shape[rng.integers(len(shape))] = int(rng.choice(_SIZES))
    elif how == 2:
        shape.insert(int(rng.integers(len(shape) + 1)), int(rng.choice(_SIZES)))
    signature = tensor.shape_signature
    if how == 3 or rng.random() < 0.3:
        signature = tuple(int(rng.choice([-1, -1, -2, 0, 1, 2**31 - 1])) for _ in shape)
    kind = replace(tensor.type, shape=tuple(shape))
    return _with_tensor(model, index, replace(tensor, type=kind, shape_signature=signature))


def another_dtype(model: Model, rng: Rng) -> Model:
    """A tensor has another element type."""
    index, tensor = _tensor(model, rng)
    dtype = list(DType)[rng.integers(len(DType))]
    return _with_tensor(model, index, replace(tensor, type=replace(tensor.type, dtype=dtype)))


def another_operator(model: Model, rng: Rng) -> Model:
    """An operator of another kind with the same operands; its options may stay those of the old one."""
    position, node = _node(model, rng)
    names = sorted(schema().enums["BuiltinOperator"])
    kept = node if rng.random() < 0.5 else replace(node, options="", attrs={})
    return _with_node(model, position, replace(kept, op=str(rng.choice(names)), custom_code=""))


def another_option(model: Model, rng: Rng) -> Model:
    """Strides of zero, negative axes, windows of a million: numbers among an operator's options."""
    choices = [
        (p, name)
        for p, node in enumerate(model.main.nodes)
        for name, value in node.attrs.items()
        if isinstance(value, int | float | tuple)
    ]
    if not choices:
        return model
    position, name = choices[rng.integers(len(choices))]
    node = model.main.nodes[position]
    old = node.attrs[name]
    value: Any = int(rng.choice(_NUMBERS))
    if isinstance(old, bool):
        value = not old
    elif isinstance(old, float):
        value = float(rng.choice(_REALS))
    elif isinstance(old, tuple):
        value = tuple(int(rng.choice(_NUMBERS)) for _ in range(rng.integers(0, 6)))
    return _with_node(model, position, replace(node, attrs={**node.attrs, name: value}))


def another_constant(model: Model, rng: Rng) -> Model:
    """A constant that steers an operator (a shape, paddings, axes, indices), or a weight, is absurd."""
    constants = [(i, t) for i, t in enumerate(model.main.tensors) if t.data is not None and t.data.size]
    steering = [(i, t) for i, t in constants if t.dtype in (DType.INT32, DType.INT64) and t.type.size < 64]
    chosen = steering if steering and rng.random() < 0.8 else constants
    if not chosen:
        return model
    index, tensor = chosen[rng.integers(len(chosen))]
    data = np.array(tensor.data)
    flat = data.reshape(-1)
    for place in rng.integers(0, flat.size, rng.integers(1, 4)):
        if data.dtype.kind == "f":
            with np.errstate(over="ignore"):  # infinite in float16
                flat[place] = rng.choice(_REALS)
        elif data.dtype.kind in "iu":
            flat[place] = np.array(rng.choice(_NUMBERS)).astype(data.dtype)
    return _with_tensor(model, index, replace(tensor, data=data))


def another_quantization(model: Model, rng: Rng) -> Model:
    """Scales that are zero, negative or no number, zero points out of range, an axis that is not there."""
    index, tensor = _tensor(model, rng)
    channels = int(rng.choice([1, 1, 2, 3, *(tensor.shape or (1,))]))
    channels = min(channels, 4096)
    scale = np.full(channels, rng.choice([*_REALS, 0.1, 0.02]), np.float32)
    zero_point = np.full(channels, rng.choice([*_NUMBERS, 2**40, -(2**62)]), np.int64)
    axis = int(rng.integers(-2, 6))
    quant = Quant(scale, zero_point, axis if channels > 1 else None, dimension=axis)
    dtype = tensor.dtype if rng.random() < 0.5 else DType.INT8
    return _with_tensor(model, index, replace(tensor, type=replace(tensor.type, quant=quant, dtype=dtype)))


def sparse(model: Model, rng: Rng) -> Model:
    """Weights that are said to be sparse, with segments and indices from nowhere."""
    constants = [(i, t) for i, t in enumerate(model.main.tensors) if t.data is not None and t.shape]
    if not constants:
        return model
    index, tensor = constants[rng.integers(len(constants))]
    numbers = [
        np.array(rng.choice(_NUMBERS, rng.integers(0, 9)), np.int64).astype(np.int32) for _ in range(20)
    ]
    levels = len(tensor.shape) + int(rng.integers(0, 2))
    dims = tuple(
        (int(rng.choice(_SIZES)), None, None)
        if rng.random() < 0.6
        else (int(rng.choice(_SIZES)), numbers[rng.integers(20)], numbers[rng.integers(20)])
        for _ in range(levels)
    )
    sparsity = Sparsity(tuple(range(levels)), tuple(range(levels - len(tensor.shape))), dims)
    return _with_tensor(model, index, replace(tensor, sparsity=sparsity))


def another_interface(model: Model, rng: Rng) -> Model:
    """Inputs and outputs that are constants, named twice, or not there; signatures that name other things."""
    graph = model.main
    field = str(rng.choice(["inputs", "outputs"]))
    ports = list(getattr(graph, field))
    pick = int(rng.integers(-1, len(graph.tensors) + 2))
    how = rng.integers(4)
    if how == 0:
        ports = [*ports, pick]
    elif how == 1 and ports:
        ports[rng.integers(len(ports))] = pick
    elif how == 2:
        ports = ports * 2 if rng.random() < 0.5 else []
    changed = model.with_main(replace(graph, **{field: tuple(ports)}))
    if how == 3 or rng.random() < 0.3:
        pairs = (("x", max(0, pick)), ("x", 0))
        signature = Signature("s", pairs, pairs, int(rng.choice([0, 1, 2, 1000])))
        changed = replace(changed, signatures=(signature,))
    return changed


def variable(model: Model, rng: Rng) -> Model:
    """A tensor is said to keep its value between calls."""
    index, tensor = _tensor(model, rng)
    return _with_tensor(model, index, replace(tensor, is_variable=True))


def _calling(target: int, kind: int) -> Graph:
    """A graph of one value that calls another graph."""
    value = Tensor("v", TensorType((1,), DType.FLOAT32))
    flag = Tensor("b", TensorType((1,), DType.BOOL), np.array([True]))
    result = Tensor("r", TensorType((1,), DType.FLOAT32))
    if kind == 0:
        attrs = {"then_subgraph_index": target, "else_subgraph_index": target}
        node = Node("IF", (1, 0), (2,), attrs, "IfOptions")
    elif kind == 1:
        attrs = {"cond_subgraph_index": target, "body_subgraph_index": target}
        node = Node("WHILE", (0,), (2,), attrs, "WhileOptions")
    else:
        once = Node("CALL_ONCE", (), (), {"init_subgraph_index": target}, "CallOnceOptions")
        add = Node("ADD", (0, 0), (2,), {"fused_activation_function": "NONE"}, "AddOptions")
        return Graph((value, flag, result), (once, add), (0,), (2,), "caller")
    return Graph((value, flag, result), (node,), (0,), (2,), "caller")


def calls_in_a_circle(model: Model, rng: Rng) -> Model:
    """Subgraphs that call each other in a circle, or themselves, or one that is not there."""
    count = int(rng.integers(1, 5))
    kind = int(rng.integers(3))
    targets = [(i + 1) % count if rng.random() < 0.9 else int(rng.integers(0, 8)) for i in range(count)]
    return replace(model, graphs=tuple(_calling(t, kind) for t in targets), signatures=())


def calls_nested_deep(model: Model, rng: Rng) -> Model:
    """A chain of calls, up to a thousand deep."""
    count = int(rng.choice([50, 70, 300, 1000]))
    kind = int(rng.choice([0, 2]))
    graphs = [_calling(i + 1, kind) for i in range(count - 1)]
    return replace(model, graphs=(*graphs, _calling_nothing()), signatures=())


def _calling_nothing() -> Graph:
    value, result = (Tensor(n, TensorType((1,), DType.FLOAT32)) for n in "vr")
    node = Node("ADD", (0, 0), (1,), {"fused_activation_function": "NONE"}, "AddOptions")
    return Graph((value, result), (node,), (0,), (1,), "leaf")


def wide_calls(model: Model, rng: Rng) -> Model:
    """Every graph calls the next one twice: 2^n calls in n graphs."""
    count = int(rng.choice([10, 24, 40, 60]))
    graphs = []
    for i in range(count - 1):
        graph = _calling(i + 1, 0)
        again = replace(graph.nodes[0], outputs=(3,), inputs=(1, 2))
        more = Tensor("s", TensorType((1,), DType.FLOAT32))
        graphs.append(
            replace(graph, tensors=(*graph.tensors, more), nodes=(*graph.nodes, again), outputs=(3,))
        )
    return replace(model, graphs=(*graphs, _calling_nothing()), signatures=())


def metadata(model: Model, rng: Rng) -> Model:
    """The author's words are noise, or a flatbuffer of nothing but offsets."""
    noise = rng.integers(0, 256, int(rng.choice([0, 1, 7, 8, 64, 4096])), np.uint8)
    if rng.random() < 0.5:
        words = rng.choice(
            np.array([0, 4, 8, 16, 2**31 - 1, 2**32 - 8], np.uint32), int(rng.integers(2, 400))
        )
        noise = np.frombuffer(words.astype("<u4").tobytes(), np.uint8)
    return replace(model, metadata=(("TFLITE_METADATA", noise), ("min_runtime_version", noise[:3])))


CHANGES: dict[str, Change] = {
    f.__name__.replace("_", " "): f
    for f in (
        operand_elsewhere, fewer_or_more_operands, reading_its_own_result, another_shape, another_dtype,
        another_operator, another_option, another_constant, another_quantization, sparse, another_interface,
        variable, calls_in_a_circle, calls_nested_deep, wide_calls, metadata,
    )
}  # fmt: skip


def write_changed(model: Model, kind: str, rng: Rng, path: Path) -> None:
    """Writes a changed model; what the format itself cannot say is drawn again."""
    for _ in range(50):
        changed = CHANGES[kind](model, rng)
        for _ in range(int(rng.random() < 0.3)):
            changed = CHANGES[kind](changed, rng)
        try:
            tflite.write(changed, path)
        except (SanderlingError, ValueError, TypeError, OverflowError, KeyError, struct.error):
            continue
        return
    tflite.write(model, path)
