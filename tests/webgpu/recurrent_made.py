"""Recurrent networks as converters write them: layers over sequences, and a classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from tests.models import Net

LSTM_OPTIONS = {
    "fused_activation_function": "TANH", "cell_clip": 0.0, "proj_clip": 0.0, "time_major": False,
    "asymmetric_quantize_inputs": False, "diagonal_recurrent_tensors": False,
}  # fmt: skip
RNN_OPTIONS = {
    "fused_activation_function": "TANH", "time_major": False, "asymmetric_quantize_inputs": False,
}  # fmt: skip


class Recurrent(Net):
    """A network of recurrent layers over x [B, T, I]."""

    def weights(self, *shape: int) -> int:
        values = self.rng.standard_normal(shape) / shape[-1] ** 0.5
        return self.constant(values.astype(np.float32), f"w{len(self.tensors)}")

    def state(self, *shape: int) -> int:
        self.tensors.append(
            Tensor(f"state{len(self.tensors)}", TensorType(shape, DType.FLOAT32), is_variable=True)
        )
        return len(self.tensors) - 1

    def lstm(self, units: int) -> Recurrent:
        batch, steps, features = self.tensors[self.last].shape
        operands = [self.weights(units, features) for _ in range(4)]
        operands += [self.weights(units, units) for _ in range(4)]
        operands += [-1, -1, -1, *(self.weights(units) for _ in range(4)), -1, -1]
        operands += [self.state(batch, units), self.state(batch, units)]
        self.op(
            "UNIDIRECTIONAL_SEQUENCE_LSTM", (batch, steps, units), tuple(operands),
            "UnidirectionalSequenceLSTMOptions", **LSTM_OPTIONS,
        )  # fmt: skip
        return self

    def rnn(self, units: int) -> Recurrent:
        batch, steps, features = self.tensors[self.last].shape
        operands = (self.weights(units, features), self.weights(units, units), self.weights(units))
        held = self.state(batch, units)
        self.op(
            "UNIDIRECTIONAL_SEQUENCE_RNN", (batch, steps, units), (*operands, held), "SequenceRNNOptions",
            **RNN_OPTIONS,
        )  # fmt: skip
        return self

    def svdf(self, filters: int, rank: int, memory: int) -> Recurrent:
        batch, features = self.tensors[self.last].shape
        operands = (
            self.weights(filters, features), self.weights(filters, memory), self.weights(filters // rank),
            self.state(batch, filters * memory),
        )  # fmt: skip
        options = {"fused_activation_function": "RELU", "asymmetric_quantize_inputs": False, "rank": rank}
        self.op("SVDF", (batch, filters // rank), operands, "SVDFOptions", **options)
        return self


def stacked(steps: int, batch: int) -> Model:
    """LSTM, RNN, LSTM, and a dense layer on all that the last one gave."""
    net = Recurrent((batch, steps, 7), 3).lstm(12).rnn(9).lstm(5)
    return net.reshape(batch, steps * 5).dense(4).softmax().model()


def hybrid(model: Model) -> Model:
    """Returns: the model with its matrices stored in int8."""
    tensors = list(model.main.tensors)
    for index, tensor in enumerate(tensors):
        if tensor.data is None or tensor.data.ndim != 2 or tensor.data.dtype != np.float32:
            continue
        scale = float(np.abs(tensor.data).max()) / 127
        stored = np.round(tensor.data / np.float32(scale)).astype(np.int8)
        kind = TensorType(tensor.shape, DType.INT8, Quant.of(scale))
        tensors[index] = replace(tensor, type=kind, data=stored)
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


def inputs(model: Model, count: int) -> list[Array]:
    """Returns: so many different inputs."""
    rng = np.random.default_rng(5)
    shape = model.main.tensors[0].shape
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
