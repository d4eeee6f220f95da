"""Cascades on CIFAR-10: how much less time they take than their large model, and what they lose.

Run: ``python benchmarks/cascade.py [--data ../shared/data] [--zoo ../shared/zoo] [--work benchmarks/work]``,
about four minutes. What it makes is kept in ``--work``, and a second run goes on from there. It writes
``benchmarks/results/cascade.json``.

- ``optimize`` gets ResNet-8 of MLPerf Tiny in float and in int8, and 2,000 test images without labels.
- ``cascade`` joins that ResNet-8 with a better model (``cascade_models.py``), with labels: both in
  float, for two budgets, then both in int8.

What comes out is judged on 1,000 other test images, which neither weights nor thresholds have seen, and timed
by turns with the large model on these, on one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import sanderling as sd
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import BudgetError
from sanderling.graph.types import Array
from sanderling.timing.mix import PASSES, by_feed, mean_ratio
from sanderling.timing.race import Contender, race

sys.path.insert(0, str(Path(__file__).parent))
from cascade_models import large_model

TARGET = Path(__file__).parent / "results" / "cascade.json"
UNSEEN, MAX_DROP, ASKED = 1000, 0.005, 1.5
SEARCH_SECONDS, TIMED, TIMED_SECONDS = 75.0, 250, 6.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--zoo", type=Path, default=Path("../shared/zoo"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/cascade"))
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    with np.load(arguments.data / "cifar10.npz") as stored:
        data = {name: stored[name] for name in stored.files}
    order = np.random.default_rng(0).permutation(len(data["x_test"]))  # they are sorted by class
    images, labels = data["x_test"][order].astype(np.float32), data["y_test"].reshape(-1)[order].astype(int)
    tiny = [
        arguments.zoo / "tflite" / f"mlperf_tiny_resnet8_cifar10_{kind}.tflite" for kind in ("fp32", "int8")
    ]
    large = large_model(work, tiny[0], data["x_train"], data["y_train"].reshape(-1))
    seen, unseen = (images[UNSEEN:], labels[UNSEEN:]), (images[:UNSEEN], labels[:UNSEEN])
    int8 = [_int8(model, seen[0], work) for model in (tiny[0], large)]
    pairs = {
        "int8 and float, by optimize, 0.5 % allowed": _found(tiny, seen[0], work / "optimized"),
        "small and large, float, 0.5 % allowed": _joined(tiny[0], large, seen, work / "float"),
        "small and large, float, 1 % allowed": _joined(tiny[0], large, seen, work / "float1", 0.01),
        "small and large, int8, 1 % allowed": {
            **_joined(*int8, seen, work / "int8", 0.01), "large": large, "large in int8": int8[1],
        },
    }  # fmt: skip
    result = {
        "asked": {"times_faster": ASKED, "points_lost": 0.5},
        "chosen_on": len(seen[0]),
        "unseen": UNSEEN,
        "pairs": {name: _judged(files, *unseen) for name, files in pairs.items()},
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, pair in result["pairs"].items():  # type: ignore[attr-defined]
        _show(name, pair)
    return 0


def _found(models: list[Path], images: Array, output: Path) -> dict[str, Path]:
    """Lets ``optimize`` find a cascade. Returns: files by role."""
    if not (output / "best.json").exists():
        resume = (output / "study.db").exists()
        sd.optimize(
            models, images, output=output, max_drop=MAX_DROP, threads=1, training=0, seconds=SEARCH_SECONDS,
            resume=resume,
        )  # fmt: skip
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    alone = [
        t for t in report["trials"] if not t["cascade"] and t["latency_ms"] and t["model"] == models[0].stem
    ]
    int8 = [t for t in alone if [s["technique"] for s in t["recipe"]["steps"]][-1:] == ["static_int8"]]
    fastest = max(int8, key=lambda t: t["speedup"] or 0)
    return {"large": models[0], "large in int8": output / fastest["file"], "cascade": output / "best.json"}


def _joined(
    small: Path, large: Path, seen: tuple[Array, Array], folder: Path, max_drop: float = MAX_DROP
) -> dict[str, Path]:
    """Joins two models, unless that was done. Returns: files by role."""
    saved = folder / "best.json"
    if not saved.exists():
        try:
            sd.cascade(small, large, seen[0], labels=seen[1].tolist(), max_drop=max_drop).save(folder)
        except BudgetError as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
    files = {"large": large, "small": small}
    return {**files, "cascade": saved} if saved.exists() else files


def _int8(model: Path, images: Array, work: Path) -> Path:
    """Makes a model's int8 form, unless it is there."""
    output = work / f"{model.stem}-int8"
    if not (output / "best.tflite").exists():
        recipe = Recipe("int8", (Step("static_int8"),))
        sd.optimize(model, images[:600], output=output, recipe=recipe, max_drop=0.2, threads=1)
    return output / "best.tflite"


def _judged(files: Mapping[str, Path], images: Array, labels: Array) -> dict[str, Any]:
    """Returns: accuracy and time of a pair's models and of its cascade, on unseen images."""
    sessions = {
        role: sd.Session(file) if role == "cascade" else sd.Session(file, "litert", 1)
        for role, file in files.items()
    }
    right = {
        role: np.array([int(np.argmax(np.asarray(session(x[None])))) for x in images]) == labels
        for role, session in sessions.items()
    }
    calls = sessions["cascade"].calls if "cascade" in sessions else ()
    feeds = [[x[None]] for x in images[:TIMED]]
    racing = {role: Contender(_call(session), feeds) for role, session in sessions.items()}
    race(list(racing.values()), seconds=TIMED_SECONDS * len(racing), target=0.0, passes=PASSES)
    rows = {
        role: {
            "file": files[role].name,
            "top1": float(right[role].mean()),
            "points_lost": _points_lost(right["large"], right[role]),
            "mean_ms": float(by_feed(contender).mean()),
            "p50_ms": float(np.percentile(contender.times, 50)),
            "p90_ms": float(np.percentile(contender.times, 90)),
            "times_faster": [round(v, 3) for v in mean_ratio(contender, racing["large"])],
        }
        for role, contender in racing.items()
    }
    return {"large_asked": calls[-1] / calls[0] if calls else None, "rows": rows}


def _call(session: sd.Session) -> Any:
    return lambda arrays: session(arrays[0])


def _points_lost(reference: Array, own: Array) -> list[float]:
    """Returns: lower bound, estimate, upper bound of the paired loss of accuracy, in points: 95 %."""
    loss = reference.astype(float) - own.astype(float)
    reach = 1.96 * loss.std() / len(loss) ** 0.5
    return [round(100 * float(v), 2) for v in (loss.mean() - reach, loss.mean(), loss.mean() + reach)]


def _show(name: str, pair: Mapping[str, Any]) -> None:
    asked = "" if pair["large_asked"] is None else f": the large one is asked for {pair['large_asked']:.0%}"
    print(f"{name}{asked}")
    for role, row in pair["rows"].items():
        low, lost, high = row["points_lost"]
        time = f"{row['mean_ms']:8.4f} ms  {row['times_faster'][1]:6.2f}x"
        points = f"{lost:+.2f} points lost ({low:+.2f} to {high:+.2f})"
        print(f"  {role:14} {time}  top-1 {row['top1']:.1%}, {points}")


if __name__ == "__main__":
    raise SystemExit(main())
