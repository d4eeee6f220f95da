"""A folder answered into a table: what ``run`` answers, a row per sample, whatever the plan."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import sanderling as sd
from sanderling.errors import MissingExtra, RunError, UsageError
from sanderling.predict.answering import Answering
from sanderling.predict.parts import Parts
from tests.models import classifier, save, token_encoder
from tests.pipeline.nets import any_size, disc, is_red, larger, red_mask, red_or_not, weighed_sum

CLASSIFY = {"task": "classify:mean=0,std=255", "labels": ["red", "not red"], "engine": "litert"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures in two folders, one file that is no picture, and one of another kind."""
    root = tmp_path / "pictures"
    (root / "b").mkdir(parents=True)
    for number in range(12):
        folder = root if number % 2 else root / "b"
        image = disc((90 + number, 70)) if number % 3 else Image.new("RGB", (64, 64 + number), (9, 9, 200))
        image.save(folder / f"{number:02}.png")
    (root / "b" / "05b.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (root / "readme.md").write_text("x")
    return root


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def test_a_row_per_sample_in_the_order_of_names(tmp_path: Path, pictures: Path) -> None:
    model, notes = red_or_not(tmp_path), []
    done = sd.predict(model, pictures, tmp_path / "out.parquet", tell=notes.append, **CLASSIFY)
    found = rows(done.output)
    names = sorted(
        p.relative_to(pictures).as_posix() for p in pictures.rglob("*") if p.suffix in (".png", ".jpg")
    )
    assert [row["sample"] for row in found] == names
    assert (done.samples, done.failed, done.before) == (13, 1, 0)
    assert any("1 files of other kinds" in note for note in notes)
    answers = {a.path.relative_to(pictures).as_posix(): a for a in sd.run(model, str(pictures), **CLASSIFY)}
    for row in found:
        answered = answers[row["sample"]]
        if answered.error is not None:
            assert row["error"] == answered.error.what
            assert row["label"] is None
            assert str(tmp_path) not in row["error"]
            continue
        best = answered.answer.data["classes"]
        assert (row["label"], row["score"], row["class"]) == (
            best[0]["label"],
            best[0]["score"],
            best[0]["class"],
        )
        assert row["labels"] == [each["label"] for each in best]
        assert row["scores"] == [each["score"] for each in best]
        assert row["error"] is None
    assert not list(tmp_path.glob("*.parts")) + list(tmp_path.glob(".*parts*"))


def test_the_metadata_say_what_answered(tmp_path: Path, pictures: Path) -> None:
    import hashlib

    model = red_or_not(tmp_path)
    done = sd.predict(model, pictures, tmp_path / "out.parquet", **CLASSIFY)
    found = json.loads(pq.read_schema(done.output).metadata[b"sanderling"])
    assert found["model"] == {"name": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    assert found["task"]["inputs"] == [{"kind": "image", "mean": [0.0], "std": [255.0]}]
    assert found["task"]["labels"] == ["red", "not red"]
    assert found["engine"] == "litert"
    assert found["samples"]["count"] == 13


def test_masks_are_as_large_as_their_pictures(tmp_path: Path, pictures: Path) -> None:
    done = sd.predict(red_mask(tmp_path), pictures, tmp_path / "out.parquet", task="segment", engine="litert")
    for row in rows(done.output):
        if row["error"] is None:
            with Image.open(pictures / row["sample"]) as image:
                mask = np.reshape(row["mask"], row["mask_shape"])
                assert mask.shape == (image.height, image.width)
                assert np.mean(mask.astype(bool) == is_red(image)) > 0.95


def test_arrays_of_a_shape_that_the_model_fixes(tmp_path: Path) -> None:
    model, x = (
        save(classifier(), tmp_path / "m.tflite"),
        np.random.default_rng(0).normal(size=(20, 12, 12, 1)),
    )
    x = x.astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    done = sd.predict(model, tmp_path / "x.npy", tmp_path / "out.parquet", task="other", engine="litert")
    table = pq.read_table(done.output)
    name = next(n for n in table.column_names if n not in ("sample", "error"))
    shape = json.loads(table.schema.field(name).metadata[b"shape"])
    assert shape == [1, 5]
    assert table.column("sample").to_pylist() == [str(i) for i in range(20)]
    session = sd.Session(model, engine="litert")
    for given, found in zip(x, table.column(name).to_pylist(), strict=True):
        np.testing.assert_array_equal(np.reshape(np.float32(found), shape), session(given[None]))


def test_two_inputs_from_an_npz(tmp_path: Path) -> None:
    model, rng = weighed_sum(tmp_path), np.random.default_rng(0)
    a, b = rng.normal(size=(2, 17, 3)).astype(np.float32)
    np.savez(tmp_path / "ab.npz", b=b, a=a)
    done = sd.predict(model, tmp_path / "ab.npz", tmp_path / "o.parquet", engine="litert", task="other")
    np.testing.assert_array_equal(np.float32([row["sum"] for row in rows(done.output)]), a + b)
    again = sd.predict(model, {"a": a, "b": b}, tmp_path / "p.parquet", engine="litert", task="other")
    assert pq.read_table(again.output).equals(pq.read_table(done.output))


def test_a_table_of_numbers(tmp_path: Path) -> None:
    model = save(classifier(size=6), tmp_path / "m.tflite")
    x = np.random.default_rng(1).normal(size=(9, 36))
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows(x.tolist())
    done = sd.predict(model, tmp_path / "x.csv", tmp_path / "o.parquet", engine="litert", task="classify")
    session = sd.Session(model, engine="litert")
    expected = [int(np.argmax(session(row.reshape(1, 6, 6, 1).astype(np.float32)))) for row in x]
    assert [row["class"] for row in rows(done.output)] == expected


def test_sentences_stand_beside_their_vectors(tmp_path: Path) -> None:
    model = token_encoder(tmp_path)
    (tmp_path / "words.txt").write_text("a gull\n\nthe sea\n")
    done = sd.predict(model, tmp_path / "words.txt", tmp_path / "o.parquet", engine="litert", task="embed")
    found = rows(done.output)
    assert [(row["sample"], row["text"]) for row in found] == [("0", "a gull"), ("1", "the sea")]
    for row in found:
        answer = next(iter(sd.run(model, row["text"], engine="litert", task="embed"))).answer
        np.testing.assert_array_equal(np.float32(row["embedding"]), answer.arrays["embedding"])


def test_texts_of_a_folder_are_answered_line_by_line(tmp_path: Path) -> None:
    model, root = token_encoder(tmp_path), tmp_path / "texts"
    root.mkdir()
    (root / "a.txt").write_text("a gull\nthe sea\n")
    (root / "b.txt").write_bytes(b"\xff\xfe\x00")
    done = sd.predict(model, root, tmp_path / "o.parquet", engine="litert", task="embed")
    found = rows(done.output)
    assert [row["sample"] for row in found] == ["a.txt[0]", "a.txt[1]", "b.txt"]
    assert [row["error"] is None for row in found] == [True, True, False]


def test_pictures_of_any_size(tmp_path: Path, pictures: Path) -> None:
    done = sd.predict(
        any_size(tmp_path), pictures, tmp_path / "o.parquet", task="segment:resize=keep", engine="litert"
    )
    assert done.failed == 1


def test_every_plan_gives_the_same_table(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sanderling.runtime.parallel import mapping
    from sanderling.runtime.parallel.plan import Plan

    tables = []
    model = larger(tmp_path)
    plans = [Plan(1, 1), Plan(3, 1), Plan(2, 1, "processes")]
    for number, plan in enumerate(plans):
        monkeypatch.setattr(mapping, "candidates", lambda cores, plan=plan: [plan])
        done = sd.predict(model, pictures, tmp_path / f"{number}.parquet", task="image", engine="litert")
        assert done.plan == str(plan)
        tables.append(pq.read_table(done.output))
    assert all(table.equals(tables[0]) for table in tables)


def test_other_tables(tmp_path: Path, pictures: Path) -> None:
    model = red_or_not(tmp_path)
    expected = rows(sd.predict(model, pictures, tmp_path / "o.parquet", **CLASSIFY).output)
    lines = sd.predict(model, pictures, tmp_path / "o.jsonl", **CLASSIFY).output.read_text().splitlines()
    assert [json.loads(line) for line in lines] == expected
    with sd.predict(model, pictures, tmp_path / "o.csv", **CLASSIFY).output.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["sample"] for row in found] == [row["sample"] for row in expected]
    assert [json.loads(row["scores"]) if row["scores"] else None for row in found] == [
        row["scores"] for row in expected
    ]
    with pytest.raises(UsageError, match=r"tables ending in '\.xlsx' are not known; give one of \.parquet"):
        sd.predict(model, pictures, tmp_path / "o.xlsx", **CLASSIFY)


def test_nothing_else_gets_into_the_way(tmp_path: Path, pictures: Path) -> None:
    """Another model, other samples, other settings: refused, with what to do; ``again`` begins anew."""
    model, out = red_or_not(tmp_path), tmp_path / "o.parquet"
    sd.predict(model, pictures, out, **CLASSIFY)
    before = out.read_bytes()
    same = sd.predict(model, pictures, out, **CLASSIFY)
    assert (same.before, same.failed, same.reason) == (13, 1, "the table is complete")
    other = red_or_not(tmp_path / "pictures", side=16).rename(tmp_path / "other.tflite")
    with pytest.raises(
        UsageError, match=r"o\.parquet: was begun with another model; give another --output, or"
    ):
        sd.predict(other, pictures, out, **CLASSIFY)
    with pytest.raises(UsageError, match="with other settings"):
        sd.predict(model, pictures, out, **{**CLASSIFY, "labels": ["a", "b"]})
    disc().save(pictures / "new.png")
    with pytest.raises(UsageError, match="with other samples, or they have changed since"):
        sd.predict(model, pictures, out, **CLASSIFY)
    assert out.read_bytes() == before
    assert sd.predict(model, pictures, out, again=True, **CLASSIFY).samples == 14
    (tmp_path / "o.csv").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        sd.predict(model, pictures, tmp_path / "o.csv", **CLASSIFY)
    assert (tmp_path / "o.csv").read_text() == "mine"
    assert not list(tmp_path.glob("*.parts"))


def test_an_interruption_keeps_what_was_answered(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out, asked = red_or_not(tmp_path), tmp_path / "o.parquet", []

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sd.predict(model, pictures, out, progress=stop, **CLASSIFY)
    assert not out.exists()
    assert [path.name for path in Parts(out).paths()] == ["000000000-000000004.parquet"]
    with pytest.raises(UsageError, match=r"o\.parquet\.parts: was begun with other settings"):
        sd.predict(model, pictures, out, **{**CLASSIFY, "task": "classify:top=1,mean=0,std=255"})
    original = Answering.rows

    def watched(self: Answering, chosen: Iterator[int]) -> Iterator[Any]:
        asked.extend(chosen)
        return original(self, list(asked))

    monkeypatch.setattr(Answering, "rows", watched)
    done = sd.predict(model, pictures, out, **CLASSIFY)
    assert asked == list(range(5, 13))
    assert (done.samples, done.before, done.failed) == (13, 5, 1)
    monkeypatch.undo()
    whole = sd.predict(model, pictures, tmp_path / "whole.parquet", **CLASSIFY)
    assert pq.read_table(out).equals(pq.read_table(whole.output))


def test_one_process_at_a_time(tmp_path: Path, pictures: Path) -> None:
    parts = Parts(tmp_path / "o.parquet")
    parts.hold()
    try:
        with pytest.raises(RunError, match="another process is answering into this table"):
            sd.predict(red_or_not(tmp_path), pictures, tmp_path / "o.parquet", **CLASSIFY)
    finally:
        parts.release()
    assert not parts.folder.exists()


def test_a_model_that_fails_on_one_sample(tmp_path: Path) -> None:
    """Token ids beyond the table's end: LiteRT refuses the call, and the others are answered."""
    model = token_encoder(tmp_path)
    (shape,) = {port.type.shape for port in sd.Session(model, engine="litert").inputs}
    ids = np.ones((12, *shape[1:]), np.int32)
    ids[3] = 10**6
    names = [port.name for port in sd.Session(model, engine="litert").inputs]
    given = {name: ids if number == 0 else np.ones_like(ids) for number, name in enumerate(names)}
    done = sd.predict(model, given, tmp_path / "o.parquet", engine="litert", task="other")
    assert [row["error"] is not None for row in rows(done.output)] == [i == 3 for i in range(12)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_what_is_no_file_is_not_opened(tmp_path: Path, pictures: Path) -> None:
    os.mkfifo(pictures / "pipe.png")
    (pictures / "nowhere.png").symlink_to(tmp_path / "missing.png")
    (pictures / "zero.png").symlink_to("/dev/zero")
    done = sd.predict(red_or_not(tmp_path), pictures, tmp_path / "o.parquet", **CLASSIFY)
    errors = {row["sample"]: row["error"] for row in rows(done.output) if row["error"]}
    assert errors["pipe.png"] == errors["zero.png"] == "is no regular file"
    assert "No such file" in errors["nowhere.png"]


def test_without_pyarrow(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sanderling\[parquet\]'"):
        sd.predict(red_or_not(tmp_path), pictures, tmp_path / "o.parquet", **CLASSIFY)
