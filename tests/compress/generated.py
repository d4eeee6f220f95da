"""Random small float graphs, and LiteRT's values of every tensor in them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write

SIDE = 6
_CONV = {
    "padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1,
}  # fmt: skip
_POOL = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "filter_height": 3, "filter_width": 3}
_PLAIN = {"fused_activation_function": "NONE"}
UNARY = {
    "RELU": ("", {}), "RELU6": ("", {}), "RELU_N1_TO_1": ("", {}), "LOGISTIC": ("", {}), "TANH": ("", {}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": 0.2}), "HARD_SWISH": ("HardSwishOptions", {}),
    "ELU": ("", {}), "ABS": ("AbsOptions", {}), "NEG": ("NegOptions", {}),
    "SOFTMAX": ("SoftmaxOptions", {"beta": 1.0}), "MAX_POOL_2D": ("Pool2DOptions", _POOL | _PLAIN),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL | _PLAIN),
}  # fmt: skip
BINARY = {
    "ADD": ("AddOptions", _PLAIN), "MUL": ("MulOptions", _PLAIN), "SUB": ("SubOptions", _PLAIN),
    "MAXIMUM": ("MaximumMinimumOptions", {}), "MINIMUM": ("MaximumMinimumOptions", {}),
    "CONCATENATION": ("ConcatenationOptions", {"axis": 3} | _PLAIN),
}  # fmt: skip
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "PRELU", "ADD constant", "MUL constant")


class Random:
    """A graph that grows by one operator at a time, on images [1, SIDE, SIDE, channels]."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.values = [self._tensor("input", 3)]

    def _tensor(self, name: str, channels: int) -> int:
        self.tensors.append(Tensor(name, TensorType((1, SIDE, SIDE, channels), DType.FLOAT32)))
        return len(self.tensors) - 1

    def constant(self, *shape: int) -> int:
        spread = 10.0 ** self.rng.uniform(-2, 1)
        values = np.asarray(spread * self.rng.standard_normal(shape), np.float32)
        self.tensors.append(Tensor(f"c{len(self.tensors)}", TensorType(shape, DType.FLOAT32), values))
        return len(self.tensors) - 1

    def channels(self, index: int) -> int:
        return self.tensors[index].shape[3]

    def grow(self, op: str, first: int, second: int) -> None:
        """Adds an operator on earlier values; what does not fit is left out."""
        a, b = self.values[first % len(self.values)], self.values[second % len(self.values)]
        c, inputs = self.channels(a), (a,)
        if op in BINARY:
            if op != "CONCATENATION" and self.channels(b) != c:
                return
            options, attrs = BINARY[op]
            inputs = (a, b)
            c = c + self.channels(b) if op == "CONCATENATION" else c
        elif op in UNARY:
            options, attrs = UNARY[op]
        elif op == "CONV_2D":
            options, attrs = "Conv2DOptions", _CONV | {"fused_activation_function": "RELU6"}
            inputs, c = (a, self.constant(4, 3, 3, c), self.constant(4)), 4
        elif op == "DEPTHWISE_CONV_2D":
            options, attrs = "DepthwiseConv2DOptions", _CONV | _PLAIN | {"depth_multiplier": 1}
            inputs = (a, self.constant(1, 3, 3, c), self.constant(c))
        elif op == "PRELU":
            options, attrs, inputs = "", {}, (a, self.constant(1, 1, c))
        else:
            op = op.split()[0]
            options, attrs = BINARY[op]
            inputs = (a, self.constant(c))
        out = self._tensor(f"{op.lower()}_{len(self.nodes)}", c)
        self.nodes.append(Node(op, inputs, (out,), attrs, options))
        self.values.append(out)

    def model(self, outputs: list[int]) -> Model:
        chosen = tuple(dict.fromkeys(self.values[i % len(self.values)] for i in [*outputs, -1]))
        graph = Graph(tuple(self.tensors), tuple(self.nodes), (0,), chosen, "main")
        return Model((graph,))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Draws a model of up to 9 operators, of which several may read one value or give an output."""
    made = Random(draw(st.integers(0, 2**16)))
    kinds = st.sampled_from([*UNARY, *BINARY, *WEIGHTED])
    steps = st.tuples(kinds, st.integers(0, 9), st.integers(0, 9))
    made.grow("CONV_2D", 0, 0)
    for op, first, second in draw(st.lists(steps, min_size=1, max_size=8)):
        made.grow(op, first, second)
    return made.model(draw(st.lists(st.integers(0, 9), max_size=2)))


def values_in(model: Model, inputs: list[Array]) -> dict[int, Array]:
    """Returns: LiteRT's value of every tensor of a model, without XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        write(model, path)
        interpreter = Interpreter(
            str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        made = {i for node in model.main.nodes for i in node.outputs} | set(model.main.inputs)
        return {i: interpreter.get_tensor(i).copy() for i in made}


def ranges_in(model: Model, feeds: list[list[Array]]) -> dict[int, tuple[float, float]]:
    """Returns: the extremes of every float tensor over some calls, widened to hold zero."""
    found: dict[int, tuple[float, float]] = {}
    for feed in feeds:
        for index, array in values_in(model, feed).items():
            low, high = found.get(index, (0.0, 0.0))
            found[index] = (min(low, float(array.min())), max(high, float(array.max())))
    return found


def real_values(graph: Graph, values: Mapping[int, Array], index: int) -> Array:
    """Returns: the real numbers of a tensor: a constant, or one computed as in ``values``."""
    from sanderling.graph.constant import real

    tensor = graph.tensors[index]
    if not tensor.is_constant:
        tensor = replace(tensor, data=values[index], type=replace(tensor.type, shape=values[index].shape))
    return real(tensor) if tensor.type.is_quantized or tensor.dtype.is_float else np.asarray(tensor.data)
