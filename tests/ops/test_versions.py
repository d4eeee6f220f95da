"""Versions of operators: as TensorFlow's converter gave them to real models, and rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.graph.graph import CUSTOM, Graph, Node, Sparsity, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.ops.versions import _CONDITIONS, _TYPES, _rules, least_version, with_versions
from sanderling.tflite import read
from sanderling.tflite.releases import tflite_releases
from sanderling.tflite.schema import schema

# (model, operator): said too little by the converters of 2019 and 2020.
TOO_LITTLE = {
    ("face_detection_short_range", "DEQUANTIZE"), ("face_landmark_fp16", "DEQUANTIZE"),
    ("hand_landmark_full", "DEQUANTIZE"), ("pose_landmark_lite", "DEQUANTIZE"),
    ("selfie_segmentation", "DEQUANTIZE"), ("ssd_mobilenetv2_oidv4_fp16", "DEQUANTIZE"),
    ("selfie_segmentation", "RESIZE_BILINEAR"),
}  # fmt: skip
QUANT = Quant.of(0.5)


def tensor(
    dtype: str, shape: tuple[int, ...] = (1, 4, 4, 8), *, quant: Quant | None = None, channels: bool = False
) -> Tensor:
    if channels:
        quant = Quant(np.ones(shape[-1], np.float32), np.zeros(shape[-1], np.int64), axis=len(shape) - 1)
    return Tensor("", TensorType(shape, DType(dtype), quant))


F, I8, I16, I32 = (
    tensor("float32"),
    tensor("int8", quant=QUANT),
    tensor("int16", quant=QUANT),
    tensor("int32"),
)
INT4, W, WC = tensor("int4", quant=QUANT), tensor("int8", quant=QUANT), tensor("int8", channels=True)
SPARSE = replace(F, sparsity=Sparsity((), (), ()))
F5, FEW = tensor("float32", (1, 2, 3, 4, 5)), tensor("float32", (5,))


@pytest.mark.parametrize(
    "op, operands, result, attrs, version",
    [
        ("CONV_2D", [F, F, F], F, {}, 1),
        ("CONV_2D", [I8, WC, I32], I8, {}, 3),
        ("CONV_2D", [F, W, F], F, {}, 2),
        ("CONV_2D", [F, WC, F], F, {}, 5),
        ("CONV_2D", [F, tensor("float32", (1, 4, 4, 2)), F], F, {}, 6),
        ("CONV_2D", [I8, INT4, I32], I8, {}, 7),
        ("CONV_2D", [I16, WC, None], I16, {}, 4),
        ("CONV_2D", [I16, WC, I32], I16, {"quantized_bias_type": "int32"}, 8),
        ("DEPTHWISE_CONV_2D", [F, F, F], F, {"dilation_w_factor": 2, "dilation_h_factor": 1}, 2),
        ("DEPTHWISE_CONV_2D", [F, WC, F], F, {"dilation_w_factor": 1, "dilation_h_factor": 1}, 6),
        ("FULLY_CONNECTED", [F, F, None], F, {"keep_num_dims": False}, 1),
        ("FULLY_CONNECTED", [F, F], F, {}, 6),
        ("FULLY_CONNECTED", [I8, WC, I32], I8, {"keep_num_dims": False}, 4),
        ("FULLY_CONNECTED", [I8, WC, I32], I8, {"keep_num_dims": True}, 5),
        ("FULLY_CONNECTED", [F, W, F], F, {"asymmetric_quantize_inputs": False}, 3),
        ("FULLY_CONNECTED", [F, W, F], F, {"asymmetric_quantize_inputs": True}, 9),
        ("FULLY_CONNECTED", [F, WC, F], F, {"asymmetric_quantize_inputs": True}, 12),
        ("FULLY_CONNECTED", [F, INT4, F], F, {}, 10),
        ("FULLY_CONNECTED", [F, SPARSE, F], F, {}, 8),
        ("TRANSPOSE_CONV", [I32, F, F], F, {}, 1),
        ("TRANSPOSE_CONV", [I32, WC, I8], I8, {}, 2),
        ("TRANSPOSE_CONV", [I32, F, F, FEW], F, {}, 3),
        ("TRANSPOSE_CONV", [I32, F, F, FEW], F, {"fused_activation_function": "RELU"}, 4),
        ("DEQUANTIZE", [I8], F, {}, 2),
        ("DEQUANTIZE", [tensor("float16")], F, {}, 3),
        ("DEQUANTIZE", [WC], F, {}, 5),
        ("DEQUANTIZE", [INT4], F, {}, 6),
        ("QUANTIZE", [F], I8, {}, 1),
        ("QUANTIZE", [F], I16, {}, 2),
        ("MUL", [I8, I8], tensor("int8", quant=Quant.of(1.0)), {}, 2),
        ("MUL", [I8, I8], tensor("int8", quant=Quant.of(0.125)), {}, 3),
        ("ADD", [I16, I16], I16, {"pot_scale_int16": True}, 1),
        ("ADD", [I16, I16], I16, {"pot_scale_int16": False}, 3),
        ("ADD", [tensor("int16"), tensor("int16")], tensor("int16"), {"pot_scale_int16": True}, 5),
        ("SUB", [F5, F5], F5, {}, 1),
        ("SUB", [F5, FEW], F5, {}, 3),
        ("RESIZE_BILINEAR", [F, I32], F, {"half_pixel_centers": True}, 3),
        ("RESIZE_BILINEAR", [I8, I32], I8, {"half_pixel_centers": False}, 2),
        ("BATCH_MATMUL", [F, W], F, {"asymmetric_quantize_inputs": True}, 4),
        ("TILE", [I8, I32], I8, {}, 3),
        ("BROADCAST_TO", [F, I32], F, {}, 2),
        ("TRANSPOSE", [F5, I32], F5, {}, 4),
        ("RESHAPE", [I8], I8, {}, 1),
        ("CONV_2D", [], F, {}, 1),
    ],
)  # fmt: skip
def test_rules(
    op: str, operands: Sequence[Tensor | None], result: Tensor, attrs: Mapping[str, Any], version: int
) -> None:
    inputs = tuple(-1 if each is None else i for i, each in enumerate(operands))
    node = Node(op, inputs, (len(operands),), attrs)
    assert least_version(node, operands, [result]) == version


def test_every_rule_can_be_read() -> None:
    """A misspelt condition would be taken for an attribute that is never set."""
    options = {table: {field.name for field in fields} for table, fields in schema().tables.items()}
    for op, rules in _rules().items():
        named = set().union(*options.values())
        for version, terms in rules:
            assert 1 < version <= len(tflite_releases()[op]) + 2, op
            for term in terms:
                place, _, dtype = term.rpartition("=")
                known = term in _CONDITIONS or dtype in _TYPES or term.removeprefix("!") in named
                assert known, (op, term)
                assert not place or place.isdecimal() or place in ("any", "out"), (op, term)


def test_versions_are_those_of_the_converter(zoo_dir: Path) -> None:
    """One file says one version of an operator for all its calls, often; so they may say more, not less."""
    counted = 0
    for file in sorted((zoo_dir / "tflite").glob("*.tflite")):
        model = read(file)
        for graph in model.graphs:
            nodes = [node for node in graph.nodes if node.op != CUSTOM]
            needed: dict[str, int] = {}
            for node in nodes:
                least = least_version(node, graph.operands(node), graph.results(node))
                needed[node.op] = max(least, needed.get(node.op, 1))
            said = {op: max(node.version for node in nodes if node.op == op) for op in needed}
            for op, version in needed.items():
                if (file.stem, op) in TOO_LITTLE:
                    assert said[op] < version
                else:
                    assert said[op] >= version, (file.stem, op)
                counted += said[op] == version
    assert counted > 100


def test_versions_are_set_where_all_are_known() -> None:
    """Another call of the same operator may have asked for more; a version of the future is not touched."""
    nodes = (
        Node("RELU", (0,), (1,), version=3), Node("TILE", (2, 3), (4,)), Node("RELU", (0,), (1,), version=9),
        Node("RESHAPE", (0,), (1,), version=2), Node(CUSTOM, (0,), (1,), custom_code="RELU", version=2),
    )  # fmt: skip
    graph = Graph((F, F, I8, I32, I8), nodes, (0,), (1,))
    assert [node.version for node in with_versions(graph).nodes] == [1, 3, 9, 2, 2]
