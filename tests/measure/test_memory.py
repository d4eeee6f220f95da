"""Peak memory follows the model's size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import FormatError
from sanderling.measure.memory import peak_memory
from tests.engines import models

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")


def test_peak_memory_grows_with_the_activations(tmp_path: Path) -> None:
    size = 512
    feed = [np.zeros((1, size, size, 16), np.float32)]
    large = peak_memory(models.save(models.convolution(size), tmp_path, "large"), feeds=[feed, feed])
    small = peak_memory(
        models.save(models.convolution(16), tmp_path, "small"), feeds=[[feed[0][:, :16, :16]]]
    )
    tensor = feed[0].nbytes
    assert small < 8 * 2**20
    # Input and output live at once, and the output is copied out; LiteRT may add scratch space.
    assert 2 * tensor < large < 8 * tensor


def test_errors_of_loading_come_through(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        peak_memory(tmp_path / "none.tflite")
