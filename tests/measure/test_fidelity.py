"""Drops with honest intervals, failures whatever the metric says, and the decision."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import UsageError
from sanderling.measure.fidelity import Comparison, compare, decide
from sanderling.measure.interval import clopper_pearson
from sanderling.measure.results import Fidelity
from sanderling.tasks.classify import classify
from sanderling.tasks.embed import embed
from sanderling.tasks.landmarks import landmarks
from sanderling.tasks.other import other
from sanderling.tasks.segment import segment
from tests.tasks.made_up import RNG, distributions, softmax

Sample = list[np.ndarray]


def one_hot(classes: list[int]) -> list[Sample]:
    # A little noise, so that outputs vary as real ones do.
    return [[softmax(np.eye(10)[c][None] * 8 + RNG.normal(0, 0.1, (1, 10)))] for c in classes]


def flipped(count: int, wrong: int) -> tuple[list[Sample], list[Sample]]:
    classes = [i % 9 for i in range(count)]
    return one_hot(classes), one_hot([c + 1 if i < wrong else c for i, c in enumerate(classes)])


def test_agreement() -> None:
    result = compare(classify(), *flipped(200, 10), output_names=["scores"])
    assert result.value == pytest.approx(0.95)
    assert result.drop == pytest.approx(0.05)
    assert 0.015 < result.ci95[0] < 0.03
    assert 0.07 < result.ci95[1] < 0.1
    assert result.samples == 200
    assert sum(result.per_sample) == 10
    assert result.outputs[0]["name"] == "scores"
    assert result.outputs[0]["cross_entropy"] > 0
    assert result.metric == "1 - top-1 agreement"


@pytest.mark.parametrize("count", [1, 3, 20, 300])
def test_no_disagreement_is_no_certainty(count: int) -> None:
    result = compare(classify(), *flipped(count, 0))
    assert result.drop == 0
    assert result.ci95[0] == 0
    assert result.ci95[1] >= 1 - 0.05 ** (1 / count) - 1e-9
    assert result.ci95[1] == pytest.approx(1 - 0.05 ** (1 / count), rel=0.01)


def test_few_disagreements_are_bounded_exactly() -> None:
    result = compare(classify(), *flipped(20, 1))
    assert result.ci95[1] == pytest.approx(0.249, abs=0.002)  # Clopper-Pearson 1 of 20


@pytest.mark.parametrize(
    "count, total, expected",
    [(0, 20, (0, 0.1391)), (1, 20, (0.00127, 0.2487)), (10, 100, (0.0490, 0.1762)), (20, 20, (0.8609, 1))],
)
def test_clopper_pearson(count: int, total: int, expected: tuple[float, float]) -> None:
    assert clopper_pearson(count, total) == pytest.approx(expected, abs=1e-4)


@given(st.integers(1, 400), st.floats(0, 1))
def test_clopper_pearson_holds_the_estimate(total: int, share: float) -> None:
    count = round(share * total)
    low, high = clopper_pearson(count, total)
    assert 0 <= low <= count / total <= high <= 1


def test_paired_accuracy() -> None:
    truth = [i % 9 for i in range(100)]
    reference = one_hot([c if i >= 20 else c + 1 for i, c in enumerate(truth)])  # 80 % right
    candidate = one_hot([c if i >= 30 else c + 1 for i, c in enumerate(truth)])  # 70 % right
    result = compare(classify(labelled=True), reference, candidate, truth)
    assert result.value == pytest.approx(0.7)
    assert result.drop == pytest.approx(0.1)
    better = compare(classify(labelled=True), candidate, reference, truth)
    assert better.drop == pytest.approx(-0.1)
    assert better.ci95[1] < 0
    assert decide(better, 0.01) == ("ok", "")


@pytest.mark.parametrize("share, count", [(0.05, 60), (0.3, 60), (0.02, 300)])
def test_intervals_hold_the_truth_as_often_as_they_say(share: float, count: int) -> None:
    rng = np.random.default_rng(0)
    right = [np.array([[0.9, 0.1]], np.float32)]
    wrong = [np.array([[0.1, 0.9]], np.float32)]
    held = 0
    for _ in range(40):
        candidate = [wrong if rng.random() < share else right for _ in range(count)]
        low, high = compare(classify(), [right] * count, candidate, resamples=200).ci95
        held += low <= share <= high
    assert held >= 35


def test_nan_infinity_and_shapes_fail() -> None:
    good = distributions(10, 4)
    for value, word in ((np.nan, "NaN"), (np.inf, "infinity")):
        bad = [[a.copy() for a in s] for s in good]
        bad[7][0][0, 2] = value
        result = compare(classify(), good, bad, None, ["y"])
        assert result.failure == f"output 'y' holds {word} on sample 7"
        assert decide(result, 1.0) == ("rejected", result.failure)
        own = compare(classify(), bad, good, None, ["y"])
        assert "the reference's own output 'y' is not finite on sample 7" in own.failure
    narrow = [[s[0][:, :3]] for s in good]
    assert "has shape [1, 3], the reference [1, 4]" in compare(classify(), good, narrow).failure
    assert "2 outputs" in compare(classify(), good, [s * 2 for s in good]).failure


def test_constant_output_fails() -> None:
    good = distributions(10, 4)
    stuck = [good[0]] * 10
    assert "is the same on all 10 samples" in compare(classify(), good, stuck).failure
    assert compare(classify(), stuck, stuck).failure == ""
    # A score that hardly moves in the reference may stand still in a coarse candidate.
    steady = [[s[0], np.array([0.996 + 1e-4 * i])] for i, s in enumerate(good)]
    coarse = [[s[0], np.array([0.996])] for s in good]
    assert compare(classify(), steady, coarse).failure == ""
    late = [*stuck[:9], good[9]]
    assert compare(classify(), good, late).failure == ""


def test_figures_per_output() -> None:
    reference = [[np.full((1, 4), 2.0, np.float32) + i, np.array([[0.5]])] for i in range(5)]
    candidate = [[a + 0.1, b + 0.2] for a, b in reference]
    first, second = compare(other(), reference, candidate, None, ["a", "b"]).outputs
    assert first["rmse"] == pytest.approx(0.1, rel=1e-5)
    assert first["relative_rmse"] == pytest.approx(0.1 / np.sqrt(18), rel=1e-5)
    assert first["sqnr_db"] == pytest.approx(20 * np.log10(np.sqrt(18) / 0.1), rel=1e-5)
    assert "cross_entropy" not in first
    assert second["score_change"] == pytest.approx(0.2)
    same = compare(other(), reference, reference)
    assert same.outputs[0]["sqnr_db"] is None
    assert same.ci95 == (0, 0)
    json.dumps(same.to_json(), allow_nan=False)
    assert Fidelity.from_json(json.loads(json.dumps(same.to_json()))) == same


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_few_samples_widen_the_interval(count: int) -> None:
    rng = np.random.default_rng(3)
    reference = [[rng.normal(0, 1, (1, 64))] for _ in range(count)]
    candidate = [[s[0] + rng.normal(0, 0.1 * (1 + i), (1, 64))] for i, s in enumerate(reference)]
    result = compare(embed(), reference, candidate)
    if count == 1:
        assert result.ci95[1] == pytest.approx(3 * result.drop)
    assert result.ci95[0] < result.drop < result.ci95[1]


def test_counts_must_agree() -> None:
    good = distributions(4, 3)
    for reference, candidate in ((good, good[:3]), (good[:3], good)):
        with pytest.raises(UsageError, match="answered"):
            compare(classify(), reference, candidate)
    with pytest.raises(UsageError, match="no samples"):
        compare(classify(), [], [])
    with pytest.raises(UsageError, match="2 labels"):
        compare(classify(), good, good, [1, 2])


def test_it_is_repeatable_and_takes_generators() -> None:
    reference, candidate = flipped(120, 9)
    whole = compare(classify(), reference, candidate)
    piece = Comparison(classify())
    for ours, theirs in zip(reference, candidate, strict=True):
        piece.add(ours, theirs)
    assert piece.result() == whole == compare(classify(), (r for r in reference), (c for c in candidate))


def fidelity(drop: float, low: float, high: float, samples: int = 100) -> Fidelity:
    return Fidelity("1 - top-1 agreement", 1 - drop, drop, (low, high), samples)


def test_decisions() -> None:
    assert decide(fidelity(0.005, 0, 0.019), 0.01) == ("ok", "")
    kind, reason = decide(fidelity(0.005, 0, 0.035), 0.01)
    assert kind == "undecided"
    assert "needs about 300 more samples" in reason  # the interval must halve: 4 times the samples
    kind, reason = decide(fidelity(0.0, 0, 0.03), 0.01)
    assert kind == "undecided"
    assert "needs about 50 more samples" in reason  # an exact bound on nothing seen shrinks with 1/n
    assert decide(fidelity(0.03, 0.02, 0.04), 0.01)[0] == "rejected"
    assert decide(fidelity(0.012, 0.011, 0.013), 0.01)[0] == "rejected"
    assert decide(fidelity(0.012, 0.004, 0.02), 0.01)[0] == "undecided"
    assert decide(fidelity(0.05, 0.0, 0.2), 0.01)[0] == "rejected"
    assert decide(fidelity(0.0, 0, 0.03), 0)[0] == "ok"
    assert decide(fidelity(1e-9, 0, 0.03), 0)[0] == "rejected"
    assert decide(replace(fidelity(0, 0, 0), failure="NaN"), 1) == ("rejected", "NaN")
    assert (
        "3 % (95 % interval 2 % to 4 %), over the budget of 1 %"
        in decide(fidelity(0.03, 0.02, 0.04), 0.01)[1]
    )


@given(st.floats(0, 0.05), st.floats(0, 0.05), st.integers(2, 10_000), st.floats(0.001, 0.05))
def test_more_samples_are_enough(drop: float, width: float, samples: int, budget: float) -> None:
    before = fidelity(drop, max(0.0, drop - width), drop + width, samples)
    kind, reason = decide(before, budget)
    if kind != "undecided" or "more samples" not in reason or drop == budget:
        return
    more = int(reason.split("needs about ")[1].split()[0])
    shrink = samples / (samples + more) if drop == 0 else np.sqrt(samples / (samples + more))
    after = fidelity(drop, drop - (drop - before.ci95[0]) * shrink, drop + width * shrink, samples + more)
    after = replace(after, ci95=(after.ci95[0] + 1e-12, after.ci95[1] - 1e-12))
    assert decide(after, budget)[0] in ("ok", "rejected")


def test_large_jobs_are_quick() -> None:
    rng = np.random.default_rng(0)
    faces = [[rng.normal(100, 30, (1, 1404)).astype(np.float32)] for _ in range(500)]
    moved = [[s[0] + rng.normal(0, 1, (1, 1404)).astype(np.float32)] for s in faces]
    comparison = Comparison(landmarks(per_point=3, third="depth"))
    for ours, theirs in zip(faces, moved, strict=True):
        comparison.add(ours, theirs)
    start = time.perf_counter()
    result = comparison.result()
    assert time.perf_counter() - start < 1
    assert result.ci95[0] < result.drop < result.ci95[1]


def test_masks_are_reduced_at_once() -> None:
    mask = RNG.normal(0, 1, (1, 257, 257, 21)).astype(np.float32)
    stat = segment(kind="classes").observe([mask], [mask], None)
    assert stat.nbytes < 1000
