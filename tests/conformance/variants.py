"""One-operator models: every case of every operator, as it is and in every kind of integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType
from sanderling.ops.op import Case, Op
from tests.ops.quantized import (
    HYBRID,
    HYBRID_PER_TENSOR,
    INT8,
    INT8_PER_TENSOR,
    INT16,
    UINT8,
    Scheme,
    has_weights,
    is_real,
    quantize_case,
)
from tests.ops.single import declared_types, every_case, fed_arrays, label, model_of, node_of, type_of

FLOAT, HALF_WEIGHTS = "float", "half weights"
# int16 sums with general scales are another kernel than the old one for powers of two.
_ATTRS: dict[tuple[str, str], dict[str, object]] = {
    ("ADD", "int16"): {"pot_scale_int16": False},
    ("SUB", "int16"): {"pot_scale_int16": False},
    # XNNPACK quantizes rows asymmetrically whatever the file says; the reference kernels obey.
    ("FULLY_CONNECTED", "hybrid"): {"asymmetric_quantize_inputs": True},
    ("BATCH_MATMUL", "hybrid"): {"asymmetric_quantize_inputs": True},
}
# Operators that multiply float activations by stored weights. Others read the integers as if they were
# floats, and DEPTHWISE_CONV_2D reads one scale for each channel even where there is only one.
HYBRID_OPERATORS = {
    HYBRID.name: {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"},
    HYBRID_PER_TENSOR.name: {"CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"},
}


@dataclass(frozen=True, eq=False)
class Variant:
    """A model of one operator and what to feed it.

    Attributes:
        kind: ``float``, the name of a ``Scheme``, or ``half weights`` (float16 behind DEQUANTIZE).
        op, case: what it was made from.
    """

    kind: str
    op: Op
    case: Case

    @property
    def id(self) -> str:
        return f"{self.op.name}-{label(self.case)}-{self.kind.replace(' ', '_')}"

    def build(self) -> tuple[Model, list[Array]]:
        """Returns: the model, and arrays for its inputs."""
        outputs = float_outputs(self.op, self.case)
        if self.kind == FLOAT:
            return model_of(self.op, self.case, [type_of(array) for array in outputs]), fed_arrays(self.case)
        if self.kind == HALF_WEIGHTS:
            return _half_weights(self.op, self.case, outputs), fed_arrays(self.case)
        scheme = next(s for s in SCHEMES if s.name == self.kind)
        made = quantize_case(self.op, self.case, outputs, scheme, _ATTRS.get((self.op.name, scheme.name)))
        return made.model, made.fed


SCHEMES: tuple[Scheme, ...] = (INT8, INT8_PER_TENSOR, UINT8, INT16, HYBRID, HYBRID_PER_TENSOR)


def every_variant() -> Iterator[Variant]:
    """Yields: all of them."""
    for op, case in every_case():
        for kind in kinds_of(op, case):
            yield Variant(kind, op, case)


def kinds_of(op: Op, case: Case) -> Iterator[str]:
    """Yields: the kinds of models of a case; integers only where it has real numbers and keeps no state."""
    yield FLOAT
    real = any(is_real(a) for i, a in enumerate(case.inputs) if i not in op.quant.passthrough)
    if not real or case.variables:
        return
    weighted = has_weights(op, case)
    for scheme in SCHEMES:
        hybrid = op.name in HYBRID_OPERATORS.get(scheme.name, {op.name})
        if scheme in (INT8, UINT8, INT16) or (weighted and hybrid):
            yield scheme.name
    if weighted:
        yield HALF_WEIGHTS


def float_outputs(op: Op, case: Case) -> list[Array]:
    """Returns: what the operator's own float implementation gives, for ranges and shapes."""
    assert op.reference is not None
    declared = declared_types(op, case)
    types = [None if array is None else type_of(array) for array in case.inputs]
    inputs = [
        array.copy() if array is not None and i in case.variables else array
        for i, array in enumerate(case.inputs)
    ]
    return op.reference(node_of(op, case, len(declared)), inputs, types, declared)


def _half_weights(op: Op, case: Case, outputs: list[Array]) -> Model:
    graph = model_of(op, case, [type_of(array) for array in outputs]).main
    tensors, nodes = list(graph.tensors), list(graph.nodes)
    positions = dict(zip(nodes[0].inputs, range(len(case.inputs)), strict=True))
    for index, tensor in enumerate(graph.tensors):
        if tensor.data is None or positions.get(index) not in op.quant.weights:
            continue
        small = tensor.data.astype(np.float16)
        stored = Tensor(f"{tensor.name}_half", replace(tensor.type, dtype=DType.FLOAT16), small)
        tensors[index] = replace(tensor, data=None)
        nodes.insert(0, Node("DEQUANTIZE", (len(tensors),), (index,), {}, "DequantizeOptions", version=3))
        tensors.append(stored)
    return Model((Graph(tuple(tensors), tuple(nodes), graph.inputs, graph.outputs, "main"),))
