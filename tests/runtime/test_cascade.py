"""A small model answers where it is sure, a larger one elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.engine import Port
from sanderling.engines.registry import find
from sanderling.errors import ModelError
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.runtime.cascade import CascadeRunner, Rule, guess_scores, scores_of, sureness
from sanderling.runtime.thresholds import choose_threshold
from sanderling.tflite import read, write
from tests.models import Net


def loaded(folder: Path, seed: int, classes: int = 4) -> object:
    file = folder / f"{seed}-{classes}.tflite"
    write(Net((1, 6), seed).dense(classes).softmax().model(), file)
    return find("litert").load(file, read(file))


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=8))
def test_sureness_of_logits_is_that_of_their_probabilities(values: list[float]) -> None:
    logits = np.array(values)
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert sureness(logits, "logits") == pytest.approx(sureness(probabilities, "probabilities"))
    assert 1 / len(values) - 1e-9 <= sureness(logits, "logits") <= 1


def test_what_is_no_number_is_not_sure() -> None:
    assert sureness(np.array([np.nan, 1.0]), "logits") == 0
    assert sureness(np.array([]), "probabilities") == 0


def test_the_small_one_answers_where_it_is_sure(tmp_path: Path) -> None:
    small, large = loaded(tmp_path, 0), loaded(tmp_path, 1)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((1, 6)).astype(np.float32) * 2 for _ in range(40)]
    sure = [sureness(small.run([x])[0], "probabilities") for x in inputs]  # type: ignore[attr-defined]
    threshold = float(np.median(sure))
    cascade = CascadeRunner([small, large], [Rule(threshold)])  # type: ignore[list-item]
    for x, own in zip(inputs, sure, strict=True):
        wanted = (small if own >= threshold else large).run([x])[0]  # type: ignore[attr-defined]
        assert np.array_equal(cascade.run([x])[0], wanted)
    assert cascade.calls == [40, sum(own < threshold for own in sure)]
    cascade.close()


def test_models_that_answer_something_else_are_no_cascade(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="differ in their outputs"):
        CascadeRunner([loaded(tmp_path, 0), loaded(tmp_path, 1, 5)], [Rule(0.5)])  # type: ignore[list-item]


def test_every_model_but_the_last_needs_a_rule(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 1 rules, got 0"):
        CascadeRunner([loaded(tmp_path, 0), loaded(tmp_path, 1)], [])  # type: ignore[list-item]


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.2))
def test_a_chosen_threshold_keeps_the_drop_and_none_is_faster(seed: int, max_drop: float) -> None:
    rng = np.random.default_rng(seed)
    sure = rng.choice(np.linspace(0.2, 1, 9), 60)
    small, large = (rng.random(60) > 0.5 * sure + edge for edge in (0.4, 0.55))
    seconds = (1.0, 5.0)
    found = choose_threshold(sure, small, large, seconds, max_drop)

    def at(threshold: float) -> tuple[float, float]:
        kept = sure >= threshold
        drop = np.where(kept, small, large).mean()
        return float(drop), seconds[0] + float((~kept).mean()) * seconds[1]

    within = [at(t)[1] for t in np.unique(sure) if at(t)[0] <= max_drop + 1e-12 and at(t)[1] < seconds[1]]
    if found is None:
        assert not within
    else:
        drop, time = at(found.threshold)
        assert drop == pytest.approx(found.drop)
        assert time == pytest.approx(found.time)
        assert found.time == pytest.approx(min(within))


@given(st.floats(-30, 30))
def test_a_single_score_is_as_sure_of_no_as_of_yes(value: float) -> None:
    yes, no = sureness(np.array([[value]]), "logits"), sureness(np.array([[-value]]), "logits")
    assert yes == pytest.approx(no)
    probability = 1 / (1 + np.exp(-value))
    assert yes == pytest.approx(max(probability, 1 - probability))
    assert sureness(np.array([probability]), "probabilities") == pytest.approx(yes)


def test_frames_vote_with_their_mean() -> None:
    frames = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert sureness(frames, "probabilities") == pytest.approx(0.5)


def test_what_scores_are_is_read_from_the_graph() -> None:
    net = Net((1, 6)).dense(4)
    assert scores_of(net.model(), 0) is None
    assert scores_of(net.softmax().model(), 0) == "probabilities"


def test_what_scores_are_is_guessed_from_answers() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((20, 1, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert guess_scores(list(probabilities)) == "probabilities"
    assert guess_scores(list(logits)) == "logits"
    assert guess_scores([np.array([[0.2]]), np.array([[0.9]])]) == "probabilities"


class Quantized:
    """Gives what it is given, stored with a scale of its own."""

    def __init__(self, scale: float) -> None:
        kind = TensorType((1, 3), DType.INT8, Quant.of(scale))
        self.inputs = self.outputs = (Port("x", kind, (1, 3)),)
        self.seen: list[np.ndarray] = []

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self.seen.append(inputs[0])
        return [inputs[0]]

    def reset(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("threshold", [0.1, 1.0])
def test_stored_integers_are_converted_where_scales_differ(threshold: float) -> None:
    small, large = Quantized(0.5), Quantized(0.25)
    cascade = CascadeRunner([small, large], [Rule(threshold, scores="logits")])
    given = np.array([[4, 8, 16]], np.int8)  # 1, 2 and 4 by the large one's scale
    assert np.array_equal(cascade.run([given])[0], given)
    assert np.array_equal(small.seen[0], [[2, 4, 8]])
    assert len(large.seen) == (threshold == 1.0)


def test_a_margin_is_left_for_unseen_samples() -> None:
    """Thresholds that just keep a drop on the samples they were chosen on exceed it on others too often."""
    rng = np.random.default_rng(0)
    held: dict[int, int] = {0: 0, 400: 0}
    for _ in range(60):
        sure = rng.uniform(0.3, 1, 800)
        small = (rng.random(800) > sure).astype(float)
        for unseen in held:
            choice = choose_threshold(sure[:400], small[:400], np.zeros(400), (1, 5), 0.02, unseen=unseen)
            kept = 0.0 if choice is None else small[400:][sure[400:] >= choice.threshold].sum() / 400
            held[unseen] += kept <= 0.02
    assert held[0] < 45
    assert held[400] >= 48


def test_a_size_may_change_where_it_may_in_all_models() -> None:
    small, large = Quantized(0.5), Quantized(0.5)
    small.inputs = (replace(small.inputs[0], signature=(-1, 3)),)
    large.inputs = (replace(large.inputs[0], signature=(-1, -1)),)
    assert CascadeRunner([small, large], [Rule(0.5)]).inputs[0].signature == (-1, 3)
