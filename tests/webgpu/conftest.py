"""A GPU for the tests: a real one, or a software adapter (SwiftShader comes with Chromium)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import SWIFTSHADER as SWIFTSHADER

LAVAPIPE = Path("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json")


def missing(reason: str) -> None:
    """Skips, or fails where a GPU is expected."""
    if os.environ.get("EXPECT_GPU") == "1":
        pytest.fail(f"EXPECT_GPU is 1, but {reason}")
    pytest.skip(f"NO GPU TESTS: {reason}")


ON_BOTH = {"test_execute", "test_operators", "test_libraries"}  # run on every WebGPU library


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Has the tests of the executor run on each library that there is."""
    if "device" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_BOTH:
        metafunc.parametrize("device", ["wgpu", "dawn"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest):
    """The device that ``SANDERLING_DEVICE`` names, else the fastest, through the library asked for."""
    from sanderling.engines.webgpu import ENGINE
    from sanderling.engines.webgpu.driver.device import open_device

    name = getattr(request, "param", "")
    with pytest.MonkeyPatch.context() as patch:
        if name:
            patch.setenv("SANDERLING_WEBGPU", name)
        if name == "dawn" and find_spec("wgpudawn") is None:
            pytest.skip("NO TESTS OF DAWN: wgpudawn is not installed")
        ready = ENGINE.available()
        if not ready and name == "dawn":
            pytest.skip(f"NO TESTS OF DAWN: {ready.reason}")  # it takes fewer drivers than wgpu
        if not ready:
            missing(ready.reason)
        yield open_device()
