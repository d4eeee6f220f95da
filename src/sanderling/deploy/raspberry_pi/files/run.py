#!/usr/bin/env python3
"""Runs the model of this folder: on pictures, sounds, sentences, arrays or a camera.

python run.py picture.jpg              the answer in words
python run.py folder/ -o answers/      many, drawn into a folder
python run.py --camera                 a camera, picture by picture, until Ctrl-C
python run.py --self-test              the stored examples: does this machine compute right?
python run.py --bench                  how fast it is here
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - it is copied to machines that we do not know
    sys.exit(f"error: this is Python {sys.version.split()[0]}, and 3.11 or newer is needed")

import argparse
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "lib")]
sys.dont_write_bytecode = True  # the folder may be read-only

try:
    import ai_edge_litert.interpreter  # noqa: F401
    import numpy as np
    from PIL import Image
except ImportError as error:
    sys.exit(
        f"error: {error.name or error} is missing; run: {sys.executable} -m pip install --require-hashes -r "
        f"{HERE / 'requirements.txt'}"
    )

from camera import CameraError, frames

from sanderling.deploy.tolerance import worst
from sanderling.engines.litert.runner import LiteRTRunner
from sanderling.errors import MissingExtra, SanderlingError, UsageError
from sanderling.pipeline.answered import Answered
from sanderling.pipeline.pipeline import Pipeline
from sanderling.pipeline.video import VideoWriter
from sanderling.runtime.ports import dequantize
from sanderling.samples.inputs import model_inputs
from sanderling.tasks.spec import TaskSpec, from_json
from sanderling.tasks.words import strict_json
from sanderling.tflite import read

EXTRAS = {"text": "tokenizers", "video": "opencv-python-headless"}  # what some inputs need besides


class Machine:
    """The model in LiteRT: stored arrays in, real values out."""

    engine, reason = "litert", ""

    def __init__(self, file: Path, threads: int) -> None:
        self.model = read(file)
        self.inputs = model_inputs(self.model)
        self.threads, self.seconds = threads, 0.0
        self._runner = LiteRTRunner(file, self.model, threads=threads)
        self.outputs = tuple(port.name for port in self._runner.outputs)

    def stored(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs once. Returns: the outputs as the model stores them."""
        begin = time.perf_counter()
        found = self._runner.run([np.asarray(feeds[port.name]) for port in self._runner.inputs])
        self.seconds = time.perf_counter() - begin
        return found

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        arrays = self.stored(feeds)
        return [dequantize(array, port) for array, port in zip(arrays, self._runner.outputs, strict=True)]

    def forget(self) -> None:
        self._runner.reset()

    def close(self) -> None:
        self._runner.close()


def self_test(machine: Machine, bundle: Mapping[str, Any]) -> str:
    """Returns: what came of the stored examples, in a sentence.

    Raises:
        SystemExit: a file is not the one that was made, or this machine computes something else.
    """
    for name, digest in bundle["files"].items():
        if Path(name).suffix in (".tflite", ".npz") and _digest(HERE / name) != digest:
            raise SystemExit(f"self-test failed: {name} is not the file that belongs here")
    names = [port.name for port in machine.inputs], machine.outputs
    answers: list[dict[str, np.ndarray]] = []
    wanted: list[dict[str, np.ndarray]] = []
    with np.load(HERE / "examples.npz", allow_pickle=False) as stored:
        for number in range(len(bundle["examples"])):
            feeds = {name: stored[f"{number}/in/{i}"] for i, name in enumerate(names[0])}
            machine.forget()
            answers.append(dict(zip(names[1], machine.stored(feeds), strict=True)))
            wanted.append({name: stored[f"{number}/out/{i}"] for i, name in enumerate(names[1])})
    off, output = worst(answers, wanted, bundle["tolerance"])
    if off > 1:
        raise SystemExit(f"self-test failed: output {output!r} is off by {off:.3g} times what is allowed")
    told = f"{len(answers)} examples, the largest difference is {off:.1%} of what is allowed"
    return f"correct on this device: {told}"


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bench(machine: Machine, bundle: Mapping[str, Any], seconds: float = 5.0) -> dict[str, Any]:
    """Returns: the time of the model's calls on the first example, as 'sanderling bench --from' reads it."""
    with np.load(HERE / "examples.npz", allow_pickle=False) as stored:
        feeds = {port.name: stored[f"0/in/{i}"] for i, port in enumerate(machine.inputs)}
    for _ in range(3):
        machine.stored(feeds)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        machine.stored(feeds)
        times.append(1e3 * machine.seconds)
    return {
        "sanderling_bench": 1,
        "model": bundle["model"]["name"],
        "sha256": bundle["model"]["sha256"],
        "engine": "litert",
        "device": device(),
        "precision": "f32",  # of what the model computes in floats
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns: the exit code."""
    given = _parser().parse_args(arguments)
    bundle = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    threads = given.threads or bundle["threads"] or cores()
    machine = Machine(HERE / "model.tflite", threads)
    if given.self_test or given.bench:
        if given.self_test:
            print(self_test(machine, bundle))
        if given.bench:
            print(json.dumps(bench(machine, bundle), indent=1))
        return 0
    cropper = None
    if bundle["detector"]:
        detector = Machine(HERE / "detector.tflite", threads)
        cropper = Pipeline(detector, _spec(bundle["detector"]["task"]))
    pipeline = Pipeline(machine, _spec(bundle["task"]), cropper=cropper, tell=_told)
    shown = Shown(given.output, given.json)
    if given.camera is not None:
        return shown.camera(pipeline, given.camera)
    if not given.input:
        raise UsageError(
            "nothing was given", hint="give a picture, a folder, --camera, --self-test or --bench"
        )
    return shown.all(pipeline, given.input)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
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
    parser.add_argument("--self-test", action="store_true", help="compare with the stored answers")
    parser.add_argument("--bench", action="store_true", help="time the model")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 999:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 0 to 999")
    return int(text)


def _spec(task: Mapping[str, Any]) -> TaskSpec:
    """Returns: a task out of ``bundle.json``, whose tokenizer lies in this folder."""
    spec = from_json(task, "bundle.json", HERE)
    inputs = [
        replace(each, tokenizer=str(HERE / each.tokenizer)) if getattr(each, "tokenizer", "") else each
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
            file = None if source.fps is None or out is None else self._video(source.name)
            with nullcontext() if file is None else VideoWriter(file, source.fps) as video:
                for answered in pipeline.run([source]):
                    self._show(answered, many)
                    if answered.answer is None or out is None:
                        continue
                    if video is None:
                        answered.save(self._target(answered))
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

    def _target(self, answered: Answered) -> Path:
        out = self._out
        if out.suffix and not out.is_dir():
            return out
        drawable = answered.answer.draw is not None and (
            answered.picture is not None or answered.answer.arrays
        )
        suffix = ".png" if drawable else ".npz" if answered.answer.arrays else ".json"
        short = Path(answered.short or "answer").with_suffix("")
        target, number = out / f"{short}{suffix}", 2
        while target in self._written or (answered.path and target.resolve() == answered.path.resolve()):
            target, number = out / f"{short}-{number}{suffix}", number + 1
        self._written.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _video(self, name: str) -> Path:
        out = self._out
        return out if out.suffix and not out.is_dir() else out / f"{Path(name).stem.replace(' ', '-')}.mp4"

    def _drawn(self, answered: Answered) -> Image.Image:
        drawn = answered.drawn()
        if drawn is None:
            raise UsageError("there is nothing to draw these answers on", where="-o", hint="take --json")
        return drawn


def _told(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
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
