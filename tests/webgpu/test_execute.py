"""Executor, runner and session: repeated calls, threads, shapes, errors, real models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu import ENGINE
from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.program import load, save, to_json
from sanderling.engines.webgpu.driver import device as devices
from sanderling.engines.webgpu.driver import pipelines
from sanderling.engines.webgpu.driver.adapters import choose
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.errors import (
    DeviceLimit,
    DeviceLost,
    FormatError,
    InputMismatch,
    KernelError,
    RunError,
    UnsupportedOperator,
    UsageError,
)
from sanderling.runtime.session import Session
from tests.engines.models import custom
from tests.models import Net, classifier, random_inputs, run_litert
from tests.models import save as save_model
from tests.webgpu.making import CLOSE, compare, compiled, residual, run_once


def batches(count: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    return list(np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32))


def test_calls_in_a_row_and_from_threads(device: Device, tmp_path: Path) -> None:
    path = save_model(classifier(), tmp_path / "m.tflite")
    inputs = batches(24, (1, 12, 12, 1))
    wanted = [run_litert(path, x)[0] for x in inputs]
    with Session(path, engine="webgpu") as session:
        for x, y in zip(inputs, wanted, strict=True):
            compare(session(x), y, CLOSE)
        with ThreadPoolExecutor(4) as pool:
            for mine, y in zip(pool.map(session, inputs), wanted, strict=True):
                compare(mine, y, CLOSE)


def test_a_program_that_was_saved_runs_the_same(device: Device, tmp_path: Path) -> None:
    program = compiled(residual(), target_of(device.adapter))
    save(program, tmp_path / "p")
    again = load(tmp_path / "p")
    assert to_json(again) == to_json(program)
    x = batches(1, (1, 9, 9, 3))
    np.testing.assert_array_equal(Executor(again, device).run(x)[0], Executor(program, device).run(x)[0])


def test_damaged_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        load(tmp_path / "none")
    save(compiled(residual(), Target()), tmp_path)
    path = tmp_path / "program.json"
    value = json.loads(path.read_text())
    for text in ("{", json.dumps(value | {"format": 9}), json.dumps(value | {"dispatches": [1]}), "[]"):
        path.write_text(text)
        with pytest.raises(FormatError, match="is no program"):
            load(tmp_path)


def test_a_resizable_batch(device: Device, tmp_path: Path) -> None:
    model = Net((1, 8, 8, 3)).conv(5).pool().model()
    graph = model.main
    tensors = list(graph.tensors)
    tensors[0] = replace(tensors[0], shape_signature=(-1, 8, 8, 3))
    path = save_model(model.with_main(replace(graph, tensors=tuple(tensors))), tmp_path / "m.tflite")
    (x,) = batches(1, (3, 8, 8, 3))
    single = np.concatenate([run_litert(path, x[i : i + 1])[0] for i in range(3)])
    with Session(path, engine="webgpu") as session:
        compare(session(x), single, CLOSE)
        compare(session(x[:1]), single[:1], CLOSE)


def test_wrong_inputs(device: Device) -> None:
    executor = Executor(compiled(residual(), target_of(device.adapter)), device)
    with pytest.raises(InputMismatch, match=r"input x0 is float64\[1, 9, 9, 3\], expected float32"):
        executor.run([np.zeros((1, 9, 9, 3))])
    with pytest.raises(InputMismatch, match="got 0 inputs, expected 1"):
        executor.run([])
    executor.close()
    executor.close()
    with pytest.raises(RunError, match="is closed"):
        executor.run(batches(1, (1, 9, 9, 3)))


@pytest.mark.parametrize("width", [1, 3, 4, 5])
def test_what_an_earlier_call_left_beside_an_input(device: Device, width: int) -> None:
    """A row's last vec4 is more than what the host writes; a sum over it must not see the rest."""
    net = Net((1, width)).op("L2_NORMALIZATION", (1, width), (), "L2NormOptions")
    (x,) = batches(1, (1, width))
    (y,) = run_once(device, net.model(), [x])  # in memory full of NaN
    compare(y, x / np.linalg.norm(x), CLOSE)


def test_a_lost_device_is_an_error_and_not_the_end(device: Device) -> None:
    mine = Device(device.adapter)
    executor = Executor(compiled(residual(), target_of(mine.adapter)), mine)
    executor.run(batches(1, (1, 9, 9, 3)))
    mine.destroy()
    with pytest.raises(DeviceLost, match="make a new Session"):
        executor.run(batches(1, (1, 9, 9, 3)))
    Executor(compiled(residual(), target_of(device.adapter)), device).run(batches(1, (1, 9, 9, 3)))


def test_a_kernel_that_does_not_compile_names_its_line(device: Device) -> None:
    with pytest.raises(KernelError, match=r"(?s)mine: the shader compiler says.*nonsense"):
        device.pipeline("@compute @workgroup_size(1) fn main() { nonsense; }", (), where="mine")


def test_operators_that_nothing_runs_come_with_a_reason(device: Device, tmp_path: Path) -> None:
    model = custom("Mine")
    (verdict,) = ENGINE.supports(model)
    assert verdict.reason == "Mine has no GPU kernel (it writes t1, float32[1x4])"
    with pytest.raises(UnsupportedOperator, match="LiteRT has no kernel for the custom operator Mine"):
        ENGINE.load(tmp_path / "m.tflite", model)


def test_options_are_checked(tmp_path: Path) -> None:
    for options in ({"precision": "int3"}, {"colour": 1}, {"device": 1.5}):
        with pytest.raises(UsageError):
            ENGINE.load(tmp_path / "m.tflite", classifier(), options=options)


def test_choosing_an_adapter(device: Device) -> None:
    assert choose(0).backend in ("Vulkan", "Metal", "D3D12")
    assert choose(choose(0).name[:5]).name == choose(0).name
    with pytest.raises(UsageError, match="there is no GPU adapter 'Voodoo'"):
        choose("Voodoo")


@pytest.mark.parametrize(
    "name", ["mlperf_tiny_resnet8_cifar10_fp32", "mlperf_tiny_vww_fp32", "mlperf_tiny_vww_int8"]
)
def test_real_models(device: Device, zoo_dir: Path, name: str) -> None:
    path = zoo_dir / "tflite" / f"{name}.tflite"
    inputs = random_inputs(path)
    with Session(path, engine="webgpu") as session:
        answer = session(*inputs)
    (wanted,) = run_litert(path, *inputs)
    assert isinstance(answer, np.ndarray)
    compare(answer, wanted, 1e-4)


def test_a_lost_device_is_replaced(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_devices", {})  # the one of the other tests lives on
    path = save_model(classifier(), tmp_path / "m.tflite")
    (x,) = batches(1, (1, 12, 12, 1))
    with Session(path, engine="webgpu") as first, Session(path, engine="webgpu") as second:
        wanted = np.asarray(first(x))
        first._runner.device.destroy()  # type: ignore[attr-defined]
        for session in (first, second):
            with pytest.raises(DeviceLost, match="make a new Session"):
                session(x)
            session.rebuild()
            np.testing.assert_array_equal(session(x), wanted)
        with Session(path, engine="webgpu") as third:
            np.testing.assert_array_equal(third(x), wanted)


def test_an_interrupted_call_leaves_nothing_behind(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Executor(compiled(residual(), target_of(device.adapter)), device)
    (x,) = batches(1, (1, 9, 9, 3))
    wanted = executor.run([x])
    right = Device.finish

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        monkeypatch.setattr(Device, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            executor.run([x])
        monkeypatch.setattr(Device, "finish", right)
        np.testing.assert_array_equal(executor.run([x])[0], wanted[0])
    executor.close()


def test_several_sessions_in_threads(device: Device, tmp_path: Path) -> None:
    paths = [save_model(classifier(seed), tmp_path / f"{seed}.tflite") for seed in range(3)]
    (x,) = batches(1, (1, 12, 12, 1))
    sessions = [Session(path, engine="webgpu") for path in paths]
    wanted = [run_litert(path, x)[0] for path in paths]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: sessions[n % 3](x), range(60)))
    for number, answer in enumerate(answers):
        compare(np.asarray(answer), wanted[number % 3], CLOSE)
    for session in sessions:
        session.close()


def test_a_call_that_an_event_loop_waits_for(device: Device, tmp_path: Path) -> None:
    import asyncio

    path = save_model(classifier(), tmp_path / "m.tflite")
    inputs = batches(5, (1, 12, 12, 1))

    async def everything() -> list[object]:
        with Session(path, engine="webgpu") as session:
            return list(await asyncio.gather(*(session.run_async(x) for x in inputs)))

    for x, answer in zip(inputs, asyncio.run(everything()), strict=True):
        compare(np.asarray(answer), run_litert(path, x)[0], CLOSE)


def test_what_a_device_does_not_offer_is_named(device: Device) -> None:
    program = compiled(residual(), target_of(device.adapter))
    with pytest.raises(DeviceLimit, match=r"needs the feature telepathy, which .+ does not have"):
        Executor(replace(program, features=("telepathy",)), device)
    with pytest.raises(DeviceLimit, match=r"the program needs max_buffer_size \d{16}, .+ offers \d+"):
        Executor(replace(program, requires={"max_buffer_size": 2**50}), device)


def test_kernels_are_kept_up_to_a_number(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "MOST_KEPT", 2)
    mine = Device(device.adapter)
    (x,) = batches(1, (1, 9, 9, 3))
    executor = Executor(compiled(residual(), target_of(mine.adapter)), mine)
    assert len(mine.pipelines._made) <= 2 < len(executor.program.shaders)
    executor.run([x])
    executor.close()
    mine.destroy()


def test_nothing_grows(device: Device, tmp_path: Path) -> None:
    """The small form of ``benchmarks/gpu_soak.py``, in a process of its own."""
    script = Path(__file__).parents[2] / "benchmarks" / "gpu_soak.py"
    small = ("--sessions", "40", "--calls", "1000", "--kernels", "2")
    done = subprocess.run(
        [sys.executable, str(script), *small], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(script.parents[1] / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["calls"]["wrong"] == 0
    assert {"sessions", "models", "shapes", "calls"} < set(told)
