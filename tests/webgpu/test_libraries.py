"""Both WebGPU libraries: refusals, time stamps, both in one process, and the tables of wgpu-native."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu.driver import adapters, library_wgpu
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.driver.library_wgpu import WgpuNative
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.versions import version_of
from sanderling.errors import RunError, UsageError
from sanderling.runtime.session import Session
from tests.models import classifier, save
from tests.webgpu.making import CLOSE, compare, compiled, residual
from tools import make_wgpu_tables

COUNT = "@group(0) @binding(0) var<uniform> u: vec4<u32>;\n" \
    "@group(0) @binding(1) var<storage, read_write> y: array<u32>;\n" \
    "@compute @workgroup_size(1) fn main() {" \
    " for (var i = 0u; i < u.x; i++) { y[0] = y[0] * 3u + i; } }"  # fmt: skip


def test_an_adapter_says_what_it_is(device: Device) -> None:
    adapter = device.adapter
    assert adapter.name
    assert adapter.backend in adapters.BACKENDS
    assert f"through {adapter.library.package} {adapter.library.version}" in adapter.identity
    assert {"max_buffer_size", "max_compute_workgroup_size_x"} <= set(adapter.limits)
    assert adapter.limits["max_compute_invocations_per_workgroup"] >= 128


def test_what_the_library_refuses_is_an_error_and_the_device_lives_on(device: Device) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match="the GPU refused"):
            device.buffer(2**52)
        small = device.buffer(256)
        with pytest.raises(RunError, match="the GPU refused"):
            device.bind_group(("storage",), [(small, 0, 256), (small, 0, 512)])
        device.write(small, 0, np.arange(64, dtype=np.uint32))


def test_a_refusal_is_told_to_the_thread_that_asked(device: Device) -> None:
    def ask(number: int) -> bool:
        try:
            device.buffer(2**52 if number % 2 else 256).destroy()
        except RunError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(64))) == [bool(n % 2) for n in range(64)]


def test_time_stamps_know_which_kernel_takes_longer(device: Device) -> None:
    if "timestamp-query" not in device.adapter.features:
        pytest.skip(f"{device.adapter.name} has no time stamps")
    uniforms, y = device.buffer(512, uniform=True), device.buffer(256)
    device.write(uniforms, 0, np.array([1, 0, 0, 0], np.uint32))
    device.write(uniforms, 256, np.array([200_000, 0, 0, 0], np.uint32))
    kernel = device.pipeline(COUNT, ("storage",))
    groups = [device.bind_group(("storage",), [(uniforms, at, 16), (y, 0, 256)]) for at in (0, 256)]
    both = [(kernel, group, (1, 1, 1)) for group in groups]
    device.stamps(both)  # some drivers compile at the first dispatch
    ticks = device.stamps(both).astype(np.float64)
    short, long = (ticks[1::2] - ticks[0::2]) * device.tick_ns
    assert 0 <= short < long < 60e9


def test_both_side_by_side(device: Device, tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    x = np.random.default_rng(3).standard_normal((1, 12, 12, 1)).astype(np.float32)
    mine, other = device.adapter.library.name, {"wgpu": "dawn", "dawn": "wgpu"}
    with Session(path, engine="webgpu") as session:
        wanted = session(x)
    if find_spec("wgpudawn") is None or not adapters.adapters(other[mine]):
        pytest.skip(f"{other[mine]} is not installed or finds no adapter")
    with Session(path, engine="webgpu", library=other[mine]) as session:
        compare(session(x), wanted, CLOSE)
        assert session._runner.device.adapter.library.name == other[mine]  # type: ignore[attr-defined]
        session.rebuild()
        compare(session(x), wanted, CLOSE)


def test_there_is_no_such_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    with pytest.raises(UsageError, match="library is 'glide'; choose one of: wgpu, dawn"):
        Session(path, engine="webgpu", library="glide")
    monkeypatch.setenv("SANDERLING_WEBGPU", "glide")
    with pytest.raises(UsageError, match="there is no WebGPU library 'glide'"):
        adapters.library()


def test_dawn_that_is_not_installed_comes_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "_libraries", {})
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"dawn is not installed; run: pip install 'wgpudawn>=0\.32"):
        adapters.library("dawn")


def test_dawn_is_told_of_subgroups_and_only_of_them() -> None:
    pytest.importorskip("wgpudawn", reason="NO TESTS OF DAWN: wgpudawn is not installed")
    dawn = adapters.library("dawn")
    assert dawn.text(COUNT) == COUNT
    assert dawn.text("let a = quadBroadcast(b, 0u);").startswith("enable subgroups;\n")


def test_the_tables_are_those_of_the_installed_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "tables.py"
    monkeypatch.setattr("sys.argv", ["make_wgpu_tables.py", str(made)])
    make_wgpu_tables.main()
    assert made.read_bytes() == make_wgpu_tables.OUT.read_bytes(), "run tools/make_wgpu_tables.py"
    found = library_wgpu.quick()
    assert found is not None, "TABLES_OF is not the version of the installed library"


def test_another_version_of_the_library_is_read_by_its_own_package(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.adapter.library.name != "wgpu":
        pytest.skip("it is about wgpu-native")
    monkeypatch.setattr(library_wgpu, "TABLES_OF", 1)
    monkeypatch.setattr(adapters, "_libraries", {})
    monkeypatch.setattr(adapters, "_found", {})
    assert library_wgpu.quick() is None
    other = Device(adapters.choose())
    assert isinstance(other.adapter.library, WgpuNative)
    assert other.adapter.library.ffi is not device.adapter.library.ffi
    (x,) = [np.random.default_rng(0).standard_normal((1, 9, 9, 3)).astype(np.float32)]
    answers = [
        Executor(compiled(residual(), target_of(one.adapter)), one).run([x])[0] for one in (device, other)
    ]
    np.testing.assert_array_equal(*answers)


def test_versions_are_those_that_the_packages_have() -> None:
    from importlib.metadata import version

    for package in ("wgpu", "ai-edge-litert", "numpy", "sanderling"):
        assert version_of(package) == version(package)
    assert version_of("no-such-package") == "?"
