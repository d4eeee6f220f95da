"""Do older releases of LiteRT run what `--oldest-runtime` says they run?

    python benchmarks/releases.py MODEL.tflite… -o FOLDER [--release 1.0.1 --release 1.2.0 …]

Of every float model candidates are made (float16, dynamic, static and weight-only int8, int4). Each is
foretold by `tflite/releases.py`, then loaded and run on noise by the real releases, which pip installs into
FOLDER (one folder each, which only the processes that run them see). An answer is right within 20 % of the
largest value that the installed release gives: kernels round apart; what is meant is nonsense and refusals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import SanderlingError
from sanderling.runtime.loading import read_model
from sanderling.samples.load import load_samples
from sanderling.tflite.releases import parse, too_new

RELEASES = ("1.0.1", "1.1.2", "1.2.0", "1.3.0", "1.4.0", "2.0.3", "2.1.6")
TECHNIQUES = ("float16", "dynamic_int8", "weight_only_int8", "static_int8", "int4_weights")
WITHIN = 0.2
RUN = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
rng = np.random.default_rng(0)
for detail in interpreter.get_input_details():
    values = rng.random(detail["shape"])
    interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
interpreter.invoke()
found = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
np.savez(sys.argv[2], *found)
"""


def installed(release: str, folder: Path) -> Path:
    """Returns: a folder that holds a release, installed if need be."""
    place = folder / f"litert-{release}"
    if not (place / "ai_edge_litert").is_dir():
        numpy = ["numpy<2"] if parse(f"litert-{release}").release < (1, 1) else []  # what it was built with
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(place),
             f"ai-edge-litert=={release}", *numpy],
            check=True,
        )  # fmt: skip
    return place


def candidates(model: Path, folder: Path) -> list[Path]:
    """Returns: the model and what is made of it; what a technique refuses is told."""
    read = read_model(model)
    samples = load_samples(None, read, limit=8, count_synthetic=8)
    feeds = save_feeds([samples[i] for i in range(len(samples))], folder / f"{model.stem}-feeds")
    made = [model]
    for technique in TECHNIQUES:
        out = folder / f"{model.stem}-{technique}.tflite"
        settings = {"calibration": "minmax", "io": "float"} if technique == "static_int8" else {}
        try:
            apply(Recipe(technique, (Step(technique, settings),)), model, out, calibration=feeds)
        except SanderlingError as error:
            print(f"{out.stem}: {error}", file=sys.stderr)
        else:
            made.append(out)
    return made


def answers(file: Path, place: Path | None, out: Path) -> list[np.ndarray] | None:
    """Returns: a release's outputs (None: the installed one's), None where it refuses or dies."""
    out.unlink(missing_ok=True)
    seen = {} if place is None else {"PYTHONPATH": str(place)}
    subprocess.run(
        [sys.executable, "-c", RUN, str(file), str(out)],
        env=os.environ | seen,
        capture_output=True,
        check=False,
    )
    if not out.exists():
        return None
    with np.load(out) as found:
        return [found[name] for name in found.files]


def right(mine: list[np.ndarray] | None, wanted: list[np.ndarray]) -> bool:
    """Returns: whether answers are those of the installed release, roughly."""
    if mine is None:
        return False
    pairs = [(a.astype(float), b.astype(float)) for a, b in zip(mine, wanted, strict=True)]
    return all(
        a.shape == b.shape and np.isfinite(a).all()
        and np.abs(a - b).max(initial=0) <= WITHIN * max(np.abs(b).max(initial=0), 1e-6)
        for a, b in pairs
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--release", action="append", help=f"default: {', '.join(RELEASES)}")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    files = [file.resolve() for model in args.models for file in candidates(model, args.output)]
    wanted = {file: answers(file, None, args.output / "now.npz") for file in files}
    files = [file for file in files if wanted[file] is not None]
    print(f"{len(files)} candidates of {len(args.models)} models\n")
    print("| release | told to run, right | told not to, wrong | told to run, wrong | told not to, right |")
    print("|---|---|---|---|---|")
    wrong: dict[str, list[str]] = {}
    for release in args.release or RELEASES:
        place, counted = installed(release, args.output), Counter[tuple[bool, bool]]()
        for file in files:
            told = not too_new(read_model(file), parse(f"litert-{release}"))
            ran = right(answers(file, place, args.output / "then.npz"), wanted[file] or [])
            counted[told, ran] += 1
            if told and not ran:
                wrong.setdefault(release, []).append(file.stem)
        cells = [counted[key] for key in ((True, True), (False, False), (True, False), (False, True))]
        print(f"| LiteRT {release} | {' | '.join(map(str, cells))} |", flush=True)
    print(f"\ntold to run, and wrong: {json.dumps(wrong)}")


if __name__ == "__main__":
    main()
