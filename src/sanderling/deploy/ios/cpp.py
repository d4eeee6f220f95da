"""Compiles the bundle's C++ program with TFLite's C library and runs the stored examples with it: on the CPU,
which is the way that it takes where Metal is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sanderling.deploy.order import Order
from sanderling.deploy.target import Check, Tell
from sanderling.errors import DeployError
from sanderling.settings import settings

_WHERE = "this machine: the C++ program with TFLite's C library, on the CPU"
_SECONDS = 300
_SAID = re.compile(r"CPU: correct on this device: (\d+) examples, the largest difference is (\d+) %")
_OFF = re.compile(r"output (\d+) is off by (\S+) times")


def self_test(order: Order, folder: Path, assets: Path, tell: Tell) -> Check:
    """Returns: what the C++ program says of the stored examples."""
    fetched = settings().cache / "phone" / "tflite-c"
    given = order.options.get("tflite-c") or (str(fetched) if fetched.is_dir() else "")
    compiler = shutil.which("g++") or shutil.which("clang++")
    if not given:
        return Check(_WHERE, reason="no TFLite C library was given (--set tflite-c=FOLDER, see the guide)")
    if compiler is None:
        return Check(_WHERE, reason="no C++ compiler is installed")
    headers, library = _first(given, "tensorflow/lite/c/c_api.h"), _first(given, "libtensorflowlite_c.so")
    include = headers.parents[3]
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "self_test"
        tell("the C++ program is compiled", 0, 0)
        done = subprocess.run(
            [compiler, "-std=c++17", "-Wall", "-Werror", f"-I{include}", str(folder / "cpp" / "self_test.cc"),
             str(library), f"-Wl,-rpath,{library.parent.resolve()}", "-o", str(program)],
            capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            said = lines[0] if lines else f"it ended with {done.returncode}"
            raise DeployError(f"the C++ program does not compile: {said}", where="self_test.cc")
        tell("the C++ program tests itself", 0, 0)
        try:
            ran = subprocess.run(
                [str(program), str(assets / "model.tflite"), str(assets / "model")],
                capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Check(_WHERE, reason=f"it did not end within {_SECONDS // 60} minutes")
    return _told(order, ran)


def _told(order: Order, ran: subprocess.CompletedProcess[str]) -> Check:
    said, off = _SAID.search(ran.stdout), _OFF.search(ran.stdout)
    if said is not None:
        return Check(_WHERE, int(said[1]), int(said[2]) / 100)
    if off is not None:
        return Check(_WHERE, len(order.examples), float(off[2]), order.model.output_names()[int(off[1])])
    lines = [line for line in ran.stderr.splitlines() if line.strip()]
    return Check(_WHERE, reason=f"that library cannot run the model: {lines[0] if lines else ran.returncode}")


def _first(folder: str, name: str) -> Path:
    found = next(iter(sorted(Path(folder).rglob(Path(name).name))), None)
    if found is None or not found.as_posix().endswith(name):
        raise DeployError(f"holds no {name}", where=f"--set tflite-c={folder}")
    return found
