"""Sends damaged models through the real commands and counts how they end.

Every damaged file goes through ``sanderling analyze --json``; those that it accepts, and some of the
others, through ``sanderling optimize``. A command must end with an answer or with one sentence and exit
code 1, within its time: never with a traceback, a hang, a signal, or half-written output.

Run: ``python benchmarks/damaged_files.py [--count 300] [--models FOLDER] [--seed 0] [--jobs 1]``. Exits
with 1 when a single command misbehaves; ``--keep FOLDER`` keeps the files that it misbehaved on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damage import KINDS, anatomy, can_be_damaged

from sanderling import zoo
from sanderling.errors import ModelError, SampleError
from sanderling.runtime.loading import read_model
from sanderling.samples.inputs import model_inputs

ROOT = Path(__file__).resolve().parents[1]
START = (sys.executable, "-c", "import sys; from sanderling.cli import main; sys.exit(main())")
# Seconds. An engine that hangs while it loads a model is given 60 s, whatever the search was given.
ANALYZE_LIMIT, OPTIMIZE_LIMIT = 30.0, 90.0
GOOD = ("answer", "sentence")
BAD = ("traceback", "wrong words", "wrong exit code", "hang", "signal", "half-written", "left behind")
LARGEST = 4_000_000  # bytes; larger models make no other mistakes, only slower ones
SAMPLES = 12


@dataclass(frozen=True)
class Case:
    """One damaged file and samples that would fit the model before the damage."""

    file: Path
    samples: Path
    kind: str


@dataclass(frozen=True)
class Ending:
    """How a command ended: one of ``GOOD`` or ``BAD``, and what it said."""

    verdict: str
    said: str
    seconds: float


def sources(folder: Path | None) -> list[Path]:
    """Returns: the sound models that are damaged."""
    folder = folder or ROOT.parent / "shared" / "zoo" / "tflite"
    found = sorted(folder.glob("*.tflite")) if folder.is_dir() else []
    digits = zoo.model_path("digits")
    every = ([digits] if digits else []) + [f for f in found if f.stat().st_size <= LARGEST]
    return [file for file in every if can_be_damaged(file.read_bytes())]


def samples_for(model: Path, folder: Path) -> Path | None:
    """Writes a few random inputs; None when the model takes none that could be fed."""
    try:
        inputs = model_inputs(read_model(model))
    except (ModelError, SampleError):
        return None
    rng = np.random.default_rng(0)
    arrays = {}
    for spec in inputs:
        shape = (SAMPLES, *(spec.shape[1:] if spec.batched else spec.shape))
        numbers = rng.random(shape) if spec.dtype.is_float else rng.integers(0, 100, shape)
        arrays[spec.name] = numbers.astype(spec.dtype.numpy)
    file = folder / f"{model.stem}.npz"
    np.savez(file, **arrays)
    return file


def make_cases(models: Sequence[Path], count: int, seed: int, folder: Path) -> Iterator[Case]:
    """Damages the models in turn, in every way in turn."""
    rng = np.random.default_rng(seed)
    known = [(m, m.read_bytes(), samples_for(m, folder)) for m in models]
    parts = [anatomy(data) for _, data, _ in known]
    kinds = list(KINDS)
    for number in range(count):
        position = number % len(known)
        model, data, samples = known[position]
        kind = kinds[number // len(known) % len(kinds)] if count > len(known) else kinds[number % len(kinds)]
        damaged = KINDS[kind](data, parts[position], rng)
        file = folder / f"{number:04d}-{kind.replace(' ', '-')}-{model.stem}.tflite"
        file.write_bytes(damaged)
        if samples is not None:
            yield Case(file, samples, kind)


def run(arguments: Sequence[str], limit: float, scratch: Path) -> tuple[int | None, str, str, float]:
    """Runs a command in a process group of its own.

    Returns: exit code (None: a hang), output, errors, seconds.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        [*START, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(scratch)},
    )
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, "", "", time.monotonic() - start
    return process.returncode, out, err, time.monotonic() - start


def common_fault(code: int | None, err: str, scratch: Path) -> str:
    """Returns: what no command may do, "" when it did not."""
    if code is None:
        return "hang"
    if code < 0:
        return "signal"
    if "Traceback" in err or "internal error" in err:
        return "traceback"
    return "left behind" if any(scratch.iterdir()) else ""


def one_sentence(err: str) -> bool:
    """Returns: whether the last line is the one sentence that tells the error."""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    return len(lines) == 1 and err.rstrip().endswith(lines[0])


def analyze(case: Case, scratch: Path) -> Ending:
    """Judges ``sanderling analyze``."""
    code, out, err, seconds = run(["analyze", str(case.file), "--json"], ANALYZE_LIMIT, scratch)
    verdict = common_fault(code, err, scratch)
    if not verdict:
        try:
            document = json.loads(out)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            verdict = "wrong words"
        elif code == 0:
            verdict = "answer" if "rows" in document and not err else "wrong words"
        elif code == 1:
            verdict = "sentence" if "error" in document and one_sentence(err) else "wrong words"
        else:
            verdict = "wrong exit code"
    return Ending(verdict, err.strip() or out[-300:], seconds)


def optimize(case: Case, scratch: Path, out_folder: Path) -> Ending:
    """Judges ``sanderling optimize``."""
    arguments = ["optimize", str(case.file), "--samples", str(case.samples), "--time", "5s"]
    code, out, err, seconds = run([*arguments, "-o", str(out_folder)], OPTIMIZE_LIMIT, scratch)
    verdict = common_fault(code, err, scratch) or half_written(out_folder)
    if not verdict:
        told = one_sentence(err)
        if code == 0:
            verdict = "answer" if (out_folder / "best.tflite").exists() and not told else "wrong words"
        elif code == 1:
            # Without a winner there is a report in place of the sentence.
            reported = (out_folder / "report.json").exists() and bool(out)
            verdict = "sentence" if told else "answer" if reported else "wrong words"
        else:
            verdict = "wrong exit code"
    return Ending(verdict, err.strip()[-400:], seconds)


def half_written(folder: Path) -> str:
    """Returns: "half-written" when a file in the folder is not whole."""
    if not folder.exists():
        return ""
    try:
        for file in folder.rglob("*"):
            if file.name.startswith("."):
                return "left behind"
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".tflite":
                read_model(file)
            elif file.suffix == ".html" and not file.read_text("utf-8").rstrip().endswith("</html>"):
                return "half-written"
    except (ValueError, ModelError):
        return "half-written"
    both = [(folder / name).exists() for name in ("best.tflite", "best.json")]
    return "half-written" if both[0] != both[1] else ""


def judged(case: Case, rejected_share: float, folder: Path) -> dict[str, Ending]:
    """Runs both commands on a case. Returns: command → ending."""
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix="scratch-"))
    endings = {"analyze": analyze(case, scratch)}
    number = int(case.file.name[:4])
    sampled = (number * 0.618) % 1 < rejected_share
    if endings["analyze"].verdict != "sentence" or sampled:
        output = folder / f"out-{number:04d}"
        endings["optimize"] = optimize(case, scratch, output)
        shutil.rmtree(output, ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)
    return endings


def show(results: list[tuple[Case, dict[str, Ending]]]) -> bool:
    """Prints the counts. Returns: whether every command behaved."""
    for command in ("analyze", "optimize"):
        rows = [(case.kind, e[command]) for case, e in results if command in e]
        columns = [v for v in (*GOOD, *BAD) if v in GOOD or any(e.verdict == v for _, e in rows)]
        print(f"\nsanderling {command}: {len(rows)} damaged files")
        print(f"{'damage':<20}" + "".join(f"{c:>17}" for c in columns))
        for kind in (*KINDS, "all"):
            count = Counter(e.verdict for k, e in rows if kind in (k, "all"))
            print(f"{kind:<20}" + "".join(f"{count[c]:>17}" for c in columns))
        slowest = max((e.seconds for _, e in rows), default=0.0)
        print(f"slowest: {slowest:.1f} s")
    bad = [(c, name, e) for c, es in results for name, e in es.items() if e.verdict in BAD]
    for case, name, ending in bad:
        print(
            f"\n{ending.verdict.upper()}: sanderling {name} {case.file.name} ({ending.seconds:.1f} s)",
            ending.said,
            sep="\n",
        )
    return not bad


def main() -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300, help="damaged files (default: %(default)s)")
    parser.add_argument("--models", type=Path, help="a folder of .tflite files to damage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time (default: %(default)s)")
    parser.add_argument("--rejected", type=float, default=0.2, help="share of refused files to optimize, too")
    parser.add_argument("--keep", type=Path, help="keep the files that a command misbehaved on")
    parser.add_argument("--verbose", action="store_true", help="print every sentence")
    options = parser.parse_args()
    models = sources(options.models)
    if not models:
        parser.error("there is no sound .tflite file to damage")
    with tempfile.TemporaryDirectory(prefix="damaged-") as name:
        folder = Path(name)
        cases = list(make_cases(models, options.count, options.seed, folder))
        print(f"{len(cases)} damaged copies of {len(models)} models", flush=True)
        with ThreadPoolExecutor(options.jobs) as pool:
            endings = pool.map(lambda case: judged(case, options.rejected, folder), cases)
            results = []
            for case, ending in zip(cases, endings, strict=True):
                results.append((case, ending))
                bad = {n: e for n, e in ending.items() if e.verdict in BAD}
                for command, e in (ending if options.verbose else bad).items():
                    print(f"{case.file.name}: {command}: {e.verdict}: {e.said.splitlines()[-1:]}", flush=True)
                if options.keep and bad:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(case.file, options.keep)
                    shutil.copy(case.samples, options.keep / f"{case.file.stem}.npz")
        good = show(results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
