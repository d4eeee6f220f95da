"""What the program of a bundle does, whatever runs its model: pictures in, answers out, self-test, figures.

It is copied into bundles: nothing here may need more than NumPy and Pillow.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from sanderling.deploy.camera import CameraError, frames
from sanderling.deploy.tolerance import HALF, judged
from sanderling.errors import MissingExtra, SanderlingError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.pipeline.answered import Answered
from sanderling.pipeline.pipeline import Pipeline
from sanderling.pipeline.video import VideoWriter
from sanderling.samples.inputs import Input
from sanderling.tasks.answer import Answer
from sanderling.tasks.spec import TaskSpec, from_json
from sanderling.tasks.words import strict_json

if TYPE_CHECKING:
    from PIL import Image

EXTRAS = {"text": "tokenizers", "video": "opencv-python-headless"}  # what some inputs need besides
EXAMPLES = "examples.npz"
PRECISIONS = {"f32": "float32", "f16": "float16"}  # of floats, as results of every bundle call them


class Machine(Protocol):
    """A model, loaded: what runs it is the target's.

    Attributes:
        model: what is known of it.
        inputs, outputs: its ports, in the model's order.
        engine: what runs it.
        reason: why that does.
        precision: of floats: f32, f16.
        threads: CPU threads.
        seconds: what the last call took.
    """

    model: Model
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    engine: str
    reason: str
    precision: str
    threads: int
    seconds: float

    def stored(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Runs once. Returns: the outputs as the model stores them."""

    def __call__(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Runs once. Returns: the outputs as real values."""

    def forget(self) -> None:
        """Sets what the model keeps from call to call back."""

    def close(self) -> None:
        """Frees it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A bundle's program.

    Attributes:
        here: the bundle's folder.
        what: the help's text.
        load: (stem of the model's file, its part of ``bundle.json``, the arguments, threads) → the model.
        suffixes: of the model's files, which must be those that were made.
        arguments: adds the target's own to a parser.
    """

    here: Path
    what: str
    load: Callable[[str, Mapping[str, Any], argparse.Namespace, int], Machine]
    suffixes: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def self_test(program: Program, machine: Machine, bundle: Mapping[str, Any], file: str) -> str:
    """Returns: what came of the stored examples, in a sentence.

    Args:
        file: what ``bundle.save_examples`` wrote, in the bundle or elsewhere.

    Raises:
        SystemExit: a file is not the one that was made, or this machine computes something else.
    """
    for name, digest in bundle["files"].items():
        own = Path(name).suffix in (*program.suffixes, ".npz")
        if own and _digest(program.here / name) != digest:
            raise SystemExit(f"self-test failed: {name} is not the file that belongs here")
    names = [port.name for port in machine.inputs], machine.outputs
    answers: list[dict[str, Array]] = []
    wanted: list[dict[str, Array]] = []
    with np.load(program.here / file, allow_pickle=False) as stored:
        for number in range(1 + max(int(key.partition("/")[0]) for key in stored)):
            feeds = {name: stored[f"{number}/in/{i}"] for i, name in enumerate(names[0])}
            machine.forget()
            answers.append(dict(zip(names[1], machine.stored(feeds), strict=True)))
            wanted.append({name: stored[f"{number}/out/{i}"] for i, name in enumerate(names[1])})
    off, output = judged(answers, wanted, _allowed(machine, bundle["tolerance"]))
    if off > 1:
        raise SystemExit(f"self-test failed: output {output!r} is off by {off:.3g} times what is allowed")
    told = f"{len(answers)} examples, the largest difference is {off:.1%} of what is allowed"
    return f"correct on this device: {told}"


def _allowed(machine: Machine, tolerance: Mapping[str, float]) -> dict[str, float]:
    if machine.precision == "f32":
        return dict(tolerance)
    return {name: max(value, HALF) if value < 1 else value for name, value in tolerance.items()}


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bench(
    program: Program, machine: Machine, bundle: Mapping[str, Any], seconds: float = 5.0
) -> dict[str, Any]:
    """Returns: the time of the model's calls on the first example, as 'sanderling bench --from' reads it."""
    with np.load(program.here / EXAMPLES, allow_pickle=False) as stored:
        feeds = {port.name: stored[f"0/in/{i}"] for i, port in enumerate(machine.inputs)}
    for _ in range(3):
        machine.stored(feeds)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        machine.stored(feeds)
        times.append(1e3 * machine.seconds)
    return {
        "sanderling_bench": 1,
        "model": bundle["model"]["name"],
        "sha256": bundle["model"]["sha256"],
        "engine": machine.engine,
        "device": device(),
        "precision": PRECISIONS.get(machine.precision, machine.precision),
        "threads": machine.threads,
        "p50_ms": statistics.median(times),
        "p90_ms": float(np.percentile(times, 90)),
        "runs": len(times),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def device() -> dict[str, Any]:
    """Returns: what this machine is."""
    board, info = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    name = board.read_text(errors="replace").strip("\0\n ") if board.exists() else ""
    if not name and info.exists():
        lines = info.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    name = name or platform.machine()
    return {"name": name, "system": f"{platform.system()} {platform.machine()}", "cores": cores()}


def cores() -> int:
    """Returns: how many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(program: Program) -> NoReturn:
    """Does what the command line asks for, and ends the process."""
    try:
        sys.exit(_main(program))
    except MissingExtra as error:
        package = EXTRAS.get(error.extra, error.extra)
        sys.exit(f"error: {error.what}; run: {sys.executable} -m pip install {package}")
    except (SanderlingError, CameraError) as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # whoever read the answers has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {error.filename or ''}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _main(program: Program) -> int:
    """Returns: the exit code."""
    given, here = _parser(program).parse_args(), program.here
    bundle = json.loads((here / "bundle.json").read_text(encoding="utf-8"))
    threads = given.threads or bundle["threads"] or cores()
    machine: Any = program.load("model", bundle, given, threads)
    if given.self_test or given.bench:
        if given.self_test:
            print(self_test(program, machine, bundle, given.self_test))
        if given.bench:
            print(json.dumps(bench(program, machine, bundle), indent=1))
        return 0
    cropper = None
    if bundle["detector"]:
        detector: Any = program.load("detector", bundle["detector"], given, threads)
        cropper = Pipeline(detector, _spec(bundle["detector"]["task"], here))
    pipeline = Pipeline(machine, _spec(bundle["task"], here), cropper=cropper, tell=_told)
    shown = Shown(given.output, given.json)
    if given.camera is not None:
        return shown.camera(pipeline, given.camera)
    if not given.input:
        raise UsageError(
            "nothing was given", hint="give a picture, a folder, --camera, --self-test or --bench"
        )
    return shown.all(pipeline, given.input)


def _parser(program: Program) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=program.what, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "input", nargs="*", help="pictures, videos, sounds, sentences, arrays, or folders of them"
    )
    parser.add_argument("-o", "--output", type=Path, help="a file to draw the answer into; a folder for many")
    parser.add_argument(
        "--camera", nargs="?", type=_count, const=0, metavar="N", help="look through camera N (0)"
    )
    parser.add_argument(
        "--threads", type=_count, default=0, metavar="N", help="CPU threads (as deployed, or one a core)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON document per answer, one a line")
    parser.add_argument(
        "--self-test", nargs="?", const=EXAMPLES, metavar="FILE", help="compare with the stored answers"
    )
    parser.add_argument("--bench", action="store_true", help="time the model")
    program.arguments(parser)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 999:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 0 to 999")
    return int(text)


def _spec(task: Mapping[str, Any], here: Path) -> TaskSpec:
    """Returns: a task out of ``bundle.json``, whose tokenizer lies in this folder."""
    spec = from_json(task, "bundle.json", here)
    inputs = [
        replace(each, tokenizer=str(here / each.tokenizer)) if getattr(each, "tokenizer", "") else each
        for each in spec.inputs
    ]
    return replace(spec, inputs=tuple(inputs))


class Shown:
    """Prints answers, and draws them where that is asked for.

    Args:
        out: a file or a folder, None for none.
        as_json: a JSON document per answer.
    """

    def __init__(self, out: Path | None, as_json: bool) -> None:
        self._out, self._json = out, as_json
        self._written: set[Path] = set()
        self._failed = 0

    def all(self, pipeline: Pipeline, given: Sequence[str]) -> int:
        """Answers all that was given. Returns: the exit code."""
        sources = pipeline.sources(list(given))
        many = len(sources) > 1 or sources[0].count != 1
        videos = [source for source in sources if source.fps is not None]
        out = self._out
        if out is not None:
            one = bool(out.suffix) and not out.is_dir()
            if one and many and not len(videos) == len(sources) == 1:
                raise UsageError("there are several answers", where=str(out), hint="give a folder")
            if any(
                Path(source.name).exists() and out.resolve() == Path(source.name).resolve()
                for source in sources
            ):
                raise UsageError("this is an input, which the answer would replace", where=str(out))
            (out.parent if one else out).mkdir(parents=True, exist_ok=True)
        for source in sources:
            with self._video(source.name, source.fps) as video:
                for answered in pipeline.run([source]):
                    self._show(answered, many)
                    if answered.answer is None or out is None:
                        continue
                    if video is None:
                        answered.save(self._target(out, answered, answered.answer))
                    else:
                        video.write(self._drawn(answered))
        return 1 if self._failed else 0

    def camera(self, pipeline: Pipeline, number: int) -> int:
        """Answers a camera's pictures until Ctrl-C, the newest drawn into the file or the folder."""
        name = pipeline.machine.inputs[0].name
        if pipeline.ports[0].kind.name != "image":
            raise UsageError("the model does not look at pictures", where="--camera")
        out = self._out
        if out is not None and (not out.suffix or out.is_dir()):
            out = out / "camera.png"
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
        for count, picture in enumerate(frames(number)):
            answer, _ = pipeline.answer({name: picture}, "camera")
            spent = 1e3 * pipeline.machine.seconds
            answered = Answered(f"frame {count}", answer, frame=count, model_ms=spent, picture=picture)
            self._show(answered, True)
            if out is not None:
                answered.save(out)
        return 0

    def _show(self, answered: Answered, many: bool) -> None:
        self._failed += answered.error is not None
        if self._json:
            print(json.dumps(strict_json(answered.to_json()), ensure_ascii=False), flush=True)
        elif answered.error is not None:
            print(f"error: {answered.error}", file=sys.stderr)
        else:
            name = [f"{answered.short or answered.name}:"] if many else []
            print(*name, answered.text, sep="\n", flush=True)

    def _target(self, out: Path, answered: Answered, answer: Answer) -> Path:
        if out.suffix and not out.is_dir():
            return out
        drawable = answer.draw is not None and (answered.picture is not None or answer.arrays)
        suffix = ".png" if drawable else ".npz" if answer.arrays else ".json"
        short = Path(answered.short or "answer").with_suffix("")
        target, number = out / f"{short}{suffix}", 2
        while target in self._written or (answered.path and target.resolve() == answered.path.resolve()):
            target, number = out / f"{short}-{number}{suffix}", number + 1
        self._written.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _video(self, name: str, fps: float | None) -> VideoWriter | nullcontext[None]:
        """Returns: what the answers to a video are drawn into, None for anything else."""
        out = self._out
        if fps is None or out is None:
            return nullcontext()
        one = out.suffix and not out.is_dir()
        return VideoWriter(out if one else out / f"{Path(name).stem.replace(' ', '-')}.mp4", fps)

    def _drawn(self, answered: Answered) -> Image.Image:
        drawn = answered.drawn()
        if drawn is None:
            raise UsageError("there is nothing to draw these answers on", where="-o", hint="take --json")
        return drawn


def _told(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)
