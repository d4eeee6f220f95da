"""StableHLO operators that call a graph of the model for their arithmetic, against LiteRT."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.registry import find
from sanderling.errors import RunError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write
from tests.ops.single import run_litert

SCALAR = TensorType((), DType.FLOAT32)
SMALL = st.integers(1, 3)
OPTIONS = {"ADD": "AddOptions", "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions"}


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


def ours(made: Model, inputs: list[Array]) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        write(made, path)
        return find("reference").load(path, made).run(inputs)[0]


@settings(max_examples=25)
@given(size=st.tuples(st.integers(3, 7), st.integers(3, 7)), window=st.tuples(SMALL, SMALL),
       stride=st.tuples(SMALL, SMALL), spread=st.tuples(SMALL, SMALL), dilation=st.tuples(SMALL, SMALL),
       padding=st.tuples(*[st.integers(0, 2)] * 4),
       body=st.sampled_from(["ADD", "MAXIMUM", "MINIMUM"]))  # fmt: skip
def test_windows(
    size: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    spread: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int, int, int],
    body: str,
) -> None:
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    start = np.array({"ADD": 0, "MAXIMUM": -1e30, "MINIMUM": 1e30}[body], np.float32)
    wide = [
        (n - 1) * s + 1 + a + b for n, s, a, b in zip(size, spread, padding[::2], padding[1::2], strict=True)
    ]
    extents = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    shape = tuple((n - e) // s + 1 for n, e, s in zip(wide, extents, stride, strict=True))
    if min(shape) < 1:
        return
    attrs = {"window_dimensions": window, "window_strides": stride, "base_dilations": spread,
             "window_dilations": dilation, "padding": padding, "body_subgraph_index": 1}  # fmt: skip
    node = Node("STABLEHLO_REDUCE_WINDOW", (0, 1), (2,), attrs, "StablehloReduceWindowOptions")
    made = model(node, [x, start], TensorType(shape, DType.FLOAT32), body)
    (theirs,) = run_litert(made, [x, start], reference=False)
    np.testing.assert_allclose(ours(made, [x, start]), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("body", ["", "STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM"])
def test_scattered_rows(body: str) -> None:
    rng = np.random.default_rng(1)
    x, rows = rng.standard_normal((5, 4)).astype(np.float32), np.array([[3], [0], [3], [9]], np.int32)
    updates = rng.standard_normal((4, 4)).astype(np.float32)
    attrs = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,),
             "index_vector_dim": 1, "update_computation_subgraph_index": 1, "indices_are_sorted": False,
             "unique_indices": False}  # fmt: skip
    node = Node("STABLEHLO_SCATTER", (0, 1, 2), (3,), attrs, "StablehloScatterOptions")
    made = model(node, [x, rows, updates], TensorType(x.shape, DType.FLOAT32), body)
    (theirs,) = run_litert(made, [x, rows, updates], reference=False)
    np.testing.assert_allclose(ours(made, [x, rows, updates]), theirs, rtol=0, atol=1e-6)


def test_updates_that_do_not_fit_are_refused() -> None:
    x, rows, updates = np.zeros((5, 4), np.float32), np.zeros((2, 1), np.int32), np.zeros((3, 4), np.float32)
    attrs = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,),
             "index_vector_dim": 1, "update_computation_subgraph_index": 1}  # fmt: skip
    node = Node("STABLEHLO_SCATTER", (0, 1, 2), (3,), attrs, "StablehloScatterOptions")
    made = model(node, [x, rows, updates], TensorType(x.shape, DType.FLOAT32), "STABLEHLO_ADD")
    with pytest.raises(RunError, match="cannot put updates"):
        ours(made, [x, rows, updates])
