"""Tries the app's arithmetic on this machine: on the JVM, with the model in LiteRT here."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.deploy.app import answers_of, packed, unpacked
from sanderling.deploy.order import Example, Order
from sanderling.deploy.target import Check, Tell
from sanderling.deploy.tolerance import difference
from sanderling.errors import DeployError
from sanderling.fields import build as build_options
from sanderling.graph.types import Array
from sanderling.runtime.ports import dequantize
from sanderling.settings import settings
from sanderling.tasks.answer import Answer, Asked, find_task
from sanderling.tasks.input_kind import kind_of

_WHERE = "the JVM here: the app's code for pictures and answers, with LiteRT on this machine"
_NEEDED = ("MainActivity.kt", "LiteRt.kt", "Pictures.kt", "Drawing.kt")  # these need Android
_MAIN = "deployed.MainKt"
_SECONDS = 600
_FEED = 1e-6  # a pixel's value is looked up, so it is the same or another one
_SCORE, _PIXELS = 1e-3, 0.05  # of a probability, and of a place
_SHARE = 0.02  # of a mask's area, whose edges we interpolate in the picture


def on_the_jvm(order: Order, assets: Path, code: Path, tell: Tell) -> Check:
    """Compiles what of the app needs no Android, answers the examples with it, and compares with ours."""
    kotlinc = compiler(order.options.get("kotlinc", ""))
    if kotlinc is None:
        return Check(
            _WHERE, reason="Kotlin's compiler or Java is not installed (--set kotlinc=PATH, see the guide)"
        )
    pictures = sorted((assets / "model").glob("*.png"), key=lambda file: int(file.stem))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell("the app's code is compiled for the JVM", 0, 0)
        try:
            jar = _compiled(kotlinc, code, folder)
        except subprocess.TimeoutExpired:
            return Check(_WHERE, reason=f"Kotlin's compiler did not end within {_SECONDS // 60} minutes")
        if not pictures:
            return Check(_WHERE, reason="it was compiled, and no example is a picture that it could answer")
        tell("the app's code answers the examples", 0, 0)
        found = list(answered(order, jar, assets, pictures, folder))
    worst = (0.0, "answer")
    for file, each in zip(pictures, found, strict=True):
        example = order.examples[int(file.stem)]
        for name, array in example.feeds.items():
            worst = max(worst, (difference(each.feed[name], array) / _FEED, f"what goes into {name}"))
        worst = max(worst, (off(each.answers[0], _here(order, example)), "answer"))
    return Check(_WHERE, len(found), *worst)


def compiler(given: str) -> str | None:
    """Returns: Kotlin's compiler: the given one, or what ``tools/phone_tools.py`` fetched; None without that,
    or without Java. One that happens to be installed may be too old.

    Raises:
        DeployError: the given one is not there.
    """
    if given and not Path(given).is_file():
        raise DeployError("there is no such program", where=f"--set kotlinc={given}")
    fetched = settings().cache / "phone" / "kotlin" / "bin" / "kotlinc"
    found = given or (str(fetched) if fetched.is_file() else "")
    return found if found and shutil.which("java") else None


@dataclass(frozen=True, slots=True)
class Said:
    """What the app's code says of a picture: its answers as numbers, and what it last fed the model."""

    answers: list[dict[str, Any]]
    feed: Mapping[str, Array]


def _compiled(kotlinc: str, code: Path, folder: Path) -> Path:
    sources = [str(file) for file in sorted(code.glob("*.kt")) if file.name not in _NEEDED]
    main = folder / "Main.kt"
    main.write_bytes((resources("sanderling.deploy.android") / "files" / "check" / "Main.kt").read_bytes())
    jar = folder / "check.jar"
    done = subprocess.run(
        [kotlinc, "-nowarn", "-include-runtime", *sources, str(main), "-d", str(jar)],
        capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode:
        lines = [line.rpartition("error:")[2] for line in done.stderr.splitlines() if "error:" in line]
        said = lines[0].strip() if lines else f"it ended with {done.returncode}"
        raise DeployError(f"the app's code does not compile: {said}", where=kotlinc)
    return jar


def answered(
    order: Order, jar: Path, assets: Path, pictures: Sequence[Path], folder: Path, *, whole: bool = False
) -> Iterator[Said]:
    """Yields: what the app's code says of each picture.

    Args:
        jar: the compiled code.
        folder: for arrays on their way.
        whole: the detector finds what the model is to see.
    """
    command = ["java", "-cp", str(jar), _MAIN, str(assets), str(folder)]
    command += [*(["--whole"] if whole else []), *map(str, pictures)]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        feed: Mapping[str, Array] = {}
        for line in process.stdout:
            what, _, rest = line.strip().partition(" ")
            if what == "answers":
                yield Said(json.loads(rest), feed)
            elif what == "run":
                feed = _run(order, rest, folder)
                process.stdin.write("\n")
                process.stdin.flush()
        if process.wait():
            complaints.seek(0)
            said = next((line for line in complaints if "Exception" in line or "Error" in line), "")
            words = said.strip() or f"it ended with {process.returncode}"
            raise DeployError(f"the app's code fails on the JVM: {words}", where=order.file.name)


def _run(order: Order, name: str, folder: Path) -> Mapping[str, Array]:
    """Runs the model on the arrays in a folder. Returns: these arrays, by input's name."""
    detector = order.detector
    file, model = order.file, order.model
    if detector is not None and name == "detector":
        file, model = detector.file, detector.model
    kinds = [model.main.tensors[index].dtype.numpy for index in model.main.inputs]
    names = model.input_names()
    feed = {each: unpacked(folder / f"in_{i}.bin", np.dtype(kinds[i])) for i, each in enumerate(names)}
    (outputs,) = answers_of(file, model, [feed])
    for i, each in enumerate(model.output_names()):
        (folder / f"out_{i}.bin").write_bytes(packed(outputs[each]))
    return feed


def _here(order: Order, example: Example) -> Answer:
    """Returns: what we say of an example's picture, as it was given to the model."""
    from sanderling.engines.registry import find

    runner = find("litert").load(order.file, order.model)
    try:
        ports = runner.outputs
    finally:
        runner.close()
    outputs = [dequantize(example.outputs[port.name], port) for port in ports]
    place = None
    for port, how in zip(order.inputs, order.spec.inputs, strict=True):
        kind = kind_of(how)
        if kind.name == "image":
            place = kind.feed(example.given[port.name], how, port, example.name).placement
    task = find_task(order.spec.name)
    options = build_options(task.options, dict(order.spec.options), order.spec.name)
    asked = Asked(
        tuple(order.model.output_names()), None if place is None else place.side, place, order.spec.labels,
        example.given, example.feeds,
    )  # fmt: skip
    return task.answer(outputs, options, asked)


def off(mine: Mapping[str, Any], right: Answer) -> float:
    """Returns: how far an answer of the app is from ours, in what is allowed; infinity for another one."""
    data = right.data
    if "boxes" in data:
        wanted = [[b["class"], b["score"], *b["box"], *np.ravel(b["keypoints"])] for b in data["boxes"]]
        return _rows(mine["boxes"], wanted, _PIXELS)
    if "points" in data:
        absent = not mine["points"] and data.get("presence", 1.0) < 1
        return 0.0 if absent else _rows(mine["points"], [[p["x"], p["y"]] for p in data["points"]], _PIXELS)
    if "classes" in data and data["classes"] and "share" in data["classes"][0]:
        return _shares(mine["classes"], {row["class"]: row["share"] for row in data["classes"]})
    if "classes" in data:
        return _rows(mine["classes"], [[row["class"], row["score"]] for row in data["classes"]], _SCORE)
    return 0.0


def _rows(mine: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]], allowed: float) -> float:
    a, b = np.array(mine, np.float64), np.array(wanted, np.float64)
    if a.shape != b.shape:
        return float("inf")
    return float(np.max(np.abs(a - b), initial=0.0)) / allowed


def _shares(mine: Sequence[Sequence[float]], wanted: Mapping[int, float]) -> float:
    found = {int(number): score for number, score in mine}
    return max((abs(found.get(n, 0.0) - wanted.get(n, 0.0)) for n in {*found, *wanted}), default=0.0) / _SHARE
