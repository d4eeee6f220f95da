"""Models of StableHLO operators that call another graph for their arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType

SCALAR = TensorType((), DType.FLOAT32)
OPTIONS = {"ADD": "AddOptions", "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions"}
STARTS = {"ADD": 0.0, "MAXIMUM": -1e30, "MINIMUM": 1e30}


def model(node: Node, inputs: list[Array], out: TensorType, body: str) -> Model:
    """Returns: a model of one node, whose graph 1 applies ``body`` to two scalars, or gives the second."""
    tensors = [Tensor(f"in{i}", TensorType(a.shape, DType(str(a.dtype)))) for i, a in enumerate(inputs)]
    fed = tuple(range(len(inputs)))
    main = Graph((*tensors, Tensor("out", out)), (node,), fed, (len(inputs),), "main")
    scalars = tuple(Tensor(name, SCALAR) for name in ("a", "b", "c"))
    options = OPTIONS.get(body, "")
    attrs = {"fused_activation_function": "NONE"} if body == "ADD" else {}
    calls = (Node(body, (0, 1), (2,), attrs, options),) if body else ()
    inner = Graph(scalars if body else scalars[:2], calls, (0, 1), (2 if body else 1,), "body")
    return Model((main, inner))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Model, list[Array]]:
    """Draws a STABLEHLO_REDUCE_WINDOW over a matrix, and what is fed to it."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    size, window, stride, spread, dilation = pair(3, 7), pair(1, 3), pair(1, 3), pair(1, 3), pair(1, 3)
    padding, body = (*pair(0, 2), *pair(0, 2)), draw(st.sampled_from(sorted(STARTS)))
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    wide = [
        (n - 1) * s + 1 + a + b for n, s, a, b in zip(size, spread, padding[::2], padding[1::2], strict=True)
    ]
    extents = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    shape = tuple((n - e) // s + 1 for n, e, s in zip(wide, extents, stride, strict=True))
    assume(min(shape) >= 1)
    attrs = {
        "window_dimensions": window, "window_strides": stride, "base_dilations": spread,
        "window_dilations": dilation, "padding": padding, "body_subgraph_index": 1,
    }  # fmt: skip
    node = Node("STABLEHLO_REDUCE_WINDOW", (0, 1), (2,), attrs, "StablehloReduceWindowOptions")
    fed: list[Array] = [x, np.array(STARTS[body], np.float32)]
    return model(node, fed, TensorType(shape, DType.FLOAT32), body), fed
