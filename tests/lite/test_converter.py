"""``TFLiteConverter``: what scripts ask for is what comes out, and it still sees the digits."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytest
from keras import layers

import sanderling as sd
from sanderling import zoo
from sanderling.graph.types import Array
from sanderling.lite import Interpreter, OpsSet, Optimize, RepresentativeDataset, TFLiteConverter


@pytest.fixture(scope="module")
def images() -> Array:
    path = zoo.samples_path("digits")
    assert path is not None
    with np.load(path) as archive:
        return archive["images"][:40, ..., None].astype(np.float32) / 255


@pytest.fixture(scope="module")
def net() -> Any:
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"), layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(40, activation="relu"), layers.Dense(10),
        ]
    )  # fmt: skip


def run(content: bytes, images: Array) -> tuple[Array, Any, Any]:
    """Returns: real outputs, and the dtypes at the edges."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (fed,), (read,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in images:
        x = image[None]
        if fed["dtype"] is not np.float32:
            scale, zero = fed["quantization"]
            limits = np.iinfo(fed["dtype"])
            x = np.clip(np.round(x / scale + zero), limits.min, limits.max).astype(fed["dtype"])
        interpreter.set_tensor(fed["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(read["index"])[0]
        if read["dtype"] is not np.float32:
            scale, zero = read["quantization"]
            y = (y.astype(np.float32) - zero) * scale
        answers.append(y)
    return np.array(answers), fed["dtype"], read["dtype"]


class Theirs(enum.Enum):
    """An enumeration with TensorFlow's names that is not ours."""

    DEFAULT = "DEFAULT"
    TFLITE_BUILTINS_INT8 = "x"


WISHES: dict[str, tuple[dict[str, Any], Any, Any, float]] = {
    "float": ({}, np.float32, np.float32, 1e-5),
    "dynamic": ({"optimizations": [Optimize.DEFAULT]}, np.float32, np.float32, 0.02),
    "float16": ({"optimizations": {Optimize.DEFAULT}, "types": [np.float16]}, np.float32, np.float32, 2e-3),
    "static": ({"optimizations": [Optimize.DEFAULT], "samples": True}, np.float32, np.float32, 0.05),
    "whole": (
        {
            "optimizations": [Theirs.DEFAULT], "samples": True, "ops": [Theirs.TFLITE_BUILTINS_INT8],
            "inference_input_type": np.int8, "inference_output_type": np.int8,
        },
        np.int8, np.int8, 0.05,
    ),
    "uint8": (
        {
            "optimizations": [Optimize.DEFAULT], "samples": True, "ops": [OpsSet.TFLITE_BUILTINS_INT8],
            "inference_input_type": np.uint8, "inference_output_type": np.uint8,
        },
        np.uint8, np.uint8, 0.05,
    ),
    "mixed": (
        {"optimizations": [Optimize.DEFAULT], "samples": True, "inference_input_type": np.uint8},
        np.uint8, np.float32, 0.05,
    ),
}  # fmt: skip


def converter_of(net: Any, images: Array, wishes: dict[str, Any]) -> TFLiteConverter:
    converter = TFLiteConverter.from_keras_model(net)
    converter.target_spec.supported_ops = wishes.get("ops", {OpsSet.TFLITE_BUILTINS})
    converter.target_spec.supported_types = wishes.get("types", [])
    for name, value in wishes.items():
        if name not in ("ops", "types", "samples"):
            setattr(converter, name, value)
    if wishes.get("samples"):
        converter.representative_dataset = lambda: ([image[None]] for image in images)
    return converter


@pytest.mark.parametrize("kind", WISHES)
def test_edges_and_answers(kind: str, net: Any, images: Array) -> None:
    wishes, fed, read, tolerance = WISHES[kind]
    converter = converter_of(net, images, wishes)
    content = converter.convert()
    found, *edges = run(content, images)
    wanted = np.asarray(net(images))
    assert edges == [fed, read]
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()
    assert converter.proof is not None
    assert converter.proof.ok


def test_quantizing_makes_it_smaller(net: Any, images: Array) -> None:
    sizes = {
        kind: len(converter_of(net, images, WISHES[kind][0]).convert())
        for kind in ("float", "dynamic", "float16")
    }
    assert sizes["dynamic"] < 0.4 * sizes["float"]
    assert sizes["float16"] < 0.6 * sizes["float"]


def test_samples_by_name_and_in_batches(net: Any, images: Array) -> None:
    def batches() -> Iterator[dict[str, Array]]:
        yield {"image": images[:20].astype(np.float64)}
        yield {"image": images[20:]}

    converter = converter_of(net, images, {"optimizations": [Optimize.DEFAULT]})
    converter.representative_dataset = RepresentativeDataset(batches)
    one = converter_of(net, images, WISHES["static"][0])
    assert converter.convert() == one.convert()


@pytest.mark.parametrize(
    "wishes, says",
    [
        ({"inference_input_type": np.int8}, "integers at the edges need a quantized model"),
        ({"optimizations": ["FASTEST"]}, "there is no 'FASTEST'"),
        ({"optimizations": [Optimize.DEFAULT], "ops": [OpsSet.TFLITE_BUILTINS_INT8]}, "need samples"),
        ({"optimizations": [Optimize.DEFAULT], "inference_input_type": np.int32}, "got int32, expected"),
    ],
)
def test_contradictions_are_told(wishes: dict[str, Any], says: str, net: Any, images: Array) -> None:
    with pytest.raises(sd.UsageError, match=says):
        converter_of(net, images, wishes).convert()


def test_samples_that_do_not_fit(net: Any, images: Array) -> None:
    converter = converter_of(net, images, {"optimizations": [Optimize.DEFAULT]})
    for samples, says in (
        (lambda: iter([]), "it yields nothing"),
        (lambda: [[images[0]]], r"got the shape \[28, 28, 1\], expected \[1, 28, 28, 1\]"),
        (lambda: [[images[:1], images[:1]]], "a sample has 2 arrays, the model 1 inputs"),
    ):
        converter.representative_dataset = samples
        with pytest.raises(sd.SampleError, match=says):
            converter.convert()


def test_functions_of_tensorflow_are_refused() -> None:
    with pytest.raises(sd.ConvertError, match="take from_saved_model"):
        TFLiteConverter.from_concrete_functions([object()])


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(sd.UsageError, match="is no model that can be converted"):
        TFLiteConverter.from_keras_model(object()).convert()
