"""Makes the large CIFAR-10 model of ``benchmarks/cascade.py`` from two trained networks.

EfficientNet-Lite0 of the zoo sees the picture resized to 128 pixels, MLPerf Tiny's ResNet-8 as it is; a
softmax regression on the features of the one and the logarithms of the other's probabilities is fitted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import sanderling as sd
from sanderling.compress.resolution import at_resolution
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write
from sanderling.verbs.find import find_model

PIXELS, CLASSES = 128, 10
EPOCHS, BATCH, RATE, DECAY = 30, 200, 1e-3, 0.03
Floats = npt.NDArray[np.float32]
_NONE = {"fused_activation_function": "NONE"}


def large_model(work: Path, small: Path, images: Array, labels: Array) -> Path:
    """Makes the model, unless it is there.

    Args:
        work: folder for it and for what it is made from.
        small: ResNet-8's file.
        images: uint8 [samples, 32, 32, 3] to fit the last layer on.
        labels: [samples] their classes.
    """
    path = work / "two_networks_cifar10.tflite"
    if path.exists():
        return path
    body, features = _body(sd.load(find_model("efficientnet_lite0")), sd.load(small)), work / "features.npy"
    if not features.exists():
        write(body, work / "body.tflite")
        with sd.Session(work / "body.tflite", "litert", 1) as session:
            rows = [np.ravel(np.asarray(session(x[None].astype(np.float32)))) for x in images]
        np.save(features, np.array(rows))
    write(_with_head(body, *_fitted(np.load(features), labels)), path)
    return path


class _Net:
    """Tensors and nodes of a graph that is put together."""

    def __init__(self, tensors: Sequence[Tensor] = (), nodes: Sequence[Node] = ()) -> None:
        self.tensors, self.nodes = list(tensors), list(nodes)

    def tensor(self, name: str, shape: tuple[int, ...], values: Array | None = None) -> int:
        dtype = DType.FLOAT32 if values is None else DType(values.dtype.name)
        self.tensors.append(Tensor(name, TensorType(shape, dtype), values))
        return len(self.tensors) - 1

    def node(self, kind: str, inputs: tuple[int, ...], output: int, options: str, **attrs: object) -> int:
        self.nodes.append(Node(kind, inputs, (output,), attrs, options))
        return output

    def take(self, graph: Graph, given: int, leave: int) -> int:
        """Adds a network without its last ``leave`` nodes, fed from a tensor. Returns: what it gives."""
        start = len(self.tensors)
        self.tensors += [replace(t, name=f"{start}/{t.name}") for t in graph.tensors]
        new = {i: i + start for i in range(len(graph.tensors))} | {-1: -1, graph.inputs[0]: given}
        for node in graph.nodes[: len(graph.nodes) - leave]:
            inputs, outputs = (tuple(new[i] for i in each) for each in (node.inputs, node.outputs))
            self.nodes.append(replace(node, inputs=inputs, outputs=outputs))
        return self.nodes[-1].outputs[0]

    def model(self, given: int, gives: int) -> Model:
        graph = Graph(tuple(self.tensors), tuple(self.nodes), (given,), (gives,))
        signature = Signature("serving_default", (("image", given),), (("scores", gives),), 0)
        return compact(Model((graph,), (signature,)))


def _body(efficient: Model, small: Model) -> Model:
    """Returns: both networks on pictures of 0 to 255, their features side by side."""
    net, side = _Net(), (1, PIXELS, PIXELS, 3)
    picture = net.tensor("picture", (1, 32, 32, 3))
    size = net.tensor("size", (2,), np.array([PIXELS, PIXELS], np.int32))
    resized = net.node(
        "RESIZE_BILINEAR", (picture, size), net.tensor("resized", side), "ResizeBilinearOptions",
        align_corners=False, half_pixel_centers=True,
    )  # fmt: skip
    mean = net.tensor("mean", (), np.array(127.0, np.float32))
    share = net.tensor("share", (), np.array(1 / 128, np.float32))
    shifted = net.node("SUB", (resized, mean), net.tensor("shifted", side), "SubOptions", **_NONE)
    scaled = net.node("MUL", (shifted, share), net.tensor("scaled", side), "MulOptions", **_NONE)
    features = net.take(at_resolution(efficient, PIXELS).main, scaled, 2)  # without dense layer and softmax
    chances, least = net.take(small.main, picture, 0), net.tensor("least", (), np.array(1e-4, np.float32))
    shape = (1, CLASSES)
    above = net.node("ADD", (chances, least), net.tensor("above", shape), "AddOptions", **_NONE)
    logs = net.node("LOG", (above,), net.tensor("logs", shape), "")
    both = net.tensor("both", (1, net.tensors[features].shape[1] + CLASSES))
    net.node("CONCATENATION", (features, logs), both, "ConcatenationOptions", axis=1, **_NONE)
    return net.model(picture, both)


def _with_head(body: Model, weights: Floats, bias: Floats) -> Model:
    net = _Net(body.main.tensors, body.main.nodes)
    operands = net.tensor("head", weights.shape, weights), net.tensor("head_bias", bias.shape, bias)
    scores = net.node(
        "FULLY_CONNECTED", (body.main.outputs[0], *operands), net.tensor("logits", (1, CLASSES)),
        "FullyConnectedOptions", weights_format="DEFAULT", keep_num_dims=False,
        asymmetric_quantize_inputs=False, **_NONE,
    )  # fmt: skip
    last = net.node(
        "SOFTMAX", (scores,), net.tensor("probabilities", (1, CLASSES)), "SoftmaxOptions", beta=1.0
    )
    return net.model(body.main.inputs[0], last)


def _fitted(features: Floats, labels: Array) -> tuple[Floats, Floats]:
    """Returns: weights [classes, features] and bias of a softmax regression with decay, by Adam."""
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-3
    x, truth = (features - mean) / std, np.eye(CLASSES, dtype=np.float32)[labels]
    found = [np.zeros((CLASSES, x.shape[1]), np.float32), np.zeros(CLASSES, np.float32)]
    first, second = ([np.zeros_like(p) for p in found] for _ in range(2))
    rng, step = np.random.default_rng(0), 0
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
            step += 1
            scores = x[rows] @ found[0].T + found[1]
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            error = (odds / odds.sum(axis=1, keepdims=True) - truth[rows]) / len(rows)
            for i, slope in enumerate((error.T @ x[rows] + DECAY * found[0], error.sum(axis=0))):
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.99 * second[i] + 0.01 * slope**2
                moved = first[i] / (1 - 0.9**step), second[i] / (1 - 0.99**step)
                found[i] -= RATE * moved[0] / (np.sqrt(moved[1]) + 1e-8)
    scaled = (found[0] / std).astype(np.float32)
    return scaled, (found[1] - scaled @ mean).astype(np.float32)
