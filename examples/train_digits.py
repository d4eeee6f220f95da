"""Trains the handwritten-digit network that ships as the zoo model ``digits`` and writes its folder.

It needs packages that Sanderling itself does not, so give it an environment of its own:

    python3.11 -m venv /tmp/digits-venv
    /tmp/digits-venv/bin/pip install jax==0.10.2 keras litert-converter ai-edge-litert
    /tmp/digits-venv/bin/python examples/train_digits.py mnist.npz --out src/sanderling/zoo/digits

``mnist.npz`` holds MNIST digits as ``x`` (uint8 [N,28,28]) and ``y`` (integers [N]). The route to the
file is Keras on the JAX backend → StableHLO → litert-converter; TensorFlow is not involved. Everything
random comes from ``SEED``; the weights still differ a little between processors, as floats do.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # read when keras is imported

import flatbuffers
import jax
import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_converter import converter_api_ext as converter
from litert_converter import schema_py_generated as schema
from litert_converter.mlir import ir, passmanager
from scipy import ndimage

SEED = 7
BUNDLED, HELD_OUT = 500, 1000  # the rest trains
EPOCHS, BATCH = 20, 64
MAX_ROTATION_DEGREES, MAX_SHIFT_PIXELS, MAX_ZOOM = 10.0, 2.0, 0.08


@dataclass(frozen=True)
class Digits:
    """Images uint8 [N,28,28] with their labels int64 [N]."""

    images: np.ndarray
    labels: np.ndarray

    def inputs(self) -> np.ndarray:
        """Returns: the images as the network wants them, float32 [N,28,28,1] in 0..1."""
        return (self.images[..., None] / np.float32(255)).astype(np.float32)


def load(path: Path) -> dict[str, Digits]:
    """Reads the digits and splits them, never overlapping, into ``bundled``, ``held_out`` and ``train``."""
    with np.load(path, allow_pickle=False) as archive:
        images, labels = archive["x"].astype(np.uint8), archive["y"].astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(images))
    cuts = np.split(order, [BUNDLED, BUNDLED + HELD_OUT])
    return {
        name: Digits(images[rows], labels[rows])
        for name, rows in zip(("bundled", "held_out", "train"), cuts, strict=True)
    }


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns: the images [N,28,28,1], each rotated, zoomed and shifted a little about its centre."""
    moved = np.empty_like(images)
    centre = np.array([13.5, 13.5])
    for row, image in enumerate(images[..., 0]):
        angle = np.deg2rad(rng.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES))
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) * rng.uniform(1 - MAX_ZOOM, 1 + MAX_ZOOM)
        shift = rng.uniform(-MAX_SHIFT_PIXELS, MAX_SHIFT_PIXELS, 2)
        moved[row, ..., 0] = ndimage.affine_transform(
            image, matrix, centre - matrix @ centre + shift, order=1
        )
    return moved


def network() -> keras.Model:
    """Returns: the untrained network, image [N,28,28,1] in 0..1 → probabilities [N,10]."""
    layers = keras.layers
    image = keras.Input((28, 28, 1), name="image")
    x = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu")(image))
    x = layers.MaxPooling2D()(layers.Conv2D(64, 3, activation="relu")(x))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(0.4)(x)
    return keras.Model(image, layers.Softmax(name="probabilities")(layers.Dense(10, name="logits")(x)))


def train(digits: Digits) -> keras.Model:
    """Returns: the network trained on ``digits``, newly augmented in every epoch."""
    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = network()
    steps = EPOCHS * -(-len(digits.labels) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    inputs = digits.inputs()
    for epoch in range(EPOCHS):
        history = model.fit(augment(inputs, rng), digits.labels, batch_size=BATCH, verbose=0)
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {history.history['loss'][0]:.4f}", flush=True)
    return model


def to_tflite(model: keras.Model) -> bytes:
    """Returns: the network as a float32 ``.tflite`` for one image, with signature ``serving_default``."""
    weights = [v.value for v in model.trainable_variables]
    seeds = [v.value for v in model.non_trainable_variables]  # dropout's: unused, but asked for

    def infer(image: Any) -> Any:
        return model.stateless_call(weights, seeds, image, training=False)[0]

    one_image = jax.ShapeDtypeStruct((1, 28, 28, 1), np.float32)
    exported = jax.export.export(jax.jit(infer), platforms=["cpu"])(one_image)
    context = ir.Context()
    converter.prepare_mlir_context(context)
    with context:
        module = ir.Module.parse(str(exported.mlir_module()))
        converter.set_signature(module.operation, "serving_default", ["image"], ["probabilities"])
        config = converter.ConvertToTFLConfig()
        config.model_origin_framework = "JAX"
        converter.run_convert_to_tfl_passes(module, passmanager.PassManager(), config)
        return tidy(converter.export_flatbuffer_to_bytes(module.operation))


def tidy(tflite: bytes) -> bytes:
    """Returns: the same network with CONV_2D for its first layer and with short tensor names.

    The converter takes the first layer for a depthwise convolution, since its input has one channel. The
    arithmetic is the same, but quantizers and other engines treat the two operators differently, and
    CONV_2D is what the layer is.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    codes = [code.builtinCode for code in model.operatorCodes]
    (graph,) = model.subgraphs
    for operator in graph.operators:
        depthwise = codes[operator.opcodeIndex] == schema.BuiltinOperator.DEPTHWISE_CONV_2D
        if depthwise and graph.tensors[operator.inputs[0]].shape[-1] == 1:
            operator.opcodeIndex = codes.index(schema.BuiltinOperator.CONV_2D)
            make_plain_convolution(operator, graph.tensors[operator.inputs[1]], model.buffers)
    used = sorted({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in used]
    for operator in graph.operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    shorten_names(graph)
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def make_plain_convolution(operator: Any, weights: Any, buffers: list[Any]) -> None:
    """Changes a depthwise convolution of one channel in place: options, and weights [1,H,W,C] → [C,H,W,1]."""
    old, new = operator.builtinOptions, schema.Conv2DOptionsT()
    for option in ("padding", "strideW", "strideH", "dilationWFactor", "dilationHFactor"):
        setattr(new, option, getattr(old, option))
    new.fusedActivationFunction = old.fusedActivationFunction
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.Conv2DOptions, new
    buffer = buffers[weights.buffer]
    values = np.asarray(buffer.data, np.uint8).view(np.float32).reshape(weights.shape)
    transposed = np.ascontiguousarray(values.transpose(3, 1, 2, 0))
    weights.shape, buffer.data = list(transposed.shape), transposed.reshape(-1).view(np.uint8)


def shorten_names(graph: Any) -> None:
    """Names tensors after their Keras layer: ``dense`` for its output, ``dense/weights``, ``dense/bias``."""
    graph.tensors[graph.inputs[0]].name = b"image"
    for operator in graph.operators:
        output = graph.tensors[operator.outputs[0]]
        if operator.outputs[0] == graph.outputs[0]:
            layer = "probabilities"
        else:
            layer = re.findall(r"jit\(infer\)/(\w+)/", output.name.decode())[0]
        output.name = layer.encode()
        kinds = ("shape",) if len(operator.inputs) == 2 else ("weights", "bias")
        for index, kind in zip(operator.inputs[1:], kinds, strict=False):
            graph.tensors[index].name = f"{layer}/{kind}".encode()


def accuracy(tflite: bytes, digits: Digits) -> float:
    """Returns: the share of ``digits`` that the file gets right when LiteRT runs it."""
    interpreter = Interpreter(model_content=tflite, num_threads=1)
    run = interpreter.get_signature_runner("serving_default")
    answers = [int(run(image=x[None])["probabilities"].argmax()) for x in digits.inputs()]
    return float(np.mean(np.array(answers) == digits.labels))


def write(folder: Path, tflite: bytes, splits: dict[str, Digits]) -> dict[str, float | int]:
    """Writes model, samples and labels, brings the card's figures up to date, and returns those."""
    folder.mkdir(parents=True, exist_ok=True)
    bundled = splits["bundled"]
    (folder / "digits.tflite").write_bytes(tflite)
    np.savez_compressed(folder / "samples.npz", images=bundled.images)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["index", "label"])
        table.writerows(enumerate(bundled.labels.tolist()))
    figures: dict[str, float | int] = {
        "trained_on": len(splits["train"].labels),
        "held_out_samples": len(splits["held_out"].labels),
        "held_out_accuracy": round(accuracy(tflite, splits["held_out"]), 4),
        "bundled_samples": len(bundled.labels),
        "bundled_accuracy": round(accuracy(tflite, bundled), 4),
    }
    card_path = folder / "card.json"
    if card_path.exists():
        card = json.loads(card_path.read_text())
        card_path.write_text(json.dumps(card | {"figures": figures}, indent=2) + "\n")
    return figures


def main() -> None:
    """Runs the whole recipe."""
    parser = argparse.ArgumentParser(description="Train the zoo model 'digits'.")
    parser.add_argument("mnist", type=Path, help=".npz with x uint8 [N,28,28] and y [N]")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its samples")
    arguments = parser.parse_args()
    splits = load(arguments.mnist)
    print(write(arguments.out, to_tflite(train(splits["train"])), splits))


if __name__ == "__main__":
    main()
