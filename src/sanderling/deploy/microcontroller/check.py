"""Tries a bundle: its array in TFLite Micro's interpreter, and its self-test where it can be built."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sanderling.deploy.microcontroller import source
from sanderling.deploy.microcontroller.answers import of_reference, of_tflite_micro
from sanderling.deploy.microcontroller.operators import by_channel
from sanderling.deploy.order import Order
from sanderling.deploy.target import Check, Tell
from sanderling.deploy.tolerance import STEPS, difference
from sanderling.errors import DeployError
from sanderling.runtime.loading import read_model

_SECONDS = 1800  # TFLite Micro's sources take minutes to compile
_OLD = (
    "older versions compute FULLY_CONNECTED wrong where each channel has a scale: take newer sources, or "
    "quantize with one scale (setting one_scale of static_int8)"
)
_TELLING = re.compile(r"\berror: |TFLITE_MICRO is|undefined reference")
_SAID = re.compile(r"self-test: (\d+) of (\d+) examples are right")
_INTERPRETER = "TFLite Micro's interpreter"
_COMPILED = "a self-test compiled with TFLite Micro"


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the bundle here. See ``Target.check``."""
    return (_interpreted(order, folder, tell), _compiled(order, folder, tell))


def _interpreted(order: Order, folder: Path, tell: Tell) -> Check:
    """Runs the bytes of ``model.cc``. An answer is right if it is near enough to that of LiteRT, or within
    ``STEPS`` of LiteRT's reference kernels, whose arithmetic TFLite Micro's portable kernels share."""
    tell("running model.cc in TFLite Micro's interpreter", 0, 0)
    with tempfile.TemporaryDirectory(prefix="sanderling-") as place:
        file = Path(place) / "model.tflite"
        file.write_bytes(source.bytes_of((folder / "model.cc").read_bytes()))
        answers = of_tflite_micro(file, read_model(file), order)
    references = of_reference(order)
    worst = (0.0, next(iter(order.tolerance), ""))
    for number, (mine, example) in enumerate(zip(answers, order.examples, strict=True)):
        for name, allowed in order.tolerance.items():
            off = difference(mine[name], example.outputs[name]) / allowed
            if references:
                off = min(off, difference(mine[name], references[number][name]) / STEPS)
            worst = max(worst, (off, name))
    return Check(_INTERPRETER, len(order.examples), *worst)


def _compiled(order: Order, folder: Path, tell: Tell) -> Check:
    """Builds the self-test and runs it, where TFLite Micro's sources are given."""
    tree = order.options.get("tflite-micro", "")
    if not tree:
        return Check(
            _COMPILED, reason="not built, since its sources are not here (--set tflite-micro=FOLDER)"
        )
    if shutil.which("cmake") is None:
        return Check(_COMPILED, reason="not built, since cmake is not installed")
    tell("building the self-test with TFLite Micro", 0, 0)
    more = shlex.split(order.options.get("cmake", ""))
    with tempfile.TemporaryDirectory(prefix="sanderling-") as place:
        configure = ["cmake", "-S", str(folder), "-B", place, f"-DTFLITE_MICRO={Path(tree).resolve()}"]
        _run([*configure, *more], folder)
        _run(["cmake", "--build", place, "--parallel", "2"], folder)
        done = _tried([str(Path(place) / "self_test")], folder)
    said = _SAID.search(done.stdout + done.stderr)
    if said is None:
        raise DeployError(f"the self-test was built and does not run: {_last(done)}", where=order.file.name)
    right, count = int(said[1]), int(said[2])
    if right != count:
        raise DeployError(
            f"the self-test, built here, gives other answers than TFLite Micro here to {count - right} "
            f"of {count} examples",
            where="--set tflite-micro",
            hint=_OLD if by_channel(order.model) else "these sources are of another version, or were changed",
        )
    return Check(_COMPILED, count)


def _run(command: Sequence[str], folder: Path) -> None:
    done = _tried(command, folder)
    if done.returncode != 0:
        raise DeployError(
            f"the self-test cannot be built: {_last(done)}",
            where="--set tflite-micro",
            hint="name a tree that create_tflm_tree.py made (see the bundle's CMakeLists.txt)",
        )


def _tried(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise DeployError(f"{Path(command[0]).name} took longer than {_SECONDS} seconds") from None


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """Returns: the line of a log that says most: the first error, else the last line."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return [*telling, *reversed(lines), f"it ended with {done.returncode}"][0][:300]
