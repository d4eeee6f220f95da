"""Sensitivity: a planted weak spot is found, and plans cure it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.damage.mixed_plans import mixed_plans
from sanderling.compress.damage.sensitivity import Sensitivity, sensitivity, sensitivity_in_worker
from sanderling.errors import RecipeError
from tests.compress.made import Bench, network, with_constant
from tests.models import Net


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A chain of convolutions; one channel of the second one's result is a thousand times the others,
    and the third takes just a thousandth of it: int8 leaves little of the other channels."""
    net = Net((1, 8, 8, 3)).conv(8).conv(8).conv(8).conv(8).reshape(1, 512).dense(6)
    model = net.model()
    second, third = (next(t.data for t in model.main.tensors if t.name == n).copy() for n in ("w1", "w2"))
    second[0] *= 300
    third[..., 0] /= 300
    return Bench(with_constant(with_constant(model, "w1", second), "w2", third), tmp_path)


def names(bench: Bench) -> list[str]:
    return [bench.model.main.results(n)[0].name for n in bench.model.main.nodes]


def test_the_weak_spot_is_found(bench: Bench) -> None:
    found = sensitivity(bench.source, bench.calibration)
    worst = found.rows[0]
    assert worst.operator == names(bench)[1]
    assert worst.damage_activation > 10 * worst.damage_weights
    assert worst.damage > 5 * found.rows[2].damage
    assert found.total == pytest.approx(sum(r.damage for r in found.rows), rel=0.5)
    assert sum(r.cost_share for r in found.rows) == pytest.approx(1, abs=0.05)
    assert all(row.measured for row in found.rows)


def test_plans_keep_the_whole_region_float_and_cure_it(bench: Bench) -> None:
    plans = mixed_plans(sensitivity(bench.source, bench.calibration), max_cost=1.0)
    assert plans
    assert {names(bench)[1], names(bench)[2]} <= set(plans[0].keep_float)
    for shorter, longer in pairwise(plans):
        assert set(shorter.keep_float) < set(longer.keep_float)
        assert longer.remaining < shorter.remaining
    whole, _ = bench.apply("static_int8")
    before = bench.sqnr(whole)
    mixed, _ = bench.apply("static_int8", {"keep_float": list(plans[0].keep_float)})
    assert bench.sqnr(mixed) > before + 3


def test_prediction_and_the_quantized_model_agree(tmp_path: Path) -> None:
    bench = Bench(network(), tmp_path)
    found = sensitivity(bench.source, bench.calibration)
    file, _ = bench.apply("static_int8", {"bias_correction": False})
    assert bench.sqnr(file) == pytest.approx(-10 * np.log10(found.total), abs=6)


def test_an_operator_alone_in_float_gains_its_weights_only(bench: Bench) -> None:
    found = sensitivity(bench.source, bench.calibration)
    from sanderling.compress.damage.mixed_plans import _Ledger

    ledger = _Ledger(found)
    second, third = names(bench)[1], names(bench)[2]
    everything = ledger.damage(frozenset())
    row = found.rows[0]
    assert everything - ledger.damage({second}) < row.damage / 2
    assert everything - ledger.damage({second, third}) > row.damage_activation * 0.99


def test_out_of_time_means_unmeasured_not_wrong(bench: Bench) -> None:
    found = sensitivity(bench.source, bench.calibration, seconds=0)
    assert not any(r.measured for r in found.rows if r.damage or r.kind in ("CONV_2D", "INPUT"))
    assert {r.damage for r in found.rows} == {0.0}
    assert mixed_plans(found) == []


def test_own_measure_of_damage_and_progress(bench: Bench) -> None:
    calls: list[tuple[int, int]] = []
    found = sensitivity(
        bench.source,
        bench.calibration,
        samples=3,
        damage=lambda a, b: max(float(np.abs(x[0] - y[0]).max()) for x, y in zip(a, b, strict=True)),
        progress=lambda done, planned: calls.append((done, planned)),
    )
    assert found.rows[0].operator == names(bench)[1]
    assert found.samples == 3
    assert calls[-1][0] == calls[-1][1] == len(calls)


def test_json_both_ways_as_the_worker_does_it(bench: Bench) -> None:
    import json

    told: list[list[int]] = []
    value = sensitivity_in_worker(
        source=str(bench.source), calibration=str(bench.calibration), samples=2, progress=told.append
    )
    again = Sensitivity.from_json(json.loads(json.dumps(value)))
    assert again.to_json() == value
    assert mixed_plans(again)
    assert told


def test_quantized_models_are_refused(bench: Bench) -> None:
    file, _ = bench.apply("static_int8", {"io": "int8"})
    with pytest.raises(RecipeError, match="already quantized"):
        sensitivity(file, bench.calibration)
