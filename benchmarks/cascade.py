"""A cascade on CIFAR-10: how much less time it takes than its large model, and what it loses.

Run: ``python benchmarks/cascade.py [--data ../shared/data] [--zoo ../shared/zoo] [--work benchmarks/work]``,
about four minutes. What it makes is kept in ``--work``, and a second run goes on from there. It writes
``benchmarks/results/cascade.json``.

The large model is EfficientNet-Lite0 of the zoo behind a resize to 128 pixels, with a new last layer that is
fitted here to 8,000 training images; the small one is MLPerf Tiny's ResNet-8. ``optimize`` gets both, and the
first 1,500 test images with their labels; what it hands back is judged on the 1,500 others, which neither the
weights nor the threshold have seen. All are timed by turns on one thread on these others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sanderling as sd
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write
from sanderling.timing.mix import PASSES, by_feed, mean_ratio
from sanderling.timing.race import Contender, race
from sanderling.verbs.find import find_model

TARGET = Path(__file__).parent / "results" / "cascade.json"
PIXELS, CLASSES, CHOSEN_ON = 128, 10, 1500
MAX_DROP = 0.005
TIMED, SECONDS = 300, 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--zoo", type=Path, default=Path("../shared/zoo"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/cascade"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    with np.load(arguments.data / "cifar10.npz") as stored:
        data = {name: stored[name] for name in stored.files}
    large = _large(arguments.work, data)
    small = arguments.zoo / "tflite" / "mlperf_tiny_resnet8_cifar10_fp32.tflite"
    output = arguments.work / "optimized"
    if not (output / "best.json").exists():
        images = data["x_test"][:CHOSEN_ON].astype(np.float32)
        labels = [int(label) for label in data["y_test"][:CHOSEN_ON].reshape(-1)]
        sd.optimize(
            [large, small], {"image": images}, labels=labels, output=output, max_drop=MAX_DROP, threads=1,
            training=0, seconds=150, resume=(output / "study.db").exists(),
        )  # fmt: skip
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    result = _measured(output, large, data)
    TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


def _large(work: Path, data: dict[str, Array]) -> Path:
    """Makes the large model, unless it is there."""
    path = work / "efficientnet_lite0_cifar10.tflite"
    if path.exists():
        return path
    whole = sd.load(find_model("efficientnet_lite0"))
    body, features = _at_pixels(whole), work / "features.npy"
    if not features.exists():
        write(body, work / "body.tflite")
        with sd.Session(work / "body.tflite", "litert", 1) as session:
            rows = [np.ravel(session(x[None].astype(np.float32))) for x in data["x_train"]]
        np.save(features, np.array(rows))
    weights, bias = _fitted(np.load(features), data["y_train"].reshape(-1))
    write(_with_head(body, weights, bias), path)
    return path


def _at_pixels(model: Model) -> Model:
    """Returns: the network without its last layer, for CIFAR's pictures of 0 to 255: resized, normalized."""
    from sanderling.compress.resolution import at_resolution

    graph = at_resolution(model, PIXELS).main
    tensors = list(graph.tensors)

    def tensor(name: str, shape: tuple[int, ...], values: Array | None = None) -> int:
        dtype = DType.FLOAT32 if values is None else DType(values.dtype.name)
        tensors.append(Tensor(name, TensorType(shape, dtype), values))
        return len(tensors) - 1

    picture, side = tensor("picture", (1, 32, 32, 3)), (1, PIXELS, PIXELS, 3)
    size = tensor("size", (2,), np.array([PIXELS, PIXELS], np.int32))
    resized, shifted = tensor("resized", side), tensor("shifted", side)
    mean = tensor("mean", (), np.array(127.0, np.float32))
    share = tensor("share", (), np.array(1 / 128, np.float32))
    old = graph.inputs[0]
    one = {"fused_activation_function": "NONE"}
    before = (
        Node("RESIZE_BILINEAR", (picture, size), (resized,), {"align_corners": False,
             "half_pixel_centers": True}, "ResizeBilinearOptions"),
        Node("SUB", (resized, mean), (shifted,), one, "SubOptions"),
        Node("MUL", (shifted, share), (old,), one, "MulOptions"),
    )  # fmt: skip
    nodes = graph.nodes[:-2]  # without the dense layer and the softmax
    return _model((*before, *nodes), tensors, picture, nodes[-1].outputs[0])


def _with_head(body: Model, weights: Array, bias: Array) -> Model:
    graph = body.main
    tensors = list(graph.tensors)
    for name, values in (("head", weights), ("head_bias", bias)):
        tensors.append(Tensor(name, TensorType(values.shape, DType.FLOAT32), values))
    for name in ("logits", "probabilities"):
        tensors.append(Tensor(name, TensorType((1, CLASSES), DType.FLOAT32)))
    count = len(tensors)
    dense = Node(
        "FULLY_CONNECTED", (graph.outputs[0], count - 4, count - 3), (count - 2,),
        {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": False,
         "asymmetric_quantize_inputs": False}, "FullyConnectedOptions",
    )  # fmt: skip
    softmax = Node("SOFTMAX", (count - 2,), (count - 1,), {"beta": 1.0}, "SoftmaxOptions")
    return _model((*graph.nodes, dense, softmax), tensors, graph.inputs[0], count - 1)


def _model(nodes: Sequence[Node], tensors: Sequence[Tensor], given: int, gives: int) -> Model:
    graph = Graph(tuple(tensors), tuple(nodes), (given,), (gives,))
    signature = Signature("serving_default", (("image", given),), (("probabilities", gives),), 0)
    return compact(Model((graph,), (signature,)))


def _fitted(features: Array, labels: Array) -> tuple[Array, Array]:
    """Returns: weights [classes, features] and bias of a softmax regression (Adam, decay on the weights)."""
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-3
    x, truth = (features - mean) / std, np.eye(CLASSES)[labels]
    w = np.zeros((CLASSES, x.shape[1]), np.float32)
    b = np.zeros(CLASSES, np.float32)
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (w, b)]
    rng = np.random.default_rng(0)
    step = 0
    for _ in range(30):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // 200):
            step += 1
            scores = x[rows] @ w.T + b
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            error = (odds / odds.sum(axis=1, keepdims=True) - truth[rows]) / len(rows)
            for p, m, slope in zip(
                (w, b), moments, (error.T @ x[rows] + 1e-3 * w, error.sum(axis=0)), strict=True
            ):
                m[0] = 0.9 * m[0] + 0.1 * slope
                m[1] = 0.99 * m[1] + 0.01 * slope**2
                p -= 1e-3 * (m[0] / (1 - 0.9**step)) / (np.sqrt(m[1] / (1 - 0.99**step)) + 1e-8)
    scaled = (w / std).astype(np.float32)
    return scaled, (b - scaled @ mean).astype(np.float32)


def _measured(output: Path, large: Path, data: dict[str, Array]) -> dict[str, Any]:
    """Returns: accuracy and time of the cascade and of what it is compared with, on unseen images."""
    images = [x[None].astype(np.float32) for x in data["x_test"][CHOSEN_ON:]]
    truth = data["y_test"][CHOSEN_ON:].reshape(-1)
    best = json.loads((output / "best.json").read_text(encoding="utf-8"))
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    sessions = {"large": sd.Session(large, "litert", 1), "cascade": sd.Session(output / "best.json")}
    names = {"large": large.stem, "cascade": best["name"]}
    for name, trial in _single(report, large.stem).items():
        sessions[name] = sd.Session(output / trial["file"], trial["engine"], 1)
        names[name] = trial["name"]
    right = {n: np.array([np.argmax(s(x)) for x in images]) == truth for n, s in sessions.items()}
    calls = sessions["cascade"].calls
    timed = images[:: len(images) // TIMED][:TIMED]
    feeds = [[x] for x in timed]
    racing = {n: Contender(lambda arrays, s=s: s(arrays[0]), feeds) for n, s in sessions.items()}
    race(list(racing.values()), seconds=SECONDS, target=0.0, passes=PASSES)
    rows = {
        name: {
            "what": names[name],
            "top1": float(right[name].mean()),
            "points_lost": 100 * float(right["large"].mean() - right[name].mean()),
            "mean_ms": float(by_feed(contender).mean()),
            "p50_ms": float(np.percentile(contender.times, 50)),
            "p90_ms": float(np.percentile(contender.times, 90)),
            "times_faster_than_large": [round(v, 3) for v in mean_ratio(contender, racing["large"])],
            "cascade_times_faster": [round(v, 3) for v in mean_ratio(racing["cascade"], contender)],
        }
        for name, contender in racing.items()
    }
    first, last = calls if len(calls) == 2 else (len(images), len(images))
    return {
        "asked": {"times_faster": 1.5, "points_lost": 100 * MAX_DROP},
        "unseen_images": len(images),
        "asked_large": last / max(1, first),
        "rules": best.get("cascade", {}).get("rules"),
        "machine": best["device"]["cpu"],
        "rows": rows,
    }


def _single(report: dict[str, Any], large: str) -> dict[str, dict[str, Any]]:
    """Returns: of the large model alone: its fastest plain int8, and its best within the budget."""
    trials = [t for t in report["trials"] if t["model"] == large and not t["cascade"] and t["file"]]
    timed = [t for t in trials if t["latency_ms"] and t["threads"] == 1]
    int8 = [t for t in timed if any(s["technique"] == "static_int8" for s in t["recipe"]["steps"])]
    kept = [t for t in timed if t["status"] == "ok"]
    found = {"large int8": int8, "best of the large alone": kept}
    return {name: max(rows, key=lambda t: t["speedup"]) for name, rows in found.items() if rows}


if __name__ == "__main__":
    raise SystemExit(main())
