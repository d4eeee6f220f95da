"""Sends damaged and hostile models through load, verify, analyze and a session, and counts how they end.

Every file gets a process of its own. It must end with ``ModelError``, in one sentence when it is run, or
with LiteRT's own answer: never with another exception, a crash, or a hang. Reading, verifying and analyzing
must take less than a second and at most 4 × the file + 50 MB of memory, whatever the file says. What LiteRT
itself then needs to run a sound but absurd model is shown beside it.

Run (Linux): ``python benchmarks/hardening.py [--count 2000] [--seed 0] [--models FOLDER] [--keep FOLDER]``.
Exits with 1 when a single file misbehaves.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from damage import KINDS, anatomy
from damaged_files import sources
from hostile_models import CHANGES, write_changed

from sanderling.errors import ModelError, SanderlingError
from sanderling.ops import registry as ops
from sanderling.runtime.analyze import analyze
from sanderling.runtime.loading import read_model
from sanderling.runtime.session import Session

SECONDS, MORE_BYTES, TIMES = 1.0, 50 * 2**20, 4
PATIENCE, WALL = 10, 100.0  # seconds until a file counts as a hang: of processor time, and on the clock
LARGEST = 1_500_000  # bytes: a model ten times as large makes no other mistakes, only slower ones
ASKED = 6  # times that LiteRT is asked, each time by a new interpreter
_MOST_INPUT = 2**26  # elements; larger inputs are not fed


@dataclass
class Ending:
    """How one file ended.

    Attributes:
        verdict: ``refused`` (ModelError), ``same answer``, ``sentence`` (refused when loaded into the engine
            or run), ``unsteady`` (LiteRT differs from itself), ``not fed``, or what went wrong.
        stage: ``look`` (load, verify, analyze) or ``session``.
        seconds, grown: of the first stage; ``run_seconds``, ``run_grown`` of the session.
    """

    verdict: str = ""
    stage: str = "look"
    said: str = ""
    seconds: float = 0.0
    grown: int = 0
    run_seconds: float = 0.0
    run_grown: int = 0
    notes: list[str] = field(default_factory=list)


GOOD = ("refused", "same answer", "sentence", "unsteady", "not fed")


def memory(key: str) -> int:
    """Returns: a figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def measured(work: Callable[[], Any]) -> tuple[Any, float, int]:
    """Returns: the result (or the exception), seconds of processor time (a busy machine makes nothing slow),
    and by how many bytes the process grew at its peak."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # from here on the peak is counted anew
    before, start = memory("VmRSS"), time.process_time()
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - which one it was is what is asked
        result = error
    return result, time.process_time() - start, max(0, memory("VmHWM") - before)


def look(path: Path) -> Any:
    """Loads, verifies and analyzes. Returns: the model."""
    model = read_model(path)
    json.dumps(analyze(model).to_json(), default=str)
    return model


def examine(path: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """The whole examination of one file; called in its own process, which may not outlive it."""
    found, seconds, grown = measured(lambda: look(path))
    told: dict[str, Any] = {"seconds": seconds, "grown": grown}
    if isinstance(found, Exception):
        verdict = "refused" if isinstance(found, ModelError) else "traceback"
        tell({**told, "verdict": verdict, "said": f"{type(found).__name__}: {found}"})
        return
    tell({**told, "stage": "session"})
    answer, seconds, grown = measured(lambda: answers(path))
    told = {"run_seconds": seconds, "run_grown": grown, "stage": "session"}
    if isinstance(answer, Exception):
        verdict = "sentence" if isinstance(answer, SanderlingError) else "traceback"
        tell({**told, "verdict": verdict, "said": f"{type(answer).__name__}: {answer}"})
    elif answer is None:
        tell({**told, "verdict": "not fed"})
    else:
        tell({**told, "verdict": compared(answer, [litert(path) for _ in range(ASKED)])})


def compared(answer: list[Any], told: Sequence[list[Any]]) -> str:
    """Returns: the verdict. On some files LiteRT reads memory that nobody wrote, and differs from itself from
    one interpreter to the next: these are counted by themselves."""
    if any(not same(told[0], other) for other in told):
        return "unsteady"
    return "same answer" if same(answer, told[0]) else "another answer"


def values(path: Path, shapes: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> list[Any] | None:
    """Returns: inputs of these shapes; None where there are too many elements or they are no numbers."""
    if sum(int(np.prod(shape)) for shape, _ in shapes) > _MOST_INPUT:
        return None
    if any(dtype.kind not in "biuf" for _, dtype in shapes):
        return None
    rng = np.random.default_rng(path.stat().st_size)
    return [(rng.random(shape) * 2).astype(dtype) for shape, dtype in shapes]


def answers(path: Path) -> list[Any] | None:
    """Returns: the session's outputs for made-up inputs, None when it cannot be fed."""
    with Session(path) as session:
        inputs = values(path, [(p.type.shape, p.type.dtype.numpy) for p in session.inputs])
        if inputs is None:
            return None
        answer = session(*inputs)
    return list(answer.values()) if isinstance(answer, dict) else [answer]


def litert(path: Path) -> list[Any]:
    """Returns: what LiteRT answers to the same inputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    inputs = values(path, [(tuple(d["shape"]), np.dtype(d["dtype"])) for d in details])
    assert inputs is not None
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Returns: whether two lists of arrays are equal, NaN for NaN."""
    return len(a) == len(b) and all(
        x.shape == y.shape and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        for x, y in zip(a, b, strict=True)
    )


def in_own_process(work: Callable[[Callable[[dict[str, Any]], None]], None]) -> Ending:
    """Runs ``work`` in a fork of this process and collects what it tells, up to its crash."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        try:
            work(lambda told: os.write(send, (json.dumps(told) + "\n").encode()) and None)
        finally:
            os._exit(0)
    os.close(send)
    ending, rest, deadline = Ending(), b"", time.monotonic() + WALL
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([receive], [], [], left)[0]:
            os.kill(child, signal.SIGKILL)
            ending.verdict = "hang"
            break
        data = os.read(receive, 1 << 16)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            for key, value in json.loads(line).items():
                setattr(ending, key, value)
    os.close(receive)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and ending.verdict != "hang":
        cause = os.WTERMSIG(status)
        ending.verdict = "hang" if cause in (signal.SIGXCPU, signal.SIGKILL) else "crash"
        ending.said = signal.Signals(cause).name
    return ending


def judged(path: Path) -> Ending:
    """Examines one file."""
    ending = in_own_process(lambda tell: examine(path, tell))
    size = path.stat().st_size
    if ending.verdict in GOOD:
        if ending.seconds > SECONDS:
            ending.verdict = "slow"
        elif ending.grown > TIMES * size + MORE_BYTES:
            ending.verdict = "large"
    return ending


def make_files(models: Sequence[Path], count: int, seed: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields: what was done to it, and the file: the models in turn, in every way in turn."""
    sound = [(path, path.read_bytes()) for path in models]
    parts = [anatomy(data) for _, data in sound]
    read = [read_model(path) for path in models]
    kinds = [*KINDS, *CHANGES]
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind, position = kinds[number % len(kinds)], int(rng.integers(len(sound)))
        path, data = sound[position]
        file = folder / f"{number:05d}-{kind.replace(' ', '-')}-{path.stem}.tflite"
        if kind in CHANGES:
            write_changed(read[position], kind, rng, file)
        else:
            file.write_bytes(KINDS[kind](data, parts[position], rng))
        yield kind, file


def show(results: Sequence[tuple[str, Path, Ending]]) -> bool:
    """Prints the counts. Returns: whether every file behaved."""
    columns = list(GOOD) + sorted({e.verdict for _, _, e in results} - set(GOOD))
    print(f"{'damage':<26}" + "".join(f"{c:>16}" for c in columns))
    for kind in (*KINDS, *CHANGES, "all"):
        count = Counter(e.verdict for k, _, e in results if kind in (k, "all"))
        print(f"{kind:<26}" + "".join(f"{count[c]:>16}" for c in columns))
    slowest = max(results, key=lambda r: r[2].seconds)
    print(f"\nload, verify, analyze: slowest {slowest[2].seconds:.2f} s ({slowest[1].name})")
    most = max(results, key=lambda r: r[2].grown)
    print(f"most memory {most[2].grown / 2**20:.1f} MB ({most[1].name})")
    longest = max(results, key=lambda r: r[2].run_seconds)
    print(f"session: longest {longest[2].run_seconds:.2f} s ({longest[1].name})")
    largest = max(results, key=lambda r: r[2].run_grown)
    print(f"session: most memory {largest[2].run_grown / 2**20:.1f} MB ({largest[1].name})")
    said = Counter(e.said.split(":")[0] for _, _, e in results if e.said and e.verdict in GOOD)
    print("errors: " + ", ".join(f"{name} {count}" for name, count in said.most_common()))
    bad = [(p, e) for _, p, e in results if e.verdict not in GOOD]
    for path, ending in bad:
        figures = f"{ending.seconds:.2f} s, {ending.grown / 2**20:.0f} MB"
        print(f"{ending.verdict.upper()} in {ending.stage}: {path.name} ({figures}) {ending.said[:200]}")
    return not bad


def import_everything(sound: Path) -> None:
    """Does once, here, what would be done once per file: imports, and starting the engines' drivers."""
    import ai_edge_litert.interpreter  # noqa: F401

    for name in ops.names():
        ops.find(name)
    look(sound)


def main() -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="files (default: %(default)s)")
    parser.add_argument("--models", type=Path, help="a folder of .tflite files to damage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep the files that misbehaved")
    parser.add_argument("--verbose", action="store_true", help="print what every file ended with")
    options = parser.parse_args()
    models = [path for path in sources(options.models) if path.stat().st_size <= LARGEST]
    if not models:
        parser.error("there is no sound .tflite file to damage")
    import_everything(models[0])
    results = []
    with tempfile.TemporaryDirectory(prefix="hardening-") as name:
        for kind, path in make_files(models, options.count, options.seed, Path(name)):
            ending = judged(path)
            results.append((kind, path, ending))
            if options.verbose:
                print(f"{path.name}: {ending.verdict} in {ending.stage}: {ending.said}", flush=True)
            if ending.verdict not in GOOD and options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, options.keep)
            path.unlink()
    print(f"{len(results)} files made from {len(models)} models")
    return 0 if show(results) else 1


if __name__ == "__main__":
    sys.exit(main())
