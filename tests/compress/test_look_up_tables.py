"""TFLite Micro's look-up tables: what is packed comes back, and its interpreter gives the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling import tflite
from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.sparsity.look_up_tables import (
    MOST_VALUES,
    OPERATOR,
    pack_values,
    with_look_up_tables,
    without_look_up_tables,
)
from sanderling.engines import registry
from sanderling.tflite.releases import settled
from tests.compress.sparse_nets import feeds
from tests.models import Net, run_litert, save

# Its interpreter ends the process on some models, so it gets one of its own.
PROGRAM = """
import json, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
answers = []
for name in sys.argv[2:]:
    interpreter = runtime.Interpreter.from_file(name, arena_size=1 << 22)
    interpreter.set_input(np.load(sys.argv[1]), 0)
    interpreter.invoke()
    answers.append(interpreter.get_output(0).tolist())
print(json.dumps(answers))
"""


@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.integers(-5, 5)),
    st.booleans(),
)
def test_what_is_packed_comes_back(values: np.ndarray, by_channel: bool) -> None:
    axis = 0 if by_channel else None
    packed = pack_values(values, axis)
    if packed is None:
        assert np.unique(values).size == 1 or all(np.unique(part).size == 1 for part in values)
        return
    bits, stride = int(packed.ancillary[5] & 7), int(packed.ancillary[6])
    assert packed.ancillary[5] >> 4 == (0 if by_channel else 15)
    tables = packed.ancillary[16:].view(np.int8).reshape(-1, stride)
    stream = np.unpackbits(packed.indices)[: values.size * bits].reshape(-1, bits)
    codes = (stream << np.arange(bits - 1, -1, -1)).sum(axis=1).reshape(values.shape)
    rows = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) if by_channel else 0
    assert np.array_equal(tables[rows, codes], values)


def test_too_many_values() -> None:
    assert pack_values(np.arange(MOST_VALUES + 1), None) is None
    assert pack_values(np.arange(MOST_VALUES), None) is not None


@pytest.mark.parametrize(
    "per, after",
    [
        ("tensor", ("static_int8", {"io": "int8"})),
        ("channel", ("static_int8", {"io": "int8"})),
        ("tensor", ("static_int8", {})),
        ("tensor", None),
    ],
)
def test_tflite_micro_gives_the_same_answers(per: str, after: tuple[str, Any] | None, tmp_path: Path) -> None:
    if not registry.find("tflite_micro").available():
        pytest.skip("tflite-micro is not installed")
    model = Net((1, 8, 8, 16), 0).conv(32).depthwise().conv(32).reshape(1, 2048).dense(10).model()
    file = save(model, tmp_path / "model.tflite")
    calibration = save_feeds(feeds(model, 6), tmp_path)
    share = Step("share", {"per": per, "depthwise": True, "vary": False, "fit": False})
    made = tmp_path / "shared.tflite"
    apply_recipe(
        Recipe("r", (share, *([Step(*after)] if after else []))), file, made, calibration=calibration
    )
    packed, count = with_look_up_tables(tflite.read(made))
    assert count >= 3
    assert sum(node.custom_code == OPERATOR for node in packed.main.nodes) == count
    out = save(settled(packed), tmp_path / "packed.tflite")
    assert out.stat().st_size < (0.75 if after else 0.35) * made.stat().st_size
    (given_,) = feeds(model, 1, seed=3)[0].values()
    if after and after[1]:
        given_ = np.clip(np.round(given_ * 40), -128, 127).astype(np.int8)
    np.save(tmp_path / "input.npy", given_)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "input.npy"), str(made), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    before, after_ = json.loads(done.stdout)
    assert before == after_
    assert np.ptp(before) > 0


def test_weights_of_many_values_stay() -> None:
    model = Net((1, 64), 0).dense(64).model()
    same, count = with_look_up_tables(model)
    assert count == 0
    assert same is model


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_a_packed_model_is_unpacked_for_other_runtimes(per: str, tmp_path: Path) -> None:
    net = save(Net((1, 8, 8, 16)).conv(32).reshape(1, 2048).dense(4).model(), tmp_path / "net.tflite")
    static = Step("static_int8", {"io": "int8"})
    recipe = Recipe("x", (Step("share", {"values": 16, "per": per, "fit": False}), static))
    feeds = save_feeds(
        ({"x": np.random.default_rng(0).random((1, 8, 8, 16), np.float32)},), tmp_path / "feeds"
    )
    apply_recipe(recipe, net, tmp_path / "plain.tflite", calibration=feeds)
    packed, count = with_look_up_tables(tflite.read(tmp_path / "plain.tflite"))
    unpacked, again = without_look_up_tables(packed)
    assert count == again > 0
    tflite.write(unpacked, tmp_path / "unpacked.tflite")
    x = np.random.default_rng(1).integers(-128, 128, (1, 8, 8, 16)).astype(np.int8)
    (right,), (mine,) = (run_litert(tmp_path / f"{name}.tflite", x) for name in ("plain", "unpacked"))
    np.testing.assert_array_equal(mine, right)
    assert without_look_up_tables(unpacked) == (unpacked, 0)
