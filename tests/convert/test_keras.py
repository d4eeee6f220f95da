"""Keras models of many kinds: converted, compared with Keras, named as Keras names them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import sanderling as sd
from sanderling.convert.conversion import Wishes
from sanderling.convert.keras import convert as convert_keras
from tests.convert.networks import NETWORKS, shaken, stacked

# What a graph must not hold: what was left between two layouts, or has no kernel in LiteRT.
LEFT_OVER = {"STABLEHLO_COMPOSITE", "STABLEHLO_CONVOLUTION", "STABLEHLO_SORT", "BATCH_MATMUL"}


def operators(model: Any) -> Counter[str]:
    return Counter(node.op for node in model.main.nodes)


@pytest.mark.parametrize("name", NETWORKS)
def test_gives_the_same_answers(name: str, tmp_path: Path) -> None:
    done = sd.convert(NETWORKS[name](), tmp_path / "made.tflite")
    assert done.path is not None
    assert done.proof.worst.relative < 1e-5
    assert min(row.scale for row in done.proof.outputs) > 0
    products = {"BATCH_MATMUL"} if name in ("attention", "lookups", "resized") else set()
    assert not LEFT_OVER - products & set(operators(done.model))


def test_layers_become_tflites_own_operators(tmp_path: Path) -> None:
    found = operators(sd.convert(NETWORKS["images"](), tmp_path / "made.tflite").model)
    assert not found["TRANSPOSE"]
    assert found["MUL"] <= 2  # rescaling, and silu's: batch normalization is in the convolution
    found = operators(sd.convert(NETWORKS["transposed"](), tmp_path / "made.tflite").model)
    assert found["TRANSPOSE_CONV"] == 3  # the others have settings that the operator does not know
    found = operators(sd.convert(NETWORKS["resized"](), tmp_path / "made.tflite").model)
    assert found["RESIZE_NEAREST_NEIGHBOR"] == found["RESIZE_BILINEAR"] == 2


def test_channels_first_are_moved_at_the_edges_only(tmp_path: Path) -> None:
    found = operators(sd.convert(NETWORKS["channels_first"](), tmp_path / "made.tflite").model)
    assert found["TRANSPOSE"] == 2


def test_names_are_those_of_layers_and_keys(tmp_path: Path) -> None:
    model = sd.convert(NETWORKS["images"](), tmp_path / "made.tflite").model
    assert (model.input_names(), model.output_names()) == (["photo"], ["kind"])
    model = sd.convert(NETWORKS["lookups"](), tmp_path / "made.tflite").model
    assert (model.input_names(), model.output_names()) == (["item", "user"], ["match", "rating"])
    session = sd.Session(tmp_path / "made.tflite")
    feed = {"item": np.array([[3, 4]], np.int32), "user": np.array([[7]], np.int32)}
    assert set(session(feed)) == {"match", "rating"}


def test_a_subclassed_model_is_known_by_its_call(tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x: Any) -> dict[str, Any]:
            return {"sum": self.dense(x) + 1, "twice": x * 2}

    model = Own()
    with pytest.raises(sd.ConvertError, match="has never been called"):
        sd.convert(model, tmp_path / "own.tflite")
    model(np.ones((2, 4), np.float32))
    made = sd.convert(model, tmp_path / "own.tflite").model
    assert made.output_names() == ["sum", "twice"]


def test_several_inputs_must_be_declared(tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def call(self, left: Any, right: Any) -> Any:
            return left + right

    model = Own()
    model(np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))
    with pytest.raises(sd.ConvertError, match=r"takes several inputs \(left, right\)"):
        sd.convert(model, tmp_path / "own.tflite")


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    model = stacked(keras.Input((None, None, 3), name="x"), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D())
    with pytest.raises(
        sd.UsageError, match=r"input 'x' leaves sizes open: \?,\?,\?,3; for example --shape x=1,224,224,3"
    ):
        sd.convert(model, tmp_path / "open.tflite")
    done = sd.convert(model, tmp_path / "open.tflite", shape=(2, 8, 9, 3))
    assert done.model.main.tensors[done.model.main.inputs[0]].shape == (2, 8, 9, 3)
    for shape, says in (
        ({"y": (1, 8, 8, 3)}, "there is no input 'y'; name one of: x"),
        ((1, 8, 8, 4), "has the shape"),
    ):
        with pytest.raises(sd.UsageError, match=says):
            sd.convert(model, tmp_path / "open.tflite", shape=shape)


def test_state_between_calls_is_refused(tmp_path: Path) -> None:
    model = stacked(keras.Input((4, 3), batch_size=1), layers.LSTM(2, stateful=True))
    with pytest.raises(sd.ConvertError, match="changes the variables of its recurrent layers"):
        sd.convert(model, tmp_path / "made.tflite")


def test_chance_is_refused(tmp_path: Path) -> None:
    class Noise(layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            return x + keras.random.normal(x.shape[1:], seed=self.seeds)

    with pytest.raises(sd.ConvertError, match=r"changes the variable .*seed.*draws random numbers"):
        sd.convert(stacked(keras.Input((4,)), Noise()), tmp_path / "made.tflite")


def test_text_is_refused(tmp_path: Path) -> None:
    x = keras.Input((1,), dtype="string", name="words")
    model = keras.Model(x, layers.Identity()(x))
    with pytest.raises(sd.ConvertError, match="input 'words' takes text"):
        sd.convert(model, tmp_path / "made.tflite")


def test_halves_are_whole_again_afterwards(tmp_path: Path) -> None:
    model = NETWORKS["halves"]()
    done = sd.convert(model, tmp_path / "made.tflite")
    assert any("compute in float16" in note for note in done.notes)
    assert model.layers[0].compute_dtype == "float16"


def test_a_file_and_the_live_model_come_to_the_same(tmp_path: Path) -> None:
    model = NETWORKS["recurrent"]()
    model.save(tmp_path / "model.keras")
    live, filed = (convert_keras(each, Wishes()) for each in (model, tmp_path / "model.keras"))
    assert live.model.output_names() == filed.model.output_names()
    x = np.random.default_rng(1).normal(size=(1, 6, 4)).astype(np.float32)
    for ours, theirs in zip(live.reference([x]), filed.reference([x]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def long_sequence() -> Any:
    x = keras.Input((150, 3))
    y = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
    y = layers.LSTM(3, return_sequences=True, activation="elu")(y)
    outs = [layers.SimpleRNN(3)(y), layers.GRU(2, go_backwards=True, return_sequences=True)(y)]
    return shaken(keras.Model(x, [*outs, *layers.LSTM(3, return_state=True)(y)]))


def test_long_sequences_are_loops(tmp_path: Path) -> None:
    done = sd.convert(long_sequence(), tmp_path / "long.tflite")
    assert operators(done.model)["WHILE"] == 6
    # A condition and a body each, and a body is what the GPU's reader sees: constants in it, nothing called.
    assert len(done.model.graphs) == 13
    assert done.size_bytes < 60_000
    assert done.proof.worst.relative < 1e-5


def test_masked_long_sequences(tmp_path: Path) -> None:
    model = stacked(
        keras.Input((90,), dtype="int32"), layers.Embedding(5, 4, mask_zero=True), layers.LSTM(3),
    )  # fmt: skip
    samples = np.random.default_rng(0).integers(0, 5, (6, 90)).astype(np.int32)
    done = sd.convert(shaken(model), tmp_path / "masked.tflite", samples=samples)
    assert operators(done.model)["WHILE"] == 1
    assert done.proof.worst.relative < 1e-5


def test_heavy_steps_are_a_loop_too(tmp_path: Path) -> None:
    model = stacked(keras.Input((20, 8)), layers.LSTM(128))
    assert operators(sd.convert(model, tmp_path / "heavy.tflite").model)["WHILE"] == 1


@pytest.mark.parametrize("name", ["mlperf_tiny_resnet8_cifar10", "mlperf_tiny_vww", "fer_emotion"])
def test_files_of_old_kerases(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    done = sd.convert(zoo_dir / "keras" / f"{name}.h5", tmp_path / "made.tflite")
    assert done.proof.worst.relative < 1e-5
    assert set(operators(done.model)) <= {
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "RESHAPE",
        "FULLY_CONNECTED", "SOFTMAX",
    }  # fmt: skip
