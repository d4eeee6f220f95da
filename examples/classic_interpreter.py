"""The classic TFLite script: load, resize, allocate, set, invoke, get.

It was written for ``ai_edge_litert.interpreter``; the import is all that had to change.

    python examples/classic_interpreter.py --model model.tflite --batch 4
"""

import argparse

import numpy as np

from sanderling.lite import Interpreter


def random_input(detail, rng):
    """Returns: random values of an input's shape and type."""
    shape, dtype = detail["shape"], detail["dtype"]
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=dtype)


def main():
    """Runs the model once and prints the start of every output."""
    parser = argparse.ArgumentParser(description="Runs a model on random input.")
    parser.add_argument("--model", required=True, help=".tflite file")
    parser.add_argument("--batch", type=int, default=0, help="resize the inputs to this batch")
    parser.add_argument("--num_threads", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    interpreter = Interpreter(model_path=args.model, num_threads=args.num_threads)
    if args.batch:
        for detail in interpreter.get_input_details():
            interpreter.resize_tensor_input(detail["index"], [args.batch, *detail["shape"][1:]])
    interpreter.allocate_tensors()

    rng = np.random.default_rng(args.seed)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], random_input(detail, rng))
        print("input ", detail["name"], detail["shape"], detail["dtype"].__name__, detail["quantization"])

    interpreter.invoke()

    for detail in interpreter.get_output_details():
        output = interpreter.get_tensor(detail["index"])
        print("output", detail["name"], output.shape, output.dtype)
        print(output.reshape(-1)[:8])


if __name__ == "__main__":
    main()
