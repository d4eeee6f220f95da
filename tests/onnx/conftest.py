"""What the tests of the ONNX format share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of drawn models, each written over the one before."""
    return tmp_path_factory.mktemp("drawn")
