"""Image classification on a Raspberry Pi, in the style of the well-known TFLite example.

It was written for ``ai_edge_litert.interpreter``; the import is all that had to change.

    python examples/pi_image_classification.py --model model.tflite --labels labels.txt --image cat.jpg
"""

import argparse
import time

import numpy as np
from PIL import Image

from sanderling.lite import Interpreter, load_delegate


def load_labels(path):
    """Returns: the lines of a file."""
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file]


def set_input_image(interpreter, image, mean, std):
    """Resizes a picture to the model's input, converts it to the input's type and sets it."""
    detail = interpreter.get_input_details()[0]
    _, height, width, channels = detail["shape"]
    pixels = np.asarray(image.convert("RGB" if channels == 3 else "L").resize((width, height)), np.float32)
    pixels = pixels.reshape(1, height, width, channels)
    if detail["dtype"] == np.uint8:
        interpreter.set_tensor(detail["index"], pixels.astype(np.uint8))
        return
    pixels = (pixels - mean) / std
    if detail["dtype"] == np.int8:
        scale, zero_point = detail["quantization"]
        pixels = np.clip(np.round(pixels / scale + zero_point), -128, 127)
    interpreter.set_tensor(detail["index"], pixels.astype(detail["dtype"]))


def classify_image(interpreter, top_k):
    """Runs the model and returns the best classes as (class, score)."""
    interpreter.invoke()
    detail = interpreter.get_output_details()[0]
    output = np.squeeze(interpreter.get_tensor(detail["index"]))
    if np.issubdtype(output.dtype, np.integer):
        scale, zero_point = detail["quantization"]
        output = scale * (output.astype(np.float32) - zero_point)
    best = np.argsort(-output, kind="stable")[:top_k]
    return [(int(index), float(output[index])) for index in best]


def main():
    """Classifies one picture and prints the best classes."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help=".tflite file to be executed")
    parser.add_argument("--labels", required=True, help="file with one label per line")
    parser.add_argument("--image", required=True, help="picture to be classified")
    parser.add_argument("--input_mean", type=float, default=127.5)
    parser.add_argument("--input_std", type=float, default=127.5)
    parser.add_argument("--num_threads", type=int, default=None, help="number of threads")
    parser.add_argument("--top_k", type=int, default=5, help="number of results")
    parser.add_argument("--delegate", default=None, help="'gpu', or a shared library with a delegate")
    args = parser.parse_args()

    delegates = [load_delegate(args.delegate)] if args.delegate else None
    interpreter = Interpreter(args.model, experimental_delegates=delegates, num_threads=args.num_threads)
    interpreter.allocate_tensors()

    labels = load_labels(args.labels)
    set_input_image(interpreter, Image.open(args.image), args.input_mean, args.input_std)
    start_time = time.monotonic()
    results = classify_image(interpreter, args.top_k)
    elapsed_ms = (time.monotonic() - start_time) * 1000
    for index, score in results:
        print(f"{score:08.6f}: {labels[index]}")
    print(f"time: {elapsed_ms:.3f}ms")


if __name__ == "__main__":
    main()
