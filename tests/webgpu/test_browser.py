"""The same saved programs in headless Chromium: the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling.engines.webgpu
from sanderling.engines.webgpu.compile import Target
from sanderling.engines.webgpu.device import Device
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.program import Program, save
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.ops.kernel import Limits
from sanderling.runtime.loading import read_model
from tests.models import Net
from tests.ops.single import run_litert
from tests.webgpu.conftest import missing
from tests.webgpu.making import CLOSE, HALF, compare, compiled, prepared, residual

CHROMIUM = Path("/usr/bin/chromium")
SCRIPT = Path(sanderling.engines.webgpu.__file__).with_name("runner.js")
ORIGIN = "http://localhost:4713"
RUN = """async ({ inputs, kinds }) => {
  const { Runner } = await import("/runner.js");
  const program = await (await fetch("/program.json")).json();
  const weights = await (await fetch("/weights.bin")).arrayBuffer();
  const runner = await Runner.create(program, weights);
  const given = {};
  for (const [name, values] of Object.entries(inputs)) given[name] = new globalThis[kinds[name]](values);
  await runner.run(given);
  const answers = await runner.run(given);
  runner.close();
  return Object.fromEntries(Object.entries(answers).map(([name, values]) => [name, Array.from(values)]));
}"""
KINDS = {"float32": "Float32Array", "int8": "Int8Array", "uint8": "Uint8Array", "int32": "Int32Array"}


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="NO BROWSER TESTS: playwright is missing")
    if not CHROMIUM.exists():
        missing("there is no /usr/bin/chromium")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--enable-unsafe-webgpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def in_browser(page: Any, folder: Path, program: Program, arrays: list[Array]) -> list[Array]:
    """Runs a saved program in the browser, which sees nothing but its two files and the runner."""
    files = {
        "program.json": folder / "program.json",
        "weights.bin": folder / "weights.bin",
        "runner.js": SCRIPT,
    }

    def answer(route: Any) -> None:
        path = files.get(route.request.url.removeprefix(f"{ORIGIN}/"))
        if path is None:
            route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>GPU</title>")
            return
        kind = "text/javascript" if path.suffix == ".js" else "application/octet-stream"
        route.fulfill(status=200, content_type=kind, body=path.read_bytes())

    page.unroute_all()
    page.route(f"{ORIGIN}/**", answer)
    page.goto(f"{ORIGIN}/")
    if not page.evaluate("async () => !!(await navigator.gpu?.requestAdapter())"):
        missing("Chromium has no WebGPU adapter here")
    given = {p.name: a.ravel().tolist() for p, a in zip(program.inputs, arrays, strict=True)}
    kinds = {p.name: KINDS[p.dtype] for p in program.inputs}
    answers = page.evaluate(RUN, {"inputs": given, "kinds": kinds})
    return [np.array(answers[p.name], p.numpy).reshape(p.shape) for p in program.outputs]


def both(page: Any, device: Device, model: Model, folder: Path) -> None:
    """Compiles for what every WebGPU device offers, and compares the two executors."""
    program = compiled(prepared(model), Target())
    save(program, folder)
    rng = np.random.default_rng(5)
    arrays = [
        (rng.random(p.shape) if p.dtype == "float32" else rng.integers(0, 100, p.shape)).astype(p.numpy)
        for p in program.inputs
    ]  # fmt: skip
    executor = Executor(program, device)
    wanted = executor.run(arrays)
    executor.close()
    for mine, theirs in zip(in_browser(page, folder, program, arrays), wanted, strict=True):
        compare(mine, theirs, CLOSE)


def test_one_convolution(page: Any, device: Device, tmp_path: Path) -> None:
    both(page, device, Net((1, 10, 11, 5)).conv(9).model(), tmp_path)


def test_a_fused_network(page: Any, device: Device, tmp_path: Path) -> None:
    both(page, device, residual(), tmp_path)


@pytest.mark.parametrize("name", ["mlperf_tiny_resnet8_cifar10_fp32", "mlperf_tiny_kws_int8"])
def test_real_models(page: Any, device: Device, tmp_path: Path, zoo_dir: Path, name: str) -> None:
    both(page, device, read_model(zoo_dir / "tflite" / f"{name}.tflite"), tmp_path)


def test_half_precision_needs_the_feature(page: Any, device: Device, tmp_path: Path) -> None:
    """A browser without shader-f16 says so; one with it computes."""
    both(page, device, residual(), tmp_path)  # from here on the page may ask for an adapter
    program = compiled(residual(), Target(Limits(f16=True), half=True))
    save(program, tmp_path)
    x = np.random.default_rng(1).standard_normal((1, 9, 9, 3)).astype(np.float32)
    has_it = page.evaluate(
        "async () => (await navigator.gpu?.requestAdapter())?.features.has('shader-f16') ?? false"
    )
    if not has_it:
        with pytest.raises(Exception, match="the program needs shader-f16, which this adapter does not have"):
            in_browser(page, tmp_path, program, [x])
        return
    (wanted,) = run_litert(residual(), [x], reference=True)
    compare(in_browser(page, tmp_path, program, [x])[0], wanted, HALF)
