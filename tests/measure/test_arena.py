"""The arena of TFLite Micro: what it records, and the least that it starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.engines.registry import find
from sanderling.engines.tflite_micro.runner import MicroRunner
from sanderling.errors import ModelError
from sanderling.measure import arena
from sanderling.tflite import read
from tests.models import Net, save

MICRO = find("tflite_micro").available()
pytestmark = pytest.mark.skipif(not MICRO, reason=f"TFLite Micro is not here: {MICRO.reason}")


def test_the_least_arena_loads_and_a_smaller_one_does_not(tmp_path: Path) -> None:
    net = Net((1, 64))
    for _ in range(12):
        net.dense(4).dense(64)
    file = save(net.model(), tmp_path / "net.tflite")
    found = arena.measure(file)
    # Planning many tensors takes more of a small arena than holding them does.
    assert found.least > found.recorded + arena.STEP
    assert found.least % arena.STEP == 0
    model = read(file)
    MicroRunner(file, model, arena_bytes=found.least).close()
    with pytest.raises(ModelError, match=f"more than {found.least - 64:,} bytes"):
        MicroRunner(file, model, arena_bytes=found.least - 64)


def test_what_is_recorded_is_enough_where_tensors_are_large(zoo_dir: Path) -> None:
    found = arena.measure(zoo_dir / "tflite" / "mlperf_tiny_kws_int8.tflite")
    assert found.recorded <= found.least <= found.recorded + arena.STEP


def test_what_tflite_micro_lacks_has_no_arena(tmp_path: Path) -> None:
    file = save(Net((1, 4)).op("SIGN", (1, 4)).model(), tmp_path / "net.tflite")
    with pytest.raises(ModelError, match="no kernel for SIGN"):
        arena.measure(file)
