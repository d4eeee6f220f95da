"""Is what ``engine="auto"`` chooses as fast as the best engine in hindsight?

    python benchmarks/auto_choice.py MODEL.tflite… [-o FOLDER] [--rounds 7] [--seconds 0.5]

For each model, and for its int8 version (made here with noise where it is a float model), a session with
``engine="auto"`` and an empty cache chooses. Then every engine that is installed is timed on every number of
threads, each in a fresh process that does nothing else, all of them in turns, several rounds. The ratio is
the best one's median to the chosen one's: 1 where the choice was the best, 0.95 where it is 5 % slower.
What is done is kept in FOLDER and not run again; the table goes to FOLDER/auto_choice.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

CHOOSE = """
import json, sys, time
import sanderling as sd
start = time.perf_counter()
session = sd.Session(sys.argv[1])
print(json.dumps([session.engine, session.threads, session.reason, time.perf_counter() - start]))
"""
TIME = """
import json, sys, time
import numpy as np
import sanderling as sd
path, engine, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
session = sd.Session(path, engine=engine, threads=threads)
rng = np.random.default_rng(0)

def noise(port):
    kind, shape = port.type.dtype.numpy, port.type.shape
    if np.dtype(kind).kind == "f":
        return rng.random(shape).astype(kind)
    return rng.integers(0, 100, shape).astype(kind) if port.quant is not None else np.zeros(shape, kind)

feed = [noise(port) for port in session.inputs]
for _ in range(5):
    session(*feed)
times, until = [], time.perf_counter() + seconds
while time.perf_counter() < until or len(times) < 5:
    start = time.perf_counter()
    session(*feed)
    times.append(time.perf_counter() - start)
print(json.dumps(1e3 * float(np.median(times))))
"""


def python(script: str, *words: object, cache: Path) -> Any:
    """Runs a script in a fresh process. Returns: what it printed, or None where it failed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False,
        env={**os.environ, "SANDERLING_CACHE": str(cache)},
    )  # fmt: skip
    if done.returncode:
        print(f"  {words[1:3]}: {done.stderr.strip().splitlines()[-1][:150]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def integers(model: Path, folder: Path) -> Path | None:
    """Returns: the model in int8, ranges from noise; None where it holds integers already."""
    import numpy as np

    from sanderling.analysis.summary import summarize
    from sanderling.compress.apply import apply
    from sanderling.compress.calibration import save_feeds
    from sanderling.compress.recipe import Recipe, Step
    from sanderling.runtime.loading import read_model

    read = read_model(model)
    if not summarize(read).is_float:
        return None
    out = folder / f"{model.stem}_int8.tflite"
    if not out.exists():
        rng = np.random.default_rng(0)
        tensors = [read.main.tensors[i] for i in read.main.inputs]
        named = list(zip(read.input_names(), tensors, strict=True))
        feeds = [{n: rng.random(t.shape, dtype=np.float32) for n, t in named} for _ in range(8)]
        step = Step("static_int8", {"calibration": "minmax", "io": "float"})
        apply(Recipe("int8", (step,)), model, out, calibration=save_feeds(feeds, folder / model.stem))
    return out


def measured(model: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Returns: what was chosen, and the milliseconds of everything that could have been."""
    from sanderling.runtime.choice import candidates

    counts = [c for c in (1, 2, 4, 8) if c <= len(os.sched_getaffinity(0))]
    ways = [(str(v), t) for v in candidates() for t in (counts if v.threads else counts[:1])]
    with tempfile.TemporaryDirectory() as cache:
        chosen = python(CHOOSE, model, cache=Path(cache))
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            for engine, threads in list(ways):
                ms = python(TIME, model, engine, threads, seconds, cache=Path(cache))
                if ms is None:
                    ways.remove((engine, threads))
                else:
                    times.setdefault(f"{engine} {threads}", []).append(ms)
    found = {name: median(values) for name, values in times.items()}
    own = f"{chosen[0]} {chosen[1]}"
    return {
        "model": model.stem, "chosen": own, "reason": chosen[2], "seconds": chosen[3], "ms": found,
        "rounds": times, "best": min(found, key=lambda n: found[n]),
        "ratio": min(found.values()) / found[own],
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Returns: the rows as a Markdown table."""
    ways = list(dict.fromkeys(name for row in rows for name in row["ms"]))
    lines = [f"| model | {' | '.join(ways)} | chosen | best / chosen | measured in |"]
    lines += ["|" + "---|" * (len(ways) + 4)]
    for row in rows:
        cells = [f"{row['ms'][w]:.3g}" if w in row["ms"] else "–" for w in ways]
        cells = [f"**{c}**" if w == row["best"] else c for c, w in zip(cells, ways, strict=True)]
        tail = f"{row['chosen']} | {row['ratio']:.3f} | {row['seconds']:.1f} s |"
        lines.append(f"| {row['model']} | {' | '.join(cells)} | {tail}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("auto_choice"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    kept = args.output / "auto_choice.json"
    rows: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    done = {row["model"] for row in rows}
    for given in args.models:
        for model in filter(None, (given, integers(given, args.output))):
            if model.stem in done:
                continue
            rows.append(measured(model.resolve(), args.rounds, args.seconds))
            print(f"{rows[-1]['model']}: {rows[-1]['reason']} -> {rows[-1]['ratio']:.3f}", flush=True)
            kept.write_text(json.dumps(rows, indent=1))
    (args.output / "auto_choice.md").write_text(table(rows))
    low = [row["model"] for row in rows if row["ratio"] < 0.95]
    print(table(rows) + f"\nmore than 5 % behind the best: {', '.join(low) or 'none'}")


if __name__ == "__main__":
    main()
