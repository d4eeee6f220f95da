"""Saved programs in headless Chromium: the answers of the Python executor and of LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.graph.graph import Model
from sanderling.ops.kernel import Limits
from sanderling.runtime.loading import read_model
from tests.models import Net, noise
from tests.ops.single import run_litert
from tests.webgpu import nearness
from tests.webgpu.browser import Browser, opened
from tests.webgpu.making import CLOSE, HALF, compare, compiled, prepared, residual

SMALL = (
    "mlperf_tiny_kws_int8",
    "mlperf_tiny_resnet8_cifar10_fp32",
    "face_landmark_fp32",
    "mobilenet_v2_224_int8",
)
LARGE = ("selfie_segmentation", "pose_landmark_lite", "deeplabv3_257_mv_gpu", "ssd_mobilenetv2_oidv4_fp16")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as found:
        yield found


def both(
    browser: Browser, device: Device, program: Program, folder: Path, feeds: list[list[np.ndarray]]
) -> list[list[np.ndarray]]:
    """Compares the two executors. Returns: the browser's answers."""
    executor = Executor(program, device)
    wanted = [executor.run(feed) for feed in feeds]
    executor.close()
    answers = browser.run(program, folder, feeds)
    for mine, theirs in zip(answers, wanted, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            compare(a, b, CLOSE)
    return answers


@pytest.mark.parametrize("model", [Net((1, 10, 11, 5)).conv(9).model(), residual()], ids=["one", "fused"])
def test_small_networks(browser: Browser, device: Device, tmp_path: Path, model: Model) -> None:
    for target in (Target(), target_of(browser.adapter)):
        both(browser, device, compiled(model, target), tmp_path, [noise(model, n) for n in range(3)])


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_real_models(browser: Browser, device: Device, tmp_path: Path, zoo_dir: Path, name: str) -> None:
    """Compiled for what this browser offers; the smaller ones also for what every WebGPU device does."""
    path = zoo_dir / "tflite" / f"{name}.tflite"
    model = read_model(path)
    feeds = [noise(model, seed) for seed in range(1 if name in LARGE else 3)]
    for target in (target_of(browser.adapter), Target())[: 1 if name in LARGE else 2]:
        answers = both(browser, device, compiled(prepared(model), target), tmp_path, feeds)
        nearness.check(path, model, feeds, answers)


def test_what_a_browser_offers_is_used(browser: Browser) -> None:
    """Kernels that exchange values within quads, where the browser has subgroups."""
    net = Net((1, 16, 16, 8)).conv(32).model()
    program = compiled(net, target_of(browser.adapter))
    assert program.features == (("subgroups",) if "subgroups" in browser.adapter.features else ())
    assert compiled(net, Target()).features == ()
    limits = browser.adapter.limits
    assert all(needed <= limits[name] for name, needed in program.requires.items())
    assert set(program.requires) <= set(limits)


def test_half_precision_needs_the_feature(browser: Browser, tmp_path: Path) -> None:
    """A browser without shader-f16 says so; one with it computes."""
    model, x = residual(), noise(residual())
    program = compiled(model, Target(Limits(f16=True), half=True))
    assert program.features == ("shader-f16",)
    if "shader-f16" in browser.adapter.features:
        (answer,) = browser.run(program, tmp_path, [x])
        compare(answer[0], run_litert(model, x, reference=True)[0], HALF)
        return
    told = browser.js("await Runner.load(folder);", folder=browser.put(program, tmp_path, "half"))
    assert told == ["unsupported", "the program needs the feature shader-f16, which this GPU does not have"]


@pytest.fixture
def small(browser: Browser, tmp_path: Path) -> str:
    """Returns: the address of a program that doubles four numbers: x0 float32[1, 4] → y0."""
    net = Net((1, 4))
    net = net.op("ADD", (1, 4), (0,), "AddOptions", fused_activation_function="NONE")
    return browser.put(compiled(net.model(), Target()), tmp_path, "small")


def test_several_runners_and_many_runs(browser: Browser, small: str) -> None:
    """Sixty calls, three of them waiting at any time, on two runners that share a device and on another."""
    wrong = browser.js(
        """
        const first = await Runner.load(folder);
        const device = await (await navigator.gpu.requestAdapter()).requestDevice();
        const pair = await Promise.all([Runner.load(folder, device), Runner.load(folder, device)]);
        const runners = [first, ...pair];
        let wrong = 0;
        for (let i = 0; i < 20; i++) {
          const x = runners.map((_, k) => Float32Array.of(i, k, -1, 0.5));
          const answers = await Promise.all(runners.map((runner, k) => runner.run({ x0: x[k] })));
          answers.forEach(({ y0 }, k) => { wrong += y0.some((y, n) => y !== 2 * x[k][n]); });
        }
        for (const runner of runners) runner.close();
        const again = await Runner.load(folder, device);  // a page's own device is not given back
        const { y0 } = await again.run({ x0: new Float32Array(4).fill(3) });
        again.close();
        again.close();
        return [wrong, ...y0];
        """,
        folder=small,
    )
    assert wrong == [0, 6, 6, 6, 6]


@pytest.mark.parametrize(
    "given, told",
    [
        ("{}", "input x0 is missing, expected Float32Array of 4"),
        ("undefined", "input x0 is missing, expected Float32Array of 4"),
        ("{ x0: [1, 2, 3, 4] }", "input x0 is Array of 4, expected Float32Array of 4"),
        ("{ x0: new Float32Array(5) }", "input x0 is Float32Array of 5, expected Float32Array of 4"),
        ("{ x0: new Float32Array(4), z: 1 }", "there is no input z; the program takes: x0"),
    ],
)
def test_wrong_inputs(browser: Browser, small: str, given: str, told: str) -> None:
    body = f"const r = await Runner.load(folder); try {{ await r.run({given}); }} finally {{ r.close(); }}"
    assert browser.js(body, folder=small) == ["input", told]


def test_a_closed_runner(browser: Browser, small: str) -> None:
    """Also one that is closed while a call waits."""
    x = "{ x0: new Float32Array(4) }"
    told = browser.js(f"const r = await Runner.load(folder); r.close(); await r.run({x});", folder=small)
    assert told == ["closed", "the runner is closed"]
    body = f"const r = await Runner.load(folder); const y = r.run({x}); r.close(); await y;"
    assert browser.js(body, folder=small) == ["closed", "the runner is closed"]


def test_a_lost_device(browser: Browser, small: str) -> None:
    """The call that waits and the next one say so; a new runner answers."""
    found = browser.js(
        """
        const x = { x0: new Float32Array(4).fill(2) };
        const lost = await Runner.load(folder);
        const told = [];
        const waiting = lost.run(x);
        lost.device.destroy();
        for (const call of [waiting, lost.run(x)]) {
          await call.catch(({ code, message }) => told.push(code, message));
        }
        await lost.device.lost;
        await lost.run(x).catch(({ code }) => told.push(code));
        lost.close();
        const runner = await Runner.load(folder);
        const { y0 } = await runner.run(x);
        runner.close();
        return [...told, ...y0];
        """,
        folder=small,
    )
    assert found[0] == found[2] == found[4] == "lost"
    assert found[1].startswith("the GPU went away (")
    assert found[1].endswith("; make a new runner")
    assert found[5:] == [4, 4, 4, 4]


def damaged(browser: Browser, program: Program, folder: Path, change: dict[str, Any]) -> Any:
    where = browser.put(program, folder, "damaged")
    body = """
      const program = await (await fetch(`${folder}program.json`)).json();
      const weights = await (await fetch(`${folder}weights.bin`)).arrayBuffer();
      for (const [path, value] of Object.entries(change)) {
        const names = path.split("."), last = names.pop();
        names.reduce((here, name) => here[name], program)[last] = value;
      }
      (await Runner.create(program, weights)).close();
    """
    return browser.js(body, folder=where, change=change)


@pytest.mark.parametrize(
    "change, code, told",
    [
        ({"format": 9}, "program", "the program has format 9, expected 2"),
        ({"weights_bytes": 4}, "program", "bytes, expected 4"),
        ({"inputs.0.slot.offset": 2**20}, "program", "x0 does not lie in a buffer of values"),
        ({"outputs.0.slot.buffer": 1}, "program", "y0 does not lie in a buffer of values"),
        ({"outputs.0.dtype": "float63"}, "program", "y0 is float63, which this runner does not know"),
        ({"dispatches.1.slots.0.offset": 2**20}, "program", "dispatch 1 (conv_2d) has a range"),
        ({"dispatches.1.groups": [70_000, 1, 1]}, "program", "dispatch 1 (conv_2d) has a range"),
        ({"dispatches.1.shader": 99}, "program", "dispatch 1 (conv_2d) has a range"),
        ({"features": ["magic"]}, "program", "the program asks for magic, which this runner does not know"),
        ({"requires.max_buffer_size": 2**50}, "unsupported", "the program needs maxBufferSize 112589990"),
        ({"requires.max_luck": 7}, "unsupported", "the program needs maxLuck 7, this GPU offers 0"),
        ({"shaders.1": "fn main() { nonsense; }"}, "program", "compile the kernel conv_2d: line 1: "),
        ({"dispatches.1.uniforms": [1]}, "program", "the program was refused: "),
        ({"dispatches.1.slots.0.constant": True}, "program", "does not compile the kernel conv_2d: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_damaged_programs(
    browser: Browser, tmp_path: Path, change: dict[str, Any], code: str, told: str
) -> None:
    net = Net((1, 10, 11, 5)).conv(9).model()
    found = damaged(browser, compiled(net, Target()), tmp_path, change)
    assert found[0] == code
    assert told in found[1]


def test_a_kernel_that_would_write_what_it_reads(browser: Browser, tmp_path: Path) -> None:
    """Nobody submits it: the runner encodes a call before there is one."""
    program = compiled(Net((1, 10, 11, 5)).conv(9).model(), Target())
    read, *_, written = program.dispatches[1].slots
    assert written.writes
    change = {"dispatches.1.slots.0.offset": written.offset}
    assert read.offset != written.offset
    found = damaged(browser, program, tmp_path, change)
    assert found[0] == "program"
    assert "the program was refused: " in found[1]


def test_files_that_are_not_there(browser: Browser, small: str) -> None:
    browser.site.files.pop(f"{small}weights.bin")
    assert browser.js("await Runner.load(folder);", folder=small) == [
        "program", f"{browser.site.origin}/small/weights.bin cannot be read: 404 Not Found",
    ]  # fmt: skip
    browser.site.files[f"{small}program.json"] = b"{"
    told = browser.js("await Runner.load(folder);", folder=small)
    assert told[0] == "program"


def test_a_page_without_webgpu(browser: Browser, small: str) -> None:
    """No adapter, no WebGPU, and a page that came over plain HTTP from somewhere else."""
    gone = "Object.defineProperty(navigator, 'gpu', { value: gpu === 'none' ? undefined : " \
        "{ requestAdapter: async () => null }, configurable: true });" \
        "if (gpu === 'plain') Object.defineProperty(globalThis, 'isSecureContext', { value: false });" \
        "await Runner.load(folder);"  # fmt: skip
    gone = gone.replace("gpu === 'none' ?", "gpu !== 'adapter' ?")
    told = [browser.js(gone, folder=small, gpu=how) for how in ("adapter", "none", "plain")]
    browser.fresh()
    assert [code for code, _ in told] == ["unsupported"] * 3
    assert "the browser offers no GPU" in told[0][1]
    assert told[1][1] == "this browser has no WebGPU"
    assert "serve it over HTTPS, or open it on localhost" in told[2][1]


def test_more_memory_than_there_is(browser: Browser, tmp_path: Path) -> None:
    program = compiled(Net((1, 4)).op("ABS", (1, 4)).model(), Target())
    size, count = browser.adapter.limits["max_buffer_size"], 4096
    huge = replace(
        program, buffers=(*[size] * count, *program.buffers[1:]), arenas=count,
        requires={**program.requires, "max_buffer_size": size},
    )  # fmt: skip
    told = browser.js("(await Runner.load(folder)).close();", folder=browser.put(huge, tmp_path, "huge"))
    browser.fresh()
    assert told[0] == "memory"
    assert told[1].startswith(f"the GPU has no room for {size * count / 2**20:.1f} MiB: ")
