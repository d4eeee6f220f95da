"""Runs exported models in ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.onnx.write import STATES, export


class Exported:
    """A model as ONNX, checked, in ONNX Runtime; keeps the state that the model keeps."""

    def __init__(self, model: Model, *, opset: int | None = None, optimised: Path | None = None) -> None:
        self.proto = onnx.load_from_string(export(model, opset=opset))
        onnx.checker.check_model(self.proto, full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        # By default activations beside stored weights are rounded to 8 bits on the way.
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        if optimised is not None:
            options.optimized_model_filepath = str(optimised)
        self.session = onnxruntime.InferenceSession(
            self.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        props = {each.key: each.value for each in self.proto.metadata_props}
        self.states: dict[str, str] = json.loads(props.get(STATES, "{}"))
        self.inputs = [port.name for port in self.session.get_inputs()]
        self.outputs = [
            port.name for port in self.session.get_outputs() if port.name not in self.states.values()
        ]
        self._held: dict[str, Array] = {}

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Returns: the model's own outputs; the state is fed again next time."""
        named = dict(zip(self.inputs, map(np.asarray, arrays), strict=True)) | self._held
        found = self.session.run([*self.outputs, *self.states.values()], named)
        self._held = dict(zip(self.states, found[len(self.outputs) :], strict=True))
        return found[: len(self.outputs)]

    def count(self, op: str) -> int:
        """Returns: how many nodes call an operator."""
        return sum(node.op_type == op for node in self.proto.graph.node)


def single(model: Model, node: Node) -> Model:
    """Returns: a model of one node."""
    tensors = tuple(replace(tensor, shape_signature=()) for tensor in model.main.tensors)
    fed = dict.fromkeys(i for i in node.inputs if i >= 0 and not tensors[i].is_constant)
    graph = replace(model.main, tensors=tensors, nodes=(node,), inputs=tuple(fed), outputs=node.outputs)
    return Model((graph,))
