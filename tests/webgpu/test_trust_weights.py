"""Trust where LiteRT itself is the less exact one: floats beside integer weights, whose inputs it rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.plain_weights import with_plain_weights
from sanderling.engines.trust import FLOAT, distance
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.runner import WrongAnswer
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType
from sanderling.runtime.session import Session
from tests.models import Net, run_litert, save
from tests.webgpu.making import compare
from tests.webgpu.test_trust import plant, wrong_rows
from tests.webgpu.test_weights import stored


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SANDERLING_VERIFY", raising=False)


def hybrid(dtype: DType = DType.INT8) -> Model:
    """Two convolutions with RELU6 and a dense layer, weights in integers, activations in floats."""
    net = Net((1, 8, 8, 4), 1).conv(8, activation="RELU6").conv(8, activation="RELU6")
    net = net.reshape(1, 512).dense(5)
    tensors = [stored(t, dtype, 0) if t.name in ("w0", "w1", "w3") else t for t in net.tensors]
    net.tensors = tensors
    return net.model()


def image() -> Array:
    """One bright pixel among dim ones: in 8 bits the dim ones are all alike."""
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 4)).astype(np.float32)
    x[0, 3, 3] = 1000
    return x


@pytest.mark.parametrize("precision, bound", [("float32", FLOAT), ("float16", 1e-2)])
def test_the_more_exact_answer_is_not_called_wrong(
    device: Device, tmp_path: Path, precision: str, bound: float
) -> None:
    """A warning would be an error."""
    path, x = save(hybrid(), tmp_path / "m.tflite"), image()
    (exact,) = run_litert(save(with_plain_weights(hybrid()), tmp_path / "plain.tflite"), x)
    (theirs,) = run_litert(path, x)
    assert distance(theirs, exact, hybrid().main.tensors[-1].type) > 3e-2
    with Session(path, engine="webgpu", precision=precision) as session:
        mine = session(x)
        assert {row.engine for row in session.placement} == {"webgpu"}
    compare(mine, exact, bound)


def test_a_wrong_kernel_with_integer_weights(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong by one percent, which is less than what LiteRT's rounding costs."""
    path, x = save(hybrid(), tmp_path / "m.tflite"), image()

    def scaled(program: Program) -> Program:
        texts = (text.replace("return x * s;", "return x * s * 1.01;") for text in program.shaders)
        return replace(program, shaders=tuple(texts))

    plant(monkeypatch, scaled)
    with Session(path, engine="webgpu") as session:
        with pytest.warns(WrongAnswer, match="CONV_2D"):
            session(x)
        assert wrong_rows(session)


def test_only_floats_beside_integers_are_replaced() -> None:
    made = hybrid()
    plain = with_plain_weights(made)
    count = len(made.main.tensors)
    assert plain.main.tensors[:count] == made.main.tensors
    assert [node.outputs for node in plain.main.nodes] == [node.outputs for node in made.main.nodes]
    for node in plain.main.nodes:
        weights = [plain.main.tensors[i] for i in node.inputs if plain.main.tensors[i].is_constant]
        assert all(t.dtype is not DType.INT8 for t in weights)
    ordinary = Net((1, 8, 8, 4), 1).conv(8).model()
    assert with_plain_weights(ordinary) is ordinary


def test_weights_of_two_layers_are_added_once() -> None:
    made = hybrid()
    first, second, *rest = made.main.nodes
    plain = with_plain_weights(made.with_main(replace(made.main, nodes=(first, second, second, *rest))))
    assert len(plain.main.tensors) == len(made.main.tensors) + 3
