#!/usr/bin/env python3
"""Runs the model of this folder: on pictures, sounds, texts or a camera. Needs what requirements.txt lists.

python run.py picture.jpg              the answer in words
python run.py folder/ -o answers/      many, drawn into a folder
python run.py --camera                 a camera, frame by frame, until Ctrl-C
python run.py --self-test              the stored examples: does this machine compute right?
python run.py --bench                  how fast it is here
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
sys.dont_write_bytecode = True  # the folder may be read-only

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from sanderling.deploy.tolerance import worst
from sanderling.errors import SanderlingError
from sanderling.pipeline.answered import Answered
from sanderling.pipeline.pipeline import Pipeline
from sanderling.samples.inputs import model_inputs
from sanderling.tasks.spec import from_json
from sanderling.tflite import read

# Programs that write a camera's pictures as JPEGs, one after the other, to their output; {n} is its number.
CAMERAS = (
    "rpicam-vid -n -t 0 --camera {n} --width 1280 --height 720 --codec mjpeg -o -",
    "libcamera-vid -n -t 0 --camera {n} --width 1280 --height 720 --codec mjpeg -o -",
    "ffmpeg -loglevel error -f v4l2 -i /dev/video{n} -c:v mjpeg -q:v 3 -f mjpeg -",
)
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


class Machine:
    """The model in LiteRT's interpreter: stored arrays in, real values out."""

    engine, reason = "litert", ""

    def __init__(self, file: Path, threads: int) -> None:
        self.model = read(file)
        self.inputs, self.outputs = model_inputs(self.model), tuple(self.model.output_names())
        self.seconds = 0.0
        self._interpreter = Interpreter(model_path=str(file), num_threads=threads or None)
        self._interpreter.allocate_tensors()

    def stored(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Runs once. Returns: the outputs as the model stores them."""
        interpreter, begin = self._interpreter, time.perf_counter()
        details = interpreter.get_input_details()
        arrays = [np.asarray(feeds[port.name]) for port in self.inputs]
        if any(array.shape != tuple(detail["shape"]) for array, detail in zip(arrays, details, strict=True)):
            for array, detail in zip(arrays, details, strict=True):
                interpreter.resize_tensor_input(detail["index"], array.shape)
            interpreter.allocate_tensors()
        for array, detail in zip(arrays, details, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        found = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        self.seconds = time.perf_counter() - begin
        return found

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        pairs = zip(self.stored(feeds), self._interpreter.get_output_details(), strict=True)
        return [_real(array, detail["quantization_parameters"]) for array, detail in pairs]

    def forget(self) -> None:
        self._interpreter.reset_all_variables()

    def close(self) -> None:
        self._interpreter = None


def _real(array: np.ndarray, quantized: Mapping[str, Any]) -> np.ndarray:
    scales = quantized["scales"]
    if array.dtype.kind not in "iu" or not len(scales):
        return array
    shape = [1] * array.ndim
    if len(scales) > 1:
        shape[quantized["quantized_dimension"]] = -1
    zero, scale = (quantized[name].astype(np.float32).reshape(shape) for name in ("zero_points", "scales"))
    return (array.astype(np.float32) - zero) * scale


def self_test(machine: Machine, bundle: Mapping[str, Any]) -> str:
    """Returns: what came of the stored examples, in a sentence.

    Raises:
        SystemExit: this machine computes something else.
    """
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


def bench(machine: Machine, bundle: Mapping[str, Any], seconds: float = 5.0) -> dict[str, Any]:
    """Returns: the time of the model's calls on the first example, as JSON values."""
    with np.load(HERE / "examples.npz", allow_pickle=False) as stored:
        feeds = {port.name: stored[f"0/in/{i}"] for i, port in enumerate(machine.inputs)}
    for _ in range(3):
        machine.stored(feeds)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        machine.stored(feeds)
        times.append(1e3 * machine.seconds)
    return {
        "model": bundle["model"]["name"],
        "sha256": bundle["model"]["sha256"],
        "engine": "litert",
        "device": _device(),
        "p50_ms": statistics.median(times),
        "p90_ms": float(np.percentile(times, 90)),
        "runs": len(times),
    }


def _device() -> str:
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text(errors="replace").strip("\0\n ")
    import platform

    return f"{platform.system()} {platform.machine()}"


def frames(number: int) -> Iterator[Image.Image]:
    """Yields: a camera's pictures, of which those are left out that come while the model is busy."""
    commands = [each.format(n=number).split() for each in CAMERAS if shutil.which(each.split()[0])]
    if not commands:
        raise SystemExit(
            "no program for cameras is installed: run 'sudo apt install rpicam-apps' or '… ffmpeg'"
        )
    with subprocess.Popen(commands[0], stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            for jpeg in jpegs(process.stdout):
                from io import BytesIO

                yield Image.open(BytesIO(jpeg)).convert("RGB")
        finally:
            process.terminate()
    raise SystemExit(
        f"camera {number} gives no pictures: {' '.join(commands[0])} ended with {process.returncode}"
    )


def jpegs(stream: Any) -> Iterator[bytes]:
    """Yields: the newest whole JPEG of a stream, again and again until it ends."""
    waiting = b""
    while True:
        chunk = stream.read(1 << 16)
        if not chunk:
            return
        waiting += chunk
        end = waiting.rfind(JPEG_END)
        start = waiting.rfind(JPEG_START, 0, end) if end > 0 else -1
        if start >= 0:
            yield waiting[start : end + 2]
            waiting = waiting[end + 2 :]


def show(answered: Answered, out: Path | None, as_json: bool, many: bool) -> None:
    """Prints an answer, and draws it where that is asked for."""
    if as_json:
        print(json.dumps(answered.to_json(), ensure_ascii=False), flush=True)
    else:
        print(*([f"{answered.name}:"] if many else []), answered.text, sep="\n", flush=True)
    if out is not None and answered.answer is not None:
        target = out / f"{Path(answered.short or answered.name).stem}.png" if many else out
        target.parent.mkdir(parents=True, exist_ok=True)
        answered.save(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("input", nargs="*", help="pictures, sounds, texts, arrays or folders of them")
    parser.add_argument("-o", "--output", type=Path, help="a file to draw the answer into; a folder for many")
    parser.add_argument(
        "--camera", nargs="?", type=int, const=0, metavar="N", help="look through camera N (0)"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads; 0: all")
    parser.add_argument("--json", action="store_true", help="a JSON document per answer")
    parser.add_argument("--self-test", action="store_true", help="compare with the stored answers")
    parser.add_argument("--bench", action="store_true", help="time the model")
    given = parser.parse_args(arguments)
    bundle = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    machine = Machine(HERE / "model.tflite", given.threads)
    if given.self_test or given.bench:
        if given.self_test:
            print(self_test(machine, bundle))
        if given.bench:
            print(json.dumps(bench(machine, bundle), indent=1))
        return 0
    cropper = None
    if bundle["detector"]:
        detector = Machine(HERE / "detector.tflite", given.threads)
        cropper = Pipeline(detector, from_json(bundle["detector"]["task"], "bundle.json", HERE))
    spec = from_json(bundle["task"], "bundle.json", HERE)
    pipeline = Pipeline(machine, spec, cropper=cropper, tell=_told)
    if given.camera is not None:
        return _watch(pipeline, given)
    if not given.input:
        parser.error("give a picture, a folder, --camera, --self-test or --bench")
    sources = pipeline.sources(given.input)
    many = len(sources) > 1 or sources[0].count != 1
    failed = 0
    for answered in pipeline.run(sources):
        failed += answered.error is not None
        show(answered, given.output, given.json, many)
    return 1 if failed else 0


def _watch(pipeline: Pipeline, given: argparse.Namespace) -> int:
    name = pipeline.machine.inputs[0].name
    for number, picture in enumerate(frames(given.camera)):
        answer, _ = pipeline.answer({name: picture}, "camera")
        spent = 1e3 * pipeline.machine.seconds
        answered = Answered(f"frame {number}", answer, model_ms=spent, picture=picture)
        show(
            answered, None if given.output is None else given.output / f"{number:06d}.png", given.json, False
        )
    return 0


def _told(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SanderlingError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
