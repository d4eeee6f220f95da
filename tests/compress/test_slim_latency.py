"""Widths chosen by what they take on a device: parts that are timed, and what a table of times leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import tflite
from sanderling.compress.calibration import save_feeds
from sanderling.compress.slim import apply
from sanderling.compress.slimming import parts as slim_parts
from sanderling.compress.slimming.channels import trace
from sanderling.compress.slimming.latencies import Latency
from sanderling.compress.slimming.parts import parts_in_worker
from sanderling.compress.slimming.widths import Curve, Macs, allocate
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from tests.compress.moving_nets import gated, recurrent, sliced
from tests.compress.slim_nets import chain, convolutional, residual
from tests.compress.transformer_nets import transformer
from tests.models import noise, random_inputs, run_litert, save


def _table(model: Model, step: int = 1) -> dict[str, dict[str, float]]:
    """Returns: what a device would show whose time is its arithmetic, with widths rounded up to a step."""
    found = trace(model.main)
    macs = Macs(model.main, found)
    table = {}
    for number, group in enumerate(found.groups):
        around = ((macs._wide + macs._narrow)[:, number] > 0).astype(float)
        row = {}
        for width in range(len(group), 3, -4):
            left = np.ones(len(found.groups) + 1)
            left[number] = min(-(-width // step) * step, len(group)) / len(group)
            row[str(width)] = float(((macs._wide @ left) * (macs._narrow @ left) * macs._work) @ around) / 1e6
        table[group.name] = row
    return table


@pytest.mark.parametrize("model", [chain(), convolutional(), residual(), transformer(2)])
def test_on_a_device_that_only_counts_the_time_is_in_proportion(model: Model) -> None:
    found = trace(model.main)
    macs, latency = Macs(model.main, found), Latency(model.main, found, _table(model))
    full = [len(group) for group in found.groups]
    rng = np.random.default_rng(0)
    for _ in range(20):
        widths = [max(4, int(rng.integers(1, n // 4 + 1)) * 4) for n in full]
        assert latency.total(widths) / latency.full == pytest.approx(macs.total(widths) / macs.full, abs=0.03)


def test_what_saves_no_time_is_not_given_up() -> None:
    model = convolutional()
    found = trace(model.main)
    latency = Latency(model.main, found, _table(model, step=8))
    sizes = [len(group) for group in found.groups]
    curves = [Curve({n: float(size - n) for n in range(size, 3, -4)}) for size in sizes]
    widths = allocate(latency, curves, 0.5)
    assert latency.total(widths) <= 0.5 * latency.full
    assert all(width % 8 == 0 for width in widths)
    flat = {g.name: {str(len(g)): 1.0, "8": 1.0} for g in found.groups}
    assert allocate(Latency(model.main, found, flat), curves, 0.5) == sizes


def test_the_group_that_takes_the_time_is_narrowed(tmp_path: Path) -> None:
    model = convolutional()
    names = [group.name for group in trace(model.main).groups]
    table = {
        names[0]: {"16": 1.0, "8": 0.9},
        names[1]: {"24": 5.0, "8": 1.0},
        names[2]: {"16": 4.1, "8": 4.0},
    }
    feeds = [dict(zip(model.input_names(), noise(model, seed), strict=True)) for seed in range(20)]
    work = Work(tmp_path, save_feeds(feeds, tmp_path))
    small, applied = apply(model, {"keep": 0.6, "latency": table}, work)
    verify(small)
    sizes = [len(group) for group in trace(small.main).groups]
    assert sizes[1] < 24
    assert sizes[0] == 16
    assert "of the time remains" in applied.notes[1]
    again, _ = apply(model, {"keep": 0.6, "latency": table, "by": "latency"}, work)
    assert [len(group) for group in trace(again.main).groups] == sizes
    by_macs, _ = apply(model, {"keep": 0.6, "latency": table, "by": "macs"}, work)
    assert [len(group) for group in trace(by_macs.main).groups] != sizes


@pytest.mark.parametrize("make", [chain, residual, gated, sliced, recurrent, transformer])
def test_every_part_runs_by_itself(make: Any, tmp_path: Path) -> None:
    model = make()
    rows = parts_in_worker(
        source=str(save(model, tmp_path / "m.tflite")), folder=str(tmp_path), granularity=4
    )
    names = {group.name: len(group) for group in trace(model.main).groups}
    assert {row["group"] for row in rows} == set(names)
    for row in rows:
        widths = [int(width) for width in row["parts"]]
        assert widths == sorted(widths, reverse=True)
        assert widths[0] == names[row["group"]]
        assert 2 <= len(widths) <= 4
        sizes = []
        for file in row["parts"].values():
            verify(tflite.read(Path(file)))
            assert run_litert(Path(file), *random_inputs(Path(file)))
            sizes.append(Path(file).stat().st_size)
        assert sizes == sorted(sizes, reverse=True)


def test_groups_that_compute_the_same_share_their_parts(tmp_path: Path) -> None:
    source = save(transformer(3), tmp_path / "m.tflite")
    rows = parts_in_worker(source=str(source), folder=str(tmp_path))
    wide = [row["parts"] for row in rows if "32" in row["parts"]]
    assert len(wide) == 3
    assert wide[0] == wide[1] == wide[2]


def test_parts_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slim_parts, "_MOST_BYTES", 2000)
    with pytest.raises(RecipeError, match="parts of this model"):
        parts_in_worker(source=str(save(chain(), tmp_path / "m.tflite")), folder=str(tmp_path))


@pytest.mark.parametrize(
    "table, told",
    [
        ({}, "expected an object"),
        ([1], "expected an object"),
        ({"nothing": {"8": 1.0}}, "no channels of that name"),
        ({"conv_2d_0": {"8": 1.0}}, "full width of 16"),
        ({"conv_2d_0": {"16": 1.0, "8": -1}}, "-1 ms"),
        ({"conv_2d_0": {"16": 1.0, "wide": 1.0}}, "'wide' channels"),
        ({"conv_2d_0": {"16": float("nan")}}, "nan ms"),
    ],
)
def test_wrong_tables_are_one_sentence(table: object, told: str, tmp_path: Path) -> None:
    model = convolutional()
    feeds = [dict(zip(model.input_names(), noise(model), strict=True))]
    with pytest.raises(RecipeError) as caught:
        apply(model, {"latency": table}, Work(tmp_path, save_feeds(feeds, tmp_path)))
    assert told in str(caught.value)
    with pytest.raises(RecipeError, match="expected an object"):
        apply(model, {"by": "latency"}, Work(tmp_path, save_feeds(feeds, tmp_path)))
