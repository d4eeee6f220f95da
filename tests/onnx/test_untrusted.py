"""Damaged files and hostile ones: a sentence each, nothing opened outside the folder, bounded memory."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sanderling.errors import SanderlingError
from sanderling.onnx.read import import_model, parse
from tests.onnx.oracle import model_of

X = np.ones((1, 3, 4, 4), np.float32)
WEIGHTS = np.ones((2, 3, 3, 3), np.float32)


def conv() -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    return model_of([node], {"x": X}, {"w": WEIGHTS}, ["y"], 17)


def refusal(path: Path) -> str:
    with pytest.raises(SanderlingError) as caught:
        import_model(parse(path), {})
    text = str(caught.value)
    assert "\n" not in text
    return text


def written(folder: Path, content: bytes | onnx.ModelProto, name: str = "m.onnx") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


class Trap:
    """Unpickling it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (self.mark, "opened")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_opened(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    path = written(tmp_path, pickle.dumps(Trap(mark), protocol))
    assert "is no ONNX model" in refusal(path)
    assert not mark.exists()
    if protocol >= 2:
        assert "pickle" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"PK\3\4" + b"x" * 99, b"hello, world", b"\xff" * 32])
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    assert "is no ONNX model" in refusal(written(tmp_path, content))


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(folder: Path, data: st.DataObject) -> None:
    content = bytearray(conv().SerializeToString())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(folder, bytes(content), "damaged.onnx")
    with contextlib.suppress(SanderlingError):  # and nothing else
        import_model(parse(path), {})


# ---- weights in other files


def external(location: str, **more: int) -> onnx.ModelProto:
    model = conv()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for location in ("w.bin", "sub/w.bin", "./w.bin"):
        (tmp_path / location).write_bytes(b"\0" * 8 + WEIGHTS.tobytes())
        path = written(tmp_path, external(location, offset=8, length=WEIGHTS.nbytes))
        np.testing.assert_array_equal(parse(path).graph.constants["w"], WEIGHTS)


@pytest.mark.parametrize(
    "location", ["../w.bin", "sub/../../w.bin", "", "/etc/passwd", "link/w.bin", "w\0.bin"]
)
def test_weights_elsewhere_are_not_looked_at(tmp_path: Path, location: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    (inside / "link").symlink_to(tmp_path)
    assert "outside of its folder" in refusal(written(inside, external(location)))


def test_a_link_to_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    (inside / "w.bin").symlink_to(tmp_path / "secret")
    assert "outside of its folder" in refusal(written(inside, external("w.bin")))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    text = refusal(written(tmp_path, external("model.onnx_data")))
    assert "'model.onnx_data', which is not there" in text
    assert "put that file beside the model" in text


@pytest.mark.parametrize(
    "more", [{}, {"offset": 1}, {"offset": -1}, {"length": 4}, {"length": 2**62}, {"offset": 2**62}]
)  # fmt: skip
def test_weights_of_another_length_are_refused(tmp_path: Path, more: dict[str, int]) -> None:
    short = WEIGHTS.tobytes()[: -4 if not more else None]
    (tmp_path / "w.bin").write_bytes(short)
    assert "bytes that w.bin does not hold" in refusal(written(tmp_path, external("w.bin", **more)))


# ---- sizes that a file only declares


@pytest.mark.parametrize("dims", [[2**40], [2**62, 2**62], [-1, 3], [1 << 20, 1 << 20]])
@pytest.mark.parametrize("raw", [True, False])
def test_a_declared_size_needs_its_bytes(tmp_path: Path, dims: list[int], raw: bool) -> None:
    model = conv()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.dims[:] = dims
    if raw:
        tensor.raw_data = b"1234"
    else:
        tensor.float_data[:] = [1.0]
    assert "constant 'w'" in refusal(written(tmp_path, model))


HUGE = np.array([1 << 16, 1 << 16, 64], np.int64)


def _huge(op: str) -> onnx.ModelProto:
    """Returns: a small file that asks for terabytes."""
    feeds: dict[str, np.ndarray] = {"x": np.ones((1, 1, 1), np.float32)}
    held = {"n": HUGE, "zero": np.float32(0), "one": np.float32(1), "end": np.float32(1e12)}
    held |= {
        "scales": HUGE.astype(np.float32),
        "ids": np.array([0]),
        "deep": np.array(1 << 40),
        "v": np.ones(2),
    }
    operands = {"ConstantOfShape": ["n"], "Range": ["zero", "end", "one"], "Expand": ["one", "n"],
                "Tile": ["c", "n"], "OneHot": ["ids", "deep", "v"], "Resize": ["x", "", "scales"],
                "Pad": ["c", "pads"]}[op]  # fmt: skip
    held |= {"c": np.ones((1, 1, 1), np.float32), "pads": np.array([1 << 40, 0, 0, 0, 0, 0])}
    held["v"] = held["v"].astype(np.float32)
    used = {name: each for name, each in held.items() if name in operands}
    attrs = {"mode": "linear"} if op == "Resize" else {}
    return model_of([helper.make_node(op, operands, ["y"], **attrs)], feeds, used, ["y"], 17)


@pytest.mark.parametrize("op", ["ConstantOfShape", "Range", "Expand", "Tile", "OneHot", "Resize", "Pad"])
def test_a_small_file_cannot_ask_for_terabytes(tmp_path: Path, op: str) -> None:
    assert f"{op} node" in refusal(written(tmp_path, _huge(op)))


# ---- graphs that go nowhere


def test_a_function_that_calls_itself_ends(tmp_path: Path) -> None:
    call = helper.make_node("Again", ["x"], ["y"], domain="own")
    model = model_of([call], {"x": X}, {}, ["y"], 17)
    again = helper.make_function("own", "Again", ["x"], ["y"], [call], model.opset_import)
    model.functions.append(again)
    assert "deep" in refusal(written(tmp_path, model))


def test_graphs_within_graphs_end(tmp_path: Path) -> None:
    def message(field: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while True:
            size, low = size >> 7, size & 127
            length += bytes([low | (128 if size else 0)])
            if not size:
                return bytes([field << 3 | 2]) + length + content

    graph = b""
    for _ in range(3000):  # an attribute "g" of a node of a graph
        attribute = message(1, b"g") + message(6, graph) + b"\xa0\x01\x05"
        graph = message(1, message(5, attribute))
    content = b"\x08\x08" + message(7, graph) + conv().SerializeToString()
    assert "is no ONNX model" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("inputs", [["y"], ["nowhere"]])
def test_a_value_that_nobody_wrote_is_named(tmp_path: Path, inputs: list[str]) -> None:
    nodes = [helper.make_node("Relu", inputs, ["y"])]
    text = refusal(written(tmp_path, model_of(nodes, {"x": X}, {}, ["y"], 17)))
    assert f"{inputs[0]!r} is read and never written" in text


def test_a_node_without_operands_is_refused(tmp_path: Path) -> None:
    for op in ("Conv", "Add", "LSTM", "Concat", "Einsum", "Resize", "Pad", "Split", "TopK", "Gather"):
        node = helper.make_node(op, [], ["y"], equation="i->i")
        assert op in refusal(written(tmp_path, model_of([node], {"x": X}, {}, ["y"], 17)))


def test_an_operator_without_counterpart_says_which_and_what_to_do(tmp_path: Path) -> None:
    node = helper.make_node("Bogus", ["x"], ["y"], name="n7", domain="my.ops", alpha=3)
    text = refusal(written(tmp_path, model_of([node], {"x": X}, {}, ["y"], 17)))
    assert "Bogus node 'n7'" in text
    assert "domain 'my.ops'" in text
    assert "alpha=3" in text
    assert "cut the model before it" in text


def test_open_sizes_ask_for_shape(tmp_path: Path) -> None:
    model = conv()
    for axis, name in enumerate(("N", "", "H", "W")):
        if name:
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    path = written(tmp_path, model)
    text = refusal(path)
    assert "input 'x' leaves sizes open: ?,3,?,?" in text
    assert "--shape x=1,3,224,224" in text
    made = import_model(parse(path), {"x": (2, 3, 8, 9)})
    assert made.model.main.tensors[made.model.main.inputs[0]].shape == (2, 3, 8, 9)
