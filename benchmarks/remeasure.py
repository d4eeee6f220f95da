"""Measures a winner again with nothing but LiteRT, NumPy and Pillow: the drops are written down anew.

python benchmarks/remeasure.py MODEL DIR SAMPLES [MEAN STD]

On the samples that DIR/report.json says the winner was confirmed on. Boxes are compared anchor by anchor,
without suppression, and classes with the original's: where the report's metric is another one (labels), or
suppresses, the two drops are near each other and not the same.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def load(path: Path, threads: int) -> Interpreter:
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter: Interpreter, x: np.ndarray) -> list[np.ndarray]:
    (port,) = interpreter.get_input_details()
    if port["dtype"] is not np.float32:  # integers take pixels as they are
        x = np.clip(np.rint(x) - (128 if port["dtype"] is np.int8 else 0), *_ends(port["dtype"]))
    interpreter.set_tensor(port["index"], x.astype(port["dtype"]))
    interpreter.invoke()
    outputs = []
    for port in interpreter.get_output_details():
        scale, zero = port["quantization"]
        value = interpreter.get_tensor(port["index"]).astype(np.float64)
        outputs.append((value - zero) * scale if scale else value)
    return outputs


def _ends(dtype: type) -> tuple[int, int]:
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def sample(source: Path, name: str, shape: tuple[int, ...], mean: float, std: float) -> np.ndarray:
    if source.is_dir():
        picture = ImageOps.exif_transpose(Image.open(source / name)).convert("L" if shape[3] == 1 else "RGB")
        x = np.asarray(picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR), np.float32)
        return ((x - mean) / std).reshape(shape).astype(np.float32)
    data = np.load(source)
    x = (data if source.suffix == ".npy" else data[data.files[0]])[int(name.split()[1])]
    return ((x.astype(np.float32) - mean) / std).reshape(shape)


def points(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Normalised mean error."""
    which = max(range(len(a)), key=lambda i: a[i].size if a[i].size % 3 == 0 and a[i].size < 2000 else 0)
    p, q = (v[which].reshape(-1, 5 if v[which].size == 195 else 3)[:, :3] for v in (a, b))
    return float(np.linalg.norm(p - q, axis=1).mean() / (np.linalg.norm(np.ptp(p[:, :2], axis=0)) / 2**0.5))


def areas(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    """[3, classes]: intersection and both areas of the masks; one channel is foreground only."""
    which = max(range(len(a)), key=lambda i: a[i].size)
    p, q = a[which], b[which]
    if p.shape[-1] == 1 or p.ndim == 3:
        cut = 0.5 if p.min() >= 0 and p.max() <= 1 else 0.0
        return np.array([[((p > cut) & (q > cut)).sum()], [(p > cut).sum()], [(q > cut).sum()]])
    classes, (p, q) = p.shape[-1], (v.argmax(-1).reshape(-1) for v in (p, q))
    return np.stack([np.bincount(v, minlength=classes) for v in (p[p == q], p, q)])


def boxes(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """[anchors, 4] as corners relative to each box's own anchor, [anchors, classes] scores."""
    raw, scores = sorted((v[0] for v in outputs if v.ndim == 3), key=lambda v: v.shape[1] not in (4, 16, 18))
    scores = (
        scores if scores.min() >= 0 and scores.max() <= 1 else 1 / (1 + np.exp(-np.clip(scores, -60, 60)))
    )
    in_pixels = np.percentile(np.abs(raw[:, 2:4]), 95) > 10
    center, size = (raw[:, :2], raw[:, 2:4]) if in_pixels else (raw[:, :2] / 10, np.exp(raw[:, 2:4] / 5))
    return np.concatenate([center - size / 2, center + size / 2], axis=1), scores


def hits(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """[n, 3] detections as class, score, hit; [m] classes of the objects (scores of 0.5 and more)."""
    (p, ours), (q, theirs) = boxes(a), boxes(b)
    both = np.clip(np.minimum(p[:, 2:], q[:, 2:]) - np.maximum(p[:, :2], q[:, :2]), 0, None).prod(1)
    iou = both / ((p[:, 2:] - p[:, :2]).prod(1) + (q[:, 2:] - q[:, :2]).prod(1) - both)
    anchor, kind = np.nonzero(theirs >= 0.05)
    hit = (ours[anchor, kind] >= 0.25) & (iou[anchor] >= 0.5)
    counts = ~hit | (ours[anchor, kind] >= 0.5)  # where the original is in doubt, neither way
    rows = np.stack([kind, theirs[anchor, kind], hit], axis=1)[counts]
    return rows, np.nonzero(ours >= 0.5)[1]


def average_precision(rows: np.ndarray, objects: np.ndarray) -> float:
    """Mean over the classes of the area under the interpolated precision-recall curve."""
    areas = []
    for kind, count in zip(*np.unique(objects, return_counts=True), strict=True):
        own = rows[rows[:, 0] == kind]
        hit = own[np.argsort(-own[:, 1], kind="stable"), 2]
        precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
        areas.append((np.maximum.accumulate(precision[::-1])[::-1] * hit).sum() / count)
    return float(np.mean(areas))


def squares(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    return np.array([[((p - q) ** 2).sum(), (p**2).sum()] for p, q in zip(a, b, strict=True)])


def cosine(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    p, q = max(a, key=np.size).reshape(-1), max(b, key=np.size).reshape(-1)
    return float(p @ q / (np.linalg.norm(p) * np.linalg.norm(q)))


def drop(task: str, pairs) -> float:
    """The drop over all samples, from its definition."""
    if task == "classify":
        return float(np.mean([p[0].argmax() != q[0].argmax() for p, q in pairs]))
    if task == "landmarks":
        return float(np.mean([points(p, q) for p, q in pairs]))
    if task == "embed":
        return 1 - float(np.mean([cosine(p, q) for p, q in pairs]))
    if task == "segment":
        both, ours, theirs = sum(areas(p, q) for p, q in pairs)
        seen = ours > 0
        return 1 - float((both[seen] / (ours + theirs - both)[seen]).mean())
    if task == "detect":
        rows, objects = zip(*(hits(p, q) for p, q in pairs), strict=True)
        found = np.concatenate(objects)
        return 1 - average_precision(np.concatenate(rows), found) if len(found) else float("nan")
    error, power = sum(squares(p, q) for p, q in pairs).T
    return float(np.sqrt(error / power).max())


def main() -> None:
    model, folder, source = map(Path, sys.argv[1:4])
    mean, std = (float(v) for v in sys.argv[4:6]) if len(sys.argv) > 5 else (0.0, 1.0)
    best, report = (json.loads((folder / name).read_text()) for name in ("best.json", "report.json"))
    a, b = load(model, best["threads"]), load(folder / "best.tflite", best["threads"])
    shape = tuple(a.get_input_details()[0]["shape"])
    names, task = report["samples"]["confirmed_on"], report["samples"]["task"]
    inputs = (sample(source, name, shape, mean, std) for name in names)
    found = drop(task, ((run(a, x), run(b, x)) for x in inputs))
    times: list[list[float]] = [[], []]
    end = time.perf_counter() + 6
    while time.perf_counter() < end:
        for own, interpreter in zip(times, (a, b), strict=True):
            for _ in range(3):
                start = time.perf_counter()
                interpreter.invoke()
                own.append(time.perf_counter() - start)
    p50 = [float(np.median(own)) * 1e3 for own in times]
    told = best["latency_ms"]
    print(json.dumps({
        "latency_ms": p50[1], "reported_ms": told["p50"], "speedup": p50[0] / p50[1],
        "reported_speedup": told["speedup"], "drop": found, "reported_drop": best["fidelity"]["drop"],
        "task": task, "metric": report["samples"]["metric"], "samples": len(names),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
