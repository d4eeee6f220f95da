"""Small models for tests, built with the project's own graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sanderling import tflite
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType


class Net:
    """Builds a float graph operator by operator; the last result is the current one."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = [Tensor("input", TensorType(shape, DType.FLOAT32))]
        self.nodes: list[Node] = []
        self.last = 0

    def constant(self, values: np.ndarray, name: str) -> int:
        dtype = DType(values.dtype.name)
        self.tensors.append(Tensor(name, TensorType(values.shape, dtype), values))
        return len(self.tensors) - 1

    def op(
        self,
        kind: str,
        shape: tuple[int, ...],
        inputs: tuple[int, ...] = (),
        options: str = "",
        **attrs: object,
    ) -> Net:
        self.tensors.append(Tensor(f"{kind.lower()}_{len(self.nodes)}", TensorType(shape, DType.FLOAT32)))
        out = len(self.tensors) - 1
        self.nodes.append(Node(kind, (self.last, *inputs), (out,), attrs, options))
        self.last = out
        return self

    def conv(self, filters: int, *, activation: str = "RELU", size: int = 3) -> Net:
        n, h, w, c = self.tensors[self.last].shape
        scale = (2 / (size * size * c)) ** 0.5
        weights = (self.rng.standard_normal((filters, size, size, c)) * scale).astype(np.float32)
        bias = (self.rng.standard_normal(filters) * 0.1).astype(np.float32)
        operands = (self.constant(weights, f"w{len(self.nodes)}"), self.constant(bias, f"b{len(self.nodes)}"))
        return self.op(
            "CONV_2D", (n, h, w, filters), operands, "Conv2DOptions", padding="SAME", stride_w=1, stride_h=1,
            fused_activation_function=activation, dilation_w_factor=1, dilation_h_factor=1,
        )  # fmt: skip

    def depthwise(self, *, stride: int = 1, padding: str = "SAME", activation: str = "RELU6") -> Net:
        n, h, w, c = self.tensors[self.last].shape
        weights = (self.rng.standard_normal((1, 3, 3, c)) / 3).astype(np.float32)
        bias = (self.rng.standard_normal(c) * 0.1).astype(np.float32)
        operands = (self.constant(weights, f"w{len(self.nodes)}"), self.constant(bias, f"b{len(self.nodes)}"))
        cut = 0 if padding == "SAME" else 2
        return self.op(
            "DEPTHWISE_CONV_2D", (n, -(-(h - cut) // stride), -(-(w - cut) // stride), c), operands,
            "DepthwiseConv2DOptions", padding=padding, stride_w=stride, stride_h=stride, depth_multiplier=1,
            fused_activation_function=activation, dilation_w_factor=1, dilation_h_factor=1,
        )  # fmt: skip

    def pool(self) -> Net:
        n, h, w, c = self.tensors[self.last].shape
        return self.op(
            "MAX_POOL_2D", (n, h // 2, w // 2, c), (), "Pool2DOptions", padding="VALID", stride_w=2,
            stride_h=2, filter_width=2, filter_height=2, fused_activation_function="NONE",
        )  # fmt: skip

    def reshape(self, *shape: int) -> Net:
        target = self.constant(np.array(shape, np.int32), f"shape{len(self.nodes)}")
        return self.op("RESHAPE", shape, (target,), "ReshapeOptions", new_shape=shape)

    def dense(self, units: int, activation: str = "NONE") -> Net:
        n, c = self.tensors[self.last].shape
        weights = (self.rng.standard_normal((units, c)) / c**0.5).astype(np.float32)
        bias = np.zeros(units, np.float32)
        operands = (self.constant(weights, f"w{len(self.nodes)}"), self.constant(bias, f"b{len(self.nodes)}"))
        return self.op(
            "FULLY_CONNECTED", (n, units), operands, "FullyConnectedOptions",
            fused_activation_function=activation, weights_format="DEFAULT", keep_num_dims=False,
        )  # fmt: skip

    def softmax(self) -> Net:
        return self.op("SOFTMAX", self.tensors[self.last].shape, (), "SoftmaxOptions", beta=1.0)

    def model(self, *, signature: bool = True) -> Model:
        graph = Graph(tuple(self.tensors), tuple(self.nodes), (0,), (self.last,), "main")
        named = (Signature("serving_default", (("x", 0),), (("y", self.last),)),) if signature else ()
        return Model((graph,), named, description="made for a test")


def classifier(seed: int = 0, *, size: int = 12, classes: int = 5, filters: int = 8) -> Model:
    """A little convolutional classifier."""
    half = size // 2
    net = Net((1, size, size, 1), seed).conv(filters).pool().conv(filters)
    return net.reshape(1, half * half * filters).dense(classes).softmax().model()


def save(model: Model, path: Path) -> Path:
    tflite.write(model, path)
    return path


def run_litert(path: Path, *inputs: np.ndarray) -> list[np.ndarray]:
    """Runs a model on LiteRT's own interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def random_inputs(path: Path, seed: int = 0) -> list[np.ndarray]:
    """Inputs of the right shapes and types for a model file."""
    from ai_edge_litert.interpreter import Interpreter

    rng = np.random.default_rng(seed)
    values: list[np.ndarray] = []
    for detail in Interpreter(str(path)).get_input_details():
        low, high = (-50, 50) if detail["dtype"] == np.int8 else (0, 200)
        if np.issubdtype(detail["dtype"], np.floating):
            values.append(rng.random(detail["shape"]).astype(detail["dtype"]))
        else:
            values.append(rng.integers(low, high, detail["shape"]).astype(detail["dtype"]))
    return values


def noise(model: Model, seed: int | np.random.Generator = 0) -> list[np.ndarray]:
    """Returns: an input of noise: floats between −1 and 1, integers over their whole range."""
    rng = np.random.default_rng(seed)
    feed: list[np.ndarray] = []
    for index in model.main.inputs:
        kind = model.main.tensors[index].type
        if kind.dtype.is_float:
            feed.append(rng.uniform(-1, 1, kind.shape).astype(kind.dtype.numpy))
        else:
            info = np.iinfo(kind.dtype.value)
            feed.append(rng.integers(info.min, info.max, kind.shape, endpoint=True).astype(kind.dtype.numpy))
    return feed


def computes_with_integers(graph: Graph) -> bool:
    """Returns: whether a graph computes with quantized values."""
    return any(t.type.is_quantized for node in graph.nodes for t in graph.results(node))


WORDS = ("[PAD]", "[UNK]", "bird", "gull", "sea", "shore")


def token_encoder(folder: Path) -> Path:
    """A model that looks up a vector for each token, with its tokenizer beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    rng = np.random.default_rng(0)
    table = rng.standard_normal((len(WORDS), 32)).astype(np.float32)
    table[3], table[5] = table[2] + 0.1 * table[3], table[4] + 0.1 * table[5]  # alike: bird, gull; sea, shore
    tensors = (
        Tensor("input_ids", TensorType((1, 6), DType.INT32)),
        Tensor("attention_mask", TensorType((1, 6), DType.INT32)),
        Tensor("table", TensorType(table.shape, DType.FLOAT32), table),
        Tensor("tokens", TensorType((1, 6, 32), DType.FLOAT32)),
        Tensor("seen", TensorType((1, 6), DType.INT32)),
    )
    nodes = (
        Node("GATHER", (2, 0), (3,), {"axis": 0, "batch_dims": 0}, "GatherOptions"),
        Node("ADD", (1, 1), (4,), {"fused_activation_function": "NONE"}, "AddOptions"),
    )
    names = {"input_ids": 0, "attention_mask": 1}
    signature = Signature("serving_default", tuple(names.items()), (("tokens", 3), ("seen", 4)))
    model = Model((Graph(tensors, nodes, (0, 1), (3, 4)),), (signature,))
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    return save(model, folder / "encoder.tflite")
