"""MobileNetV2, optimized the classic way: ``Optimize.DEFAULT``, then the interpreter.

It was written for ``tf.lite``; the import is all that had to change, and TensorFlow is not needed.

    pip install 'sanderling[keras]'
    python examples/classic_mobilenet_v2.py

The weights are random (Keras would download trained ones): what is compared is what becomes of the numbers.
"""

import argparse
import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from sanderling import lite as tflite


def convert(model, samples):
    """Returns: the bytes of a .tflite with int8 weights, and int8 activations where samples are given."""
    converter = tflite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tflite.Optimize.DEFAULT]
    if samples is not None:
        converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    return converter.convert()


def run(content, image):
    """Returns: the scores [classes] and the milliseconds of a call."""
    interpreter = tflite.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    began = time.perf_counter()
    interpreter.invoke()
    milliseconds = (time.perf_counter() - began) * 1e3
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0], milliseconds


def main():
    """Converts in three ways and compares each with Keras."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224, help="side of the picture in pixels")
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    shape = (given.size, given.size, 3)
    model = keras.applications.MobileNetV2(input_shape=shape, weights=None, classifier_activation=None)
    images = np.random.default_rng(0).random((8, *shape), np.float32)
    expected = np.asarray(model(images[:1], training=False))[0]

    plain = tflite.TFLiteConverter.from_keras_model(model).convert()
    for name, content in (
        ("float", plain),
        ("int8 weights", convert(model, None)),
        ("int8", convert(model, images)),
    ):
        found, milliseconds = run(content, images[0])
        error = np.abs(found - expected).max() / np.abs(expected).max()
        print(
            f"{name:12} {len(content):>10,} bytes {milliseconds:7.2f} ms   error {error:.1e} of the largest"
        )


if __name__ == "__main__":
    main()
