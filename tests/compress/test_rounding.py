"""Learned rounding: never worse than the nearest integers where it looks, better where it was not shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.compress.quantizing.integer_descent import anchored, descend, error_of, moments
from tests.compress.made import Bench
from tests.models import Net


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([7, 127]), st.integers(1, 4), st.integers(1, 40))
def test_the_error_never_grows(seed: int, steps: int, groups: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((groups, 64, columns)).astype(np.float32) @ rng.standard_normal(
        (columns, columns)
    ).astype(np.float32)
    weights = rng.standard_normal((groups, columns, 3))
    wanted = (rows @ weights).astype(np.float32)
    scale = np.abs(weights).max(1) / steps
    nearest = np.clip(np.round(weights / scale[:, None]), -steps, steps)
    found = anchored(moments(rows, wanted, centre=True), weights, 1e-3)
    q, s = descend(found, nearest, scale, steps)
    assert np.array_equal(q, np.round(q))
    assert np.abs(q).max() <= steps
    before, after = error_of(found, nearest, scale), error_of(found, q, s)
    assert np.all(after <= before + 1e-9 * np.abs(before).max())


def test_integers_that_are_exact_stay() -> None:
    rng = np.random.default_rng(1)
    q = rng.integers(-7, 8, (2, 9, 4)).astype(np.float64)
    scale = rng.uniform(0.1, 1, (2, 4))
    rows = rng.standard_normal((2, 200, 9)).astype(np.float32)
    wanted = (rows @ (q * scale[:, None])).astype(np.float32)
    found, s = descend(moments(rows, wanted, centre=False), q, scale, 7)
    assert np.array_equal(found, q)
    np.testing.assert_allclose(s, scale, rtol=1e-5)


def network() -> Net:
    net = Net((1, 12, 12, 3), 3).conv(16).depthwise().conv(24, activation="NONE")
    branch = net.last
    net.conv(24, activation="NONE")
    net.op(
        "ADD",
        (1, 12, 12, 24),
        (branch,),
        "AddOptions",
        fused_activation_function="NONE",
        pot_scale_int16=True,
    )
    return net.reshape(1, 12 * 12 * 24).dense(6)


@pytest.mark.parametrize(
    "technique, options",
    [
        ("int4_weights", {"mode": "static"}),
        ("int4_weights", {"mode": "static", "ends": "both"}),
        ("int4_weights", {"mode": "weight_only"}),
        ("int4_weights", {"mode": "dynamic"}),
        ("static_int8", {}),
    ],
)
def test_learned_rounding_is_nearer_to_the_float_model_on_other_samples(
    technique: str, options: dict[str, str], tmp_path: Path
) -> None:
    bench = Bench(network().model(), tmp_path)
    nearest = bench.sqnr(bench.apply(technique, options)[0])
    learned = bench.sqnr(bench.apply(technique, {**options, "rounding": "learned"})[0])
    assert learned >= nearest + (0.4 if technique == "int4_weights" else -0.5)
