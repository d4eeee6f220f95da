"""Models whose leading dimension is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import RunError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.batched import with_rows
from tests.models import Net, classifier, run_litert, save


def rows_of(path: Path, x: np.ndarray) -> np.ndarray:
    """All rows in one call of LiteRT's own interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape, strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def strided(net: Net, shape: tuple[int, ...], end: tuple[int, ...], end_mask: int) -> Net:
    begin, stop, step = (
        net.constant(np.array(v, np.int32), n)
        for n, v in (("b", [0] * len(end)), ("e", end), ("s", [1] * len(end)))
    )
    return net.op(
        "STRIDED_SLICE", shape, (begin, stop, step), "StridedSliceOptions", begin_mask=0, end_mask=end_mask,
        ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0, offset=False,
    )  # fmt: skip


def sliced(net: Net, shape: tuple[int, ...]) -> Net:
    begin, size = net.constant(np.array([0, 1], np.int32), "b"), net.constant(np.array(shape, np.int32), "z")
    return net.op("SLICE", shape, (begin, size), "SliceOptions")


MODELS = {
    "a classifier": lambda: classifier(),
    "merged rows": lambda: Net((1, 4, 6)).reshape(4, 6).dense(5).reshape(1, 4, 5).reshape(1, 20).model(),
    "a slice": lambda: sliced(Net((1, 8)).dense(6), (1, 3)).dense(4).model(),
    "a strided slice": lambda: strided(Net((1, 8)).dense(6), (1, 3), (1, 3), 0).dense(4).model(),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_row_is_answered_as_alone(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    path = save(model, tmp_path / "one.tflite")
    wide = save(with_rows(model), tmp_path / "rows.tflite")
    shape = model.main.tensors[model.main.inputs[0]].shape
    x = np.random.default_rng(0).standard_normal((5, *shape[1:])).astype(np.float32)
    alone = np.concatenate([run_litert(path, x[n : n + 1])[0] for n in range(5)])
    np.testing.assert_allclose(rows_of(wide, x), alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows_of(wide, x[:1]), alone[:1], rtol=0, atol=1e-6)


def taken_apart() -> Model:
    net = Net((1, 4)).dense(4)
    return net.op("UNPACK", (4,), (), "UnpackOptions", num=1, axis=0).reshape(1, 4).model()


def fixed(shape: tuple[int, ...], dtype: DType = DType.FLOAT32, signature: tuple[int, ...] = ()) -> Model:
    kind = TensorType(shape, dtype)
    tensors = (Tensor("x", kind, shape_signature=signature), Tensor("y", kind, shape_signature=signature))
    return Model((Graph(tensors, (Node("RELU", (0,), (1,)),), (0,), (1,), "main"),))


@pytest.mark.parametrize(
    "model, sentence",
    [
        (fixed((3, 4)), "counts no rows"),
        (fixed(()), "counts no rows"),
        (fixed((1, 4, 4), signature=(-1, -1, 4)), "rows may differ in their sizes"),
        (fixed((1,), DType.STRING), "is text"),
        (taken_apart(), "UNPACK"),
    ],
)
def test_what_stands_in_the_way_is_told(model: Model, sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        with_rows(model)


def test_the_original_stays_as_it_is(tmp_path: Path) -> None:
    model = classifier()
    before = model.main
    with_rows(model)
    assert model.main is before
    assert before.tensors[0].shape_signature == ()
