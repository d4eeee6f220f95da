"""The benchmark of compression: its scores, its choice of the best, its results on disk and its samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.recovery import pictures, scores
from benchmarks.recovery.entry import SCHEMA, Entry, entries
from benchmarks.recovery.material import Feeds, Sources, shuffled
from benchmarks.recovery.ours import OURS
from benchmarks.recovery.peers import plain
from benchmarks.recovery.subjects import SUBJECTS, named
from benchmarks.recovery.table import END, START, best, is_ahead, merged, render
from sanderling.graph.verify import verify
from tests.models import classifier


def _result(drop: float, speedup: float, **more: Any) -> dict[str, Any]:
    return {
        "schema": SCHEMA, "subject": "digits", "tool": "nncf", "variant": "mixed", "seed": 0, "status": "ok",
        "figures": {"drop": drop}, "speedup": speedup, "speedup_ci95": [speedup - 0.1, speedup + 0.1],
        "size_bytes": 100, "float_size_bytes": 400, "latency_ms": 1.0, "made_seconds": 1.0, "samples": "some",
        "machine": {"cpu": "a CPU", "date": "2026-11-28"},
    } | more  # fmt: skip


def test_accuracy_is_paired_against_float() -> None:
    reference, candidate = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 0, 0]]
    found = scores.ACCURACY.compare(reference, candidate, np.array([0, 1, 2, 0]))
    assert found["float_accuracy"] == found["accuracy"] == 0.75
    assert found["drop"] == 0
    assert found["agreement"] == 0.5
    assert found["drop_standard_error"] == pytest.approx(np.std([0, 0, 1, -1]) / 2)


def test_masks_are_judged_by_their_overlap() -> None:
    judge = scores.masks()
    ours = judge.keep([np.array([[0.9, 0.8, 0.2, 0.1]])])
    theirs = judge.keep([np.array([[0.9, 0.1, 0.9, 0.1]])])
    assert judge.compare(ours, theirs, None)["drop"] == pytest.approx(2 / 3)
    assert judge.compare(ours, ours, None)["drop"] == 0


def test_the_best_is_the_fastest_within_the_drop_else_the_one_of_least_drop() -> None:
    slow, fast, wrong = _result(0.0, 1.0), _result(0.004, 2.0), _result(0.2, 9.0)
    assert best([slow, fast, wrong], 0.005) is fast
    assert best([slow, fast, wrong], 0.003) is slow
    assert best([wrong, _result(0.3, 10.0)], 0.005) is wrong
    assert best([_result(0, 1, status="failed", reason="no")], 0.005) is None


def test_being_ahead_takes_both_the_drop_and_the_speed() -> None:
    rival = [_result(0.004, 2.0)]
    assert is_ahead([_result(0.005, 2.0)], rival, 0.005)
    assert not is_ahead([_result(0.006, 3.0)], rival, 0.005)
    assert not is_ahead([_result(0.0, 1.5)], rival, 0.005)
    assert not is_ahead([_result(0.11, 3.0)], [_result(0.1, 2.0)], 0.005)
    assert is_ahead([_result(0.1, 1.0)], [_result(0, 1, status="failed", reason="no")], 0.005)
    assert is_ahead([], rival, 0.005) is None


def test_of_three_seeds_the_middle_one_counts_and_a_failure_shows() -> None:
    seeds = [_result(drop, 1.0, seed=seed) for seed, drop in enumerate((0.3, 0.1, 0.2))]
    assert [each["figures"]["drop"] for each in merged(seeds)] == [0.2]
    broken = [*seeds[:2], _result(0, 1, seed=2, status="failed", reason="no space")]
    assert merged(broken)[0]["reason"] == "no space"


def test_what_is_done_is_not_done_again_until_its_recipe_changes(tmp_path: Path) -> None:
    entry = Entry("digits", "sanderling", OURS[0].name)
    assert not entry.is_done(tmp_path)
    file = tmp_path / entry.file
    file.parent.mkdir()
    file.write_text(json.dumps({"schema": SCHEMA, "how": entry.how()}))
    assert entry.is_done(tmp_path)
    file.write_text(json.dumps({"schema": SCHEMA, "how": [{"technique": "float16", "settings": {}}]}))
    assert not entry.is_done(tmp_path)


def test_every_entry_has_a_file_of_its_own() -> None:
    files = [entry.file for entry in entries()]
    assert len(files) == len(set(files))
    assert {name.split("/")[0] for name in files} == {subject.name for subject in SUBJECTS}


def test_the_page_keeps_what_stands_around_the_table(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "a.json").write_text(json.dumps(_result(0.001, 2.0)))
    page = render(f"before\n{START}\nold\n{END}\nafter\n", tmp_path)
    assert page.startswith(f"before\n{START}\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "old" not in page
    assert "0.10 %, 2.00×, 4.0× smaller" in page
    assert render(page, tmp_path) == page


def test_what_peers_are_given_is_a_valid_model_of_known_sizes() -> None:
    model = plain(classifier())
    verify(model)
    names = [tensor.name for tensor in model.main.tensors]
    assert len(set(names)) == len(names)
    assert not any(tensor.shape_signature for tensor in model.main.tensors)
    assert [signature.key for signature in model.signatures] == ["main"]


def test_feeds_are_normalised_one_at_a_time() -> None:
    feeds = Feeds({"x": np.array([[0, 255], [127, 128]], np.uint8)}, mean=127, std=128)
    np.testing.assert_array_equal(feeds.one(1)["x"], [[0, np.float32(1 / 128)]])
    assert [feed["x"].shape for feed in feeds] == [(1, 2), (1, 2)]
    assert len(feeds.first(1)) == 1


def test_a_crop_stays_in_its_picture() -> None:
    for box in ((-50.0, -50.0, 20.0, 20.0), (90.0, 10.0, 400.0, 320.0)):
        left, top, right, bottom = pictures._inside(box, 100, 60)
        assert 0 <= left < right <= 100
        assert 0 <= top < bottom <= 60
        assert right - left == pytest.approx(bottom - top)


@pytest.mark.parametrize("name", ["digits", "mlperf_tiny_resnet8"])
def test_no_sample_is_both_learned_from_and_judged_on(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    subject = named(name)
    material = subject.material(subject.find(zoo_dir / "tflite"), Sources(zoo_dir.parent / "data", tmp_path))
    lesson, judged = ({row.tobytes() for row in next(iter(side.stored.values()))} for side in
                      (material.lesson, material.evaluation))  # fmt: skip
    assert not lesson & judged
    assert material.labels is not None
    assert len(material.labels) == len(material.evaluation)
    assert sorted(shuffled(5)) == list(range(5))


def test_shaken_pixels_move_by_half_a_level_and_the_same_every_time() -> None:
    from dataclasses import replace

    stored = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    plain_feeds = Feeds({"x": stored}, 0, 255)
    shaken = replace(plain_feeds, shake=0.5)
    moved = [(a["x"] - b["x"]) * 255 for a, b in zip(shaken, plain_feeds, strict=True)]
    assert 0.4 < np.abs(moved).max() <= 0.501
    assert not np.array_equal(moved[0], moved[1])
    assert np.array_equal(shaken.one(2)["x"], shaken.one(2)["x"])
