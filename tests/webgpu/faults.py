"""Planted faults, wrong kernels and a driver that answers wrongly; and a process that runs a model with one.

    python -m tests.webgpu.faults MODEL.tflite FAULT INPUT.npy [INPUT.npy …]

prints JSON: for each input in turn the answer's distance from LiteRT's, then warnings, operators on the CPU
because they were wrong, their reasons, and how often a program was compared with LiteRT.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import sanderling as sd
from sanderling.engines.trust import Check, distance
from sanderling.engines.webgpu.compiler import compile
from sanderling.engines.webgpu.compiler.program import Dispatch, Program
from sanderling.engines.webgpu.driver import device as devices

Fault = Callable[[Program], Program]
NAN = "vec4<f32>(bitcast<f32>(0x7fc00000u | u.grid.w))"  # the compiler must not see that it is one


def altered(program: Program, where: Callable[[Dispatch], bool], change: str) -> Program:
    """Returns: the program; kernels of some dispatches store ``change`` instead of VALUE, their result."""
    texts = list(program.shaders)
    for number in {d.shader for d in program.dispatches if where(d)}:
        texts[number], count = re.subn(
            r"(fn y_store4_steps\(.*)v0: vec4<f32>\) \{",
            rf"\1result: vec4<f32>) {{ let v0 = {change.replace('VALUE', 'result')};",
            texts[number],
        )
        assert count == 1, "a kernel stores in another way now"
    return replace(program, shaders=tuple(texts))


def is_convolution(dispatch: Dispatch) -> bool:
    return dispatch.label.startswith("conv_2d")


def smallest_for_largest(program: Program) -> Program:
    """The pool takes the smallest element."""
    pools = {d.shader for d in program.dispatches if "pool" in d.label.lower()}
    texts = [t.replace("max(", "min(") if i in pools else t for i, t in enumerate(program.shaders)]
    assert not pools or tuple(texts) != program.shaders
    return replace(program, shaders=tuple(texts))


def one_channel(program: Program) -> Program:
    """Convolutions: the sixth channel alone is off, by a little."""
    wrong = "VALUE + select(vec4<f32>(), vec4<f32>(0.0, 0.02, 0.0, 0.0), p.w == 1u)"
    return altered(program, is_convolution, wrong)


def one_step(program: Program) -> Program:
    """Convolutions of stored integers: one channel is off by two steps."""
    wrong = "VALUE + u.y.scale * select(vec4<f32>(), vec4<f32>(0.0, 0.0, 2.0, 0.0), p.w == 0u)"
    return altered(program, is_convolution, wrong)


def only_fused(program: Program) -> Program:
    """Kernels that compute several operators: what they store is off, single operators are right."""
    return altered(program, lambda d: len(d.nodes) > 1, "VALUE * 1.01")


def second_shape(program: Program) -> Program:
    """Convolutions of a batch of two, where those of a batch of one are right."""
    if not program.inputs or program.inputs[0].shape[0] != 2:
        return program
    return altered(program, is_convolution, "VALUE * 1.01")


def only_nan(program: Program) -> Program:
    """Convolutions: NaN where a number should be above one, everything else is right."""
    return altered(program, is_convolution, f"select(VALUE, {NAN}, VALUE > vec4<f32>(1.0))")


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (smallest_for_largest, one_channel, one_step, only_fused, second_shape, only_nan)
}
WRONG = "its answer is"
DRIVER = "driver"  # not a kernel: every result that is read back has one wrong number


def plant(fault: str, patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """Plants a fault: into all programs that this process compiles from now on, or all that it reads back."""
    if fault == DRIVER:
        right = devices.Device.finish

        def finish(self: devices.Device, turn: Any, size: int) -> np.ndarray:
            raw = right(self, turn, size)
            raw.view(np.float32)[2] += 0.25
            return raw

        patch(devices.Device, "finish", finish)
        return
    compile_graph = compile.compile_graph

    def compiled(*args: Any, **kwargs: Any) -> Program:
        return FAULTS[fault](compile_graph(*args, **kwargs))

    patch(compile, "compile_graph", compiled)


def report(path: Path, arrays: list[np.ndarray]) -> dict[str, Any]:
    """Runs a model on the inputs, one session. Returns: what this file prints."""
    asked: list[int] = []
    verdict = Check.verdict

    def counted(self: Check, *args: Any) -> Any:
        asked.append(1)
        return verdict(self, *args)

    Check.verdict = counted  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings(record=True) as told, sd.Session(path, engine="webgpu") as session:
            warnings.simplefilter("always")
            answers = [np.asarray(session(x)) for x in arrays]
            rows = [(row.operator, row.reason) for row in session.placement if WRONG in row.reason]
    finally:
        Check.verdict = verdict  # type: ignore[method-assign]
    with sd.Session(path, engine="litert") as litert:
        kind = litert.outputs[0].type
        away = [distance(y, np.asarray(litert(x)), kind) for x, y in zip(arrays, answers, strict=True)]
    return {"away": away, "warnings": [str(w.message) for w in told], "wrong": rows, "asked": len(asked)}


if __name__ == "__main__":
    plant(sys.argv[2])
    found = report(Path(sys.argv[1]), [np.load(file) for file in sys.argv[3:]])
    sys.stdout.write(json.dumps(found) + "\n")
