"""A small model answers where it is sure, a larger one elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.registry import find
from sanderling.errors import ModelError
from sanderling.runtime.cascade import CascadeRunner, Rule, choose_threshold, sureness
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
    small, large = (rng.random(60) > 0.5 * sure + edge for edge in (0.4, 0.5))
    seconds = (1.0, 5.0)
    found = choose_threshold(sure, small, large, seconds, max_drop)

    def at(threshold: float) -> tuple[float, float]:
        kept = sure >= threshold
        drop = np.where(kept, small, large).mean() - large.mean()
        return float(drop), seconds[0] + float((~kept).mean()) * seconds[1]

    within = [at(t)[1] for t in np.unique(sure) if at(t)[0] <= max_drop + 1e-12 and at(t)[1] < seconds[1]]
    if found is None:
        assert not within
    else:
        drop, time = at(found.threshold)
        assert drop == pytest.approx(found.drop)
        assert time == pytest.approx(found.seconds)
        assert found.seconds == pytest.approx(min(within))
