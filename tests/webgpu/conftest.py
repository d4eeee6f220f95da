"""A GPU for the tests: a real one, or a software adapter (SwiftShader comes with Chromium)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import SWIFTSHADER as SWIFTSHADER

LAVAPIPE = Path("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json")


def missing(reason: str) -> None:
    """Skips, or fails where a GPU is expected."""
    if os.environ.get("EXPECT_GPU") == "1":
        pytest.fail(f"EXPECT_GPU is 1, but {reason}")
    pytest.skip(f"NO GPU TESTS: {reason}")


@pytest.fixture(scope="session")
def device():
    """The device that ``SANDERLING_DEVICE`` names, else the fastest."""
    from sanderling.engines.webgpu import ENGINE
    from sanderling.engines.webgpu.device import open_device

    ready = ENGINE.available()
    if not ready:
        missing(ready.reason)
    return open_device()
