"""Calls on which LiteRT's interpreter crashes or reads memory that it gave back: ours refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling import lite
from sanderling.errors import ModelError, SanderlingError
from tests.engines import models
from tests.lite import networks
from tests.lite.both import BACKENDS, ours
from tests.models import Net

X = np.ones((1, 4), np.float32)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def loaded(model: object, folder: Path, backend: str = "itself") -> lite.Interpreter:
    interpreter = ours(models.save(model, folder), backend)  # type: ignore[arg-type]
    interpreter.allocate_tensors()
    return interpreter


def test_constants_are_not_written(tmp_path: Path, backend: str) -> None:
    interpreter = loaded(models.add_one(), tmp_path, backend)
    with pytest.raises(ValueError, match="tensor 1 'one' is a constant"):
        interpreter.set_tensor(1, X)
    view = interpreter.tensor(1)()
    with pytest.raises(ValueError, match="read-only"):
        view.fill(3)
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    interpreter.get_tensor(1).fill(3)  # a copy
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(1), X)


def test_a_constant_of_given_bytes_outlives_its_interpreter(tmp_path: Path, backend: str) -> None:
    path = models.save(networks.constants(), tmp_path)
    delegates = None if backend == "itself" else [lite.load_delegate(backend)]
    view = lite.Interpreter(model_content=path.read_bytes(), experimental_delegates=delegates).tensor(2)()
    for _ in range(3):
        bytearray(path.stat().st_size)
    np.testing.assert_array_equal(view, np.arange(8))


def test_texts_that_nobody_set_are_not_read(tmp_path: Path, backend: str) -> None:
    interpreter = loaded(models.texts(), tmp_path, backend)
    for index in (0, 2):
        with pytest.raises(ValueError, match="data is null"):
            interpreter.get_tensor(index)
    with pytest.raises(RuntimeError, match="input 0 'x' has no value yet"):
        interpreter.invoke()
    interpreter.set_tensor(0, np.array([b"a", b"b", b"c"]))
    interpreter.invoke()
    assert interpreter.get_tensor(2).ravel().tolist() == [b"a", b"b", b"c"]
    with pytest.raises(ValueError, match="null"):
        interpreter.tensor(2)()
    interpreter.resize_tensor_input(0, [4])
    with pytest.raises(ValueError, match="null"):
        interpreter.get_tensor(0)


def test_handles_are_not_read(tmp_path: Path, backend: str) -> None:
    interpreter = loaded(models.running_sum(), tmp_path, backend)
    for index, subgraph in ((1, 0), (0, 1)):
        with pytest.raises(ValueError, match="null"):
            interpreter.get_tensor(index, subgraph)
    interpreter.set_tensor(0, X)
    interpreter.invoke()
    with pytest.raises(ValueError, match="null"):
        interpreter.get_tensor(0, 1)


@pytest.mark.parametrize("subgraph", [1, 9, -1])
def test_a_subgraph_that_is_not_there(tmp_path: Path, backend: str, subgraph: int) -> None:
    interpreter = loaded(models.add_one(), tmp_path, backend)
    with pytest.raises(ValueError, match="Invalid subgraph index"):
        interpreter._get_tensor_details(0, subgraph)


@pytest.mark.parametrize("shape", [[1] * 9, [2**31 - 1, 4], [2**15, 2**15], [-1, 4], [-4, -1]])
def test_absurd_shapes(tmp_path: Path, backend: str, shape: list[int]) -> None:
    for resolver in ("AUTO", "BUILTIN_REF") if backend == "itself" else ("AUTO",):
        interpreter = ours(
            models.save(models.add_one(), tmp_path),
            backend,
            experimental_op_resolver_type=lite.OpResolverType[resolver],
        )
        with pytest.raises(RuntimeError, match="cannot resize tensor 0 'x'"):
            interpreter.resize_tensor_input(0, shape)
        interpreter.allocate_tensors()
        interpreter.invoke()


def test_only_inputs_are_resized(tmp_path: Path, backend: str) -> None:
    interpreter = loaded(models.add_one(), tmp_path, backend)
    with pytest.raises(RuntimeError, match="tensor 2 'y', which is no input"):
        interpreter.resize_tensor_input(2, [5, 4])


def test_shapes_that_crash_xnnpack_are_refused(tmp_path: Path) -> None:
    """A convolution in XNNPACK divides by a channel count of zero, and trusts the rank."""
    path = models.save(Net((1, 8, 8, 4)).conv(4).reshape(1, 256).dense(3).model(), tmp_path)
    for shape in ([1, 8, 8, 0], [8, 8, 4], [1, 1, 8, 8, 4], [], [1, 0, 8, 4], [0, 8, 8, 4], [2, 8, 8, 4]):
        interpreter = ours(path)
        interpreter.allocate_tensors()
        interpreter.resize_tensor_input(0, shape)
        with pytest.raises(RuntimeError, match="failed to prepare") as caught:
            interpreter.allocate_tensors()
        assert "XNNPack" not in str(caught.value)  # it was not asked
        with pytest.raises(RuntimeError, match="not ready"):
            interpreter.invoke()
        interpreter.resize_tensor_input(0, [1, 8, 8, 4])
        interpreter.allocate_tensors()
        interpreter.invoke()
        assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape == (1, 3)


def test_given_back_memory_is_not_read_after_a_failed_allocation(tmp_path: Path) -> None:
    options = {"experimental_op_resolver_type": lite.OpResolverType.BUILTIN_REF}
    interpreter = ours(models.save(models.add_one(), tmp_path), **options)
    interpreter.allocate_tensors()
    interpreter.resize_tensor_input(0, [5, 5])
    with pytest.raises(RuntimeError, match="not broadcastable"):
        interpreter.allocate_tensors()
    calls = (
        lambda: interpreter.get_tensor(2),
        lambda: interpreter.tensor(2)(),
        lambda: interpreter.set_tensor(2, X),
    )
    for call in calls:
        with pytest.raises(ValueError, match="allocate_tensors"):
            call()
    np.testing.assert_array_equal(interpreter.get_tensor(1), X)


def test_a_signature_does_not_move_memory_under_a_view(tmp_path: Path, backend: str) -> None:
    interpreter = loaded(models.two_by_two(), tmp_path, backend)
    runner = interpreter.get_signature_runner()
    view = interpreter.tensor(0)()
    with pytest.raises(RuntimeError, match="at least 1 reference"):
        runner(a=X, b=X)
    assert view.shape == (1, 4)
    del view
    np.testing.assert_array_equal(runner(a=X, b=X)["sum"], X + X)


@pytest.mark.parametrize(
    "name, options, inputs", [("MaxUnpooling2D", b"\0", 1), ("TFLite_Detection_PostProcess", b"", 3)]
)
def test_custom_operators_that_litert_trusts(tmp_path: Path, name: str, options: bytes, inputs: int) -> None:
    path = models.save(models.custom(name, options, inputs, 4), tmp_path)
    with pytest.raises(ValueError, match=name) as caught:
        lite.Interpreter(str(path))
    assert isinstance(caught.value, ModelError)


def test_an_unknown_custom_operator_is_litert_s_to_refuse(tmp_path: Path) -> None:
    interpreter = lite.Interpreter(str(models.save(models.custom("Mine"), tmp_path)))
    with pytest.raises(RuntimeError, match="unresolved custom op: Mine"):
        interpreter.allocate_tensors()


@pytest.mark.parametrize("content", [b"abc", b"\x1c\0\0\0TFL3" + bytes(40), b"PK\x03\x04" + bytes(60)])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for arguments in ({"model_path": path}, {"model_content": content}):
        with pytest.raises(ValueError, match=r"\w") as caught:
            lite.Interpreter(**arguments)  # type: ignore[arg-type]
        assert isinstance(caught.value, SanderlingError)
        assert "\n" not in str(caught.value)


def test_a_damaged_graph_never_reaches_litert(tmp_path: Path) -> None:
    data = bytearray(models.save(models.add_one(), tmp_path).read_bytes())
    refused = 0
    for place in range(0, len(data) - 4, 4):
        damaged = data[:place] + (2**31 - 1).to_bytes(4, "little") + data[place + 4 :]
        try:
            interpreter = lite.Interpreter(model_content=bytes(damaged))
            interpreter.allocate_tensors()
            interpreter.invoke()
        except (ValueError, RuntimeError):
            refused += 1
    assert refused > 20
