"""One server for all tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import Net, save
from tests.serve.inference.serving import Server, serving

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model x [1,16] → y [1,10]."""
    net = Net((1, 16)).dense(32, "RELU").dense(10).softmax()
    return save(net.model(), tmp_path_factory.mktemp("dense") / "dense.tflite")


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model x [1,128,128,16] → y of some ten milliseconds a call."""
    net = Net((1, 128, 128, 16)).conv(16).conv(16).conv(16).pool().pool().pool().pool()
    return save(net.model(), tmp_path_factory.mktemp("slow") / "slow.tflite")


@pytest.fixture(scope="module")
def server(dense: Path) -> Iterator[Server]:
    """It serves the dense model as ``m``, rows together; a request may have 100 kB and take 1 s to come."""
    options = ("--batch", "8", "--max-request", "100kB", "--read-timeout", "1s", "--queue", "64")
    with serving(str(dense), "--name", "m", *options) as running:
        yield running
        assert running.stop() == 0
