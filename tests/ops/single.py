"""Models of one operator, built from an operator's own cases."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find, names
from sanderling.tflite import write
from sanderling.tflite.schema import schema

SEED = 7
VERSIONS = {"BROADCAST_TO": 2}  # LiteRT has no first version of it
OUTPUTS = {"TOPK_V2": 2, "UNIQUE": 2, "NON_MAX_SUPPRESSION_V4": 2, "NON_MAX_SUPPRESSION_V5": 3}


def every_op() -> list[Op]:
    """Returns: all operators, by name."""
    return [op for op in map(find, sorted(names())) if op is not None]


def every_case() -> list[tuple[Op, Case]]:
    """Returns: all cases of all operators."""
    return [(op, case) for op in every_op() if op.cases for case in op.cases(np.random.default_rng(SEED))]


def label(value: object) -> str:
    """Returns: a test's name for an operator or a case."""
    return getattr(value, "name", str(value)).replace(" ", "_")


def type_of(array: Array, quant: Quant | None = None) -> TensorType:
    """Returns: an array's type."""
    return TensorType(array.shape, DType(str(array.dtype)), quant)


def options_of(op: Op, attrs: dict[str, Any]) -> dict[str, Any]:
    """Returns: all fields of the operator's options, the schema's defaults where ``attrs`` says nothing."""
    if not op.options:
        assert not attrs, f"{op.name} has no options"
        return {}
    known = {field.name: field for field in schema().tables[op.options]}
    assert set(attrs) <= set(known), f"{op.options} has no {set(attrs) - set(known)}"
    defaults = {
        name: schema().names[field.enum][field.default] if field.enum else field.default
        for name, field in known.items()
    }
    return defaults | attrs


def node_of(op: Op, case: Case, outputs: int) -> Node:
    """Returns: the operator's call; inputs come first among the tensors, absent ones are −1."""
    count, inputs = 0, []
    for array in case.inputs:
        inputs.append(-1 if array is None else count)
        count += array is not None
    attrs = options_of(op, dict(case.attrs))
    return Node(
        op.name,
        tuple(inputs),
        tuple(range(count, count + outputs)),
        attrs,
        op.options,
        version=VERSIONS.get(op.name, 1),
    )


def operands_of(case: Case, *, constant: Sequence[int] | None = None) -> list[Tensor | None]:
    """Returns: the case's operands; those at ``constant`` (default: the case's own) carry data."""
    stored = case.constant if constant is None else constant
    return [
        None
        if array is None
        else Tensor(f"in{i}", type_of(array), array if i in stored else None, is_variable=i in case.variables)
        for i, array in enumerate(case.inputs)
    ]


def output_count(op: Op, case: Case) -> int:
    """Returns: how many outputs the call has."""
    for name in ("num", "num_splits"):
        if name in case.attrs:
            return int(str(case.attrs[name]))
    return len(case.declared) or OUTPUTS.get(op.name, 1)


def declared_types(op: Op, case: Case) -> list[TensorType]:
    """Returns: what a file would declare where the operator cannot know it: nothing but the count."""
    if case.declared:
        return [TensorType((), DType(dtype)) for dtype in case.declared]
    dtype = DType(str(case.attrs.get("out_data_type", "float32")))
    return [TensorType((), dtype)] * output_count(op, case)


def fed_arrays(case: Case) -> list[Array]:
    """Returns: what a caller feeds: neither constants nor the operator's own state."""
    kept = {*case.constant, *case.variables}
    return [array for i, array in enumerate(case.inputs) if array is not None and i not in kept]


def model_of(op: Op, case: Case, outputs: Sequence[TensorType]) -> Model:
    """Returns: a model that runs the case."""
    operands = [tensor for tensor in operands_of(case) if tensor is not None]
    results = [Tensor(f"out{i}", kind) for i, kind in enumerate(outputs)]
    node = node_of(op, case, len(results))
    fed = tuple(i for i, t in enumerate(operands) if not (t.is_constant or t.is_variable))
    return Model((Graph((*operands, *results), (node,), fed, node.outputs, "main"),))


def run_litert(model: Model, arrays: Sequence[Array], *, reference: bool) -> list[Array]:
    """Runs a model in LiteRT, with its reference kernels or as it comes."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        write(model, path)
        interpreter = Interpreter(str(path), experimental_op_resolver_type=kind, num_threads=1)
        for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        interpreter.allocate_tensors()
        for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()]
