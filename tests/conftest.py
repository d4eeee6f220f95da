"""What every test may ask for, and how Hypothesis and the real models are set up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from sanderling import zoo

ROOT = Path(__file__).parents[1]
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")  # comes with Chromium, which has it built in
# Here and not in webgpu/: the loader reads it once, when the first adapter is looked for, which may be at the
# collection of any folder's tests.
if SWIFTSHADER.exists() and "SANDERLING_DEVICE" not in os.environ:
    os.environ.setdefault("VK_DRIVER_FILES", str(SWIFTSHADER))

# Tests run side by side, one to a core: a library's threads that wait for each other would only take turns.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# In CI a run is the same every time and a failure can be repeated; on a desk each run tries new examples.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _zoo() -> Path:
    return Path(os.environ.get("SANDERLING_ZOO") or ROOT.parent / "shared" / "zoo")


def pytest_report_header() -> str:
    """Says at the top of every run whether the tests on real models take part."""
    if _zoo().is_dir():
        return f"real models: {_zoo()}"
    return f"real models: NONE at {_zoo()}, so the tests on them are skipped (set SANDERLING_ZOO to a folder)"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a test finds out about a GPU is not kept for anybody, not even for the next run. And sessions that
    are not about the choice of an engine do not measure all that is installed (see runtime/test_choice.py).
    """
    os.environ["SANDERLING_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.setdefault("SANDERLING_ENGINES", "litert,webgpu")
    os.environ.setdefault("SANDERLING_THREADS", "1")


@pytest.fixture(scope="session")
def zoo_dir() -> Path:
    """The folder of real models: ``tflite/``, ``onnx/``, ``keras/``."""
    folder = _zoo()
    if not folder.is_dir():
        if "SANDERLING_ZOO" in os.environ:
            pytest.fail(f"SANDERLING_ZOO names {folder}, which is no folder")
        pytest.skip(f"no real models at {folder}: set SANDERLING_ZOO to a folder of them")
    return folder


@pytest.fixture(scope="session")
def digits() -> zoo.Card:
    """The bundled handwritten-digit model with the paths of its samples and labels."""
    return zoo.describe("digits")
