"""Measures a winner again with nothing but LiteRT, NumPy and Pillow.

python benchmarks/remeasure.py MODEL DIR SAMPLES [MEAN STD]
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
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def sample(source: Path, name: str, shape: tuple[int, ...], mean: float, std: float) -> np.ndarray:
    if source.is_dir():
        picture = ImageOps.exif_transpose(Image.open(source / name)).convert("RGB")
        x = np.asarray(picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR), np.float32)
        return ((x - mean) / std)[None].astype(np.float32)
    data = np.load(source)
    x = (data if source.suffix == ".npy" else data[data.files[0]])[int(name.split()[1])]
    return ((x.astype(np.float32) - mean) / std).reshape(shape)


def drop(task: str, a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """One sample's share of the drop, written down from its definition."""
    if task == "classify":
        return float(a[0].argmax() != b[0].argmax())
    if task == "landmarks":
        which = max(range(len(a)), key=lambda i: a[i].size if a[i].size % 3 == 0 and a[i].size < 2000 else 0)
        p, q = (v[which].reshape(-1, 5 if v[which].size == 195 else 3).astype(float)[:, :3] for v in (a, b))
        return float(
            np.linalg.norm(p - q, axis=1).mean() / (np.linalg.norm(np.ptp(p[:, :2], axis=0)) / 2**0.5)
        )
    return float(np.sqrt(((a[0] - b[0]) ** 2).mean() / (a[0] ** 2).mean()))


def main() -> None:
    model, folder, source = map(Path, sys.argv[1:4])
    mean, std = (float(v) for v in sys.argv[4:6]) if len(sys.argv) > 5 else (0.0, 1.0)
    best = json.loads((folder / "best.json").read_text())
    a, b = load(model, best["threads"]), load(folder / "best.tflite", best["threads"])
    shape = tuple(a.get_input_details()[0]["shape"])
    names = best["samples"]["confirmed_on"]
    drops = [
        drop(best["task"]["name"], *(run(m, sample(source, n, shape, mean, std)) for m in (a, b)))
        for n in names
    ]
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
        "reported_speedup": told["speedup"], "drop": float(np.mean(drops)),
        "reported_drop": best["fidelity"]["drop"], "task": best["task"]["name"], "samples": len(names),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
