"""States: what a file gives a variable as its first value is not a constant to fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.registry import find
from sanderling.passes.pipeline import PLAIN_WEIGHTS, run
from tests.ops.single import SEED, model_of


def test_a_float16_start_of_a_state_is_not_folded_into_it() -> None:
    op = find("UNIDIRECTIONAL_SEQUENCE_RNN")
    assert op is not None
    assert op.cases is not None
    case = op.cases(np.random.default_rng(SEED))[0]
    model: Model = model_of(op, case, [TensorType((6, 3, 4), DType.FLOAT32)])
    graph = model.main
    (state,) = (i for i, tensor in enumerate(graph.tensors) if tensor.is_variable)
    start = Tensor("start", TensorType((3, 4), DType.FLOAT16), np.zeros((3, 4), np.float16))
    unpack = Node("DEQUANTIZE", (len(graph.tensors),), (state,), {}, "DequantizeOptions")
    graph = replace(graph, tensors=(*graph.tensors, start), nodes=(unpack, *graph.nodes))
    folded = run(model.with_main(graph), PLAIN_WEIGHTS)[0]
    (kept,) = (tensor for tensor in folded.main.tensors if tensor.is_variable)
    assert not kept.is_constant
    assert [node.op for node in folded.main.nodes] == ["DEQUANTIZE", op.name]
