"""The classic TFLite scripts: Keras → TFLiteConverter → Interpreter.

They were written for ``tf.lite``; the import is all that had to change, and TensorFlow is not needed.

    pip install 'sanderling[keras]'
    python examples/classic_converter.py --epochs 20
"""

import argparse
import csv
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from sanderling import lite as tflite
from sanderling import zoo


def load_digits():
    """Returns: images float32 [500,28,28,1] in 0..1 and labels [500], both of the package's own digits."""
    with np.load(zoo.samples_path("digits")) as archive:
        images = archive["images"].astype(np.float32)[..., None] / 255
    with zoo.labels_path("digits").open(newline="") as file:
        return images, np.array([int(row["label"]) for row in csv.DictReader(file)])


def train(images, labels, epochs):
    """Returns: a small convolutional network that has learned the digits."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.InputLayer(shape=(28, 28, 1)),
            keras.layers.Conv2D(filters=12, kernel_size=(3, 3), activation="relu"),
            keras.layers.MaxPooling2D(pool_size=(2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(images, labels, epochs=epochs, verbose=0)
    return model


def convert(model, images, kind):
    """Returns: the bytes of a .tflite: float, dynamic, float16, integer."""
    converter = tflite.TFLiteConverter.from_keras_model(model)
    if kind != "float":
        converter.optimizations = [tflite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [np.float16]
    if kind == "integer":

        def representative_data_gen():
            for input_value in images[:100]:
                yield [input_value[None]]

        converter.representative_dataset = representative_data_gen
        converter.target_spec.supported_ops = [tflite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = np.uint8
        converter.inference_output_type = np.uint8
    return converter.convert()


def run(content, images):
    """Returns: the digits that a model sees, int64 [N]."""
    interpreter = tflite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    input_details = interpreter.get_input_details()[0]
    output_details = interpreter.get_output_details()[0]
    predictions = np.zeros((len(images),), dtype=int)
    for i, image in enumerate(images):
        if input_details["dtype"] == np.uint8:
            input_scale, input_zero_point = input_details["quantization"]
            image = image / input_scale + input_zero_point
        interpreter.set_tensor(input_details["index"], image[None].astype(input_details["dtype"]))
        interpreter.invoke()
        predictions[i] = interpreter.get_tensor(output_details["index"])[0].argmax()
    return predictions


def main():
    """Trains, converts in four ways, and counts what each gets right."""
    parser = argparse.ArgumentParser(description="Digits by the classic converter.")
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    images, labels = load_digits()
    model = train(images[:400], labels[:400], args.epochs)
    for kind in ("float", "dynamic", "float16", "integer"):
        content = convert(model, images, kind)
        right = run(content, images[400:]) == labels[400:]
        print(f"{kind}: {len(content)} bytes, {right.mean():.0%} right")


if __name__ == "__main__":
    main()
