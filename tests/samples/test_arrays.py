"""Arrays, tables and noise as samples."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling.errors import SampleError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import DType, Quant
from sanderling.samples.load import load_samples
from sanderling.samples.samples import split
from tests.samples.models import model, picture_model, tensor

RNG = np.random.default_rng(0)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(2, 6),
    st.sampled_from(["batch axis", "no batch axis"]),
)
def test_rows_with_and_without_batch_axis(body: list[int], count: int, form: str) -> None:
    rows = RNG.normal(size=(count, *body)).astype(np.float32)
    given_rows = rows[:, None] if form == "batch axis" else rows
    samples = load_samples(given_rows, model(tensor("x", (1, *body))))
    if form == "no batch axis" and tuple(rows.shape) == tuple(body):
        return  # as many rows as the first axis: one sample alone, by definition
    assert len(samples) == count
    for index in range(count):
        np.testing.assert_array_equal(samples[index]["x"], rows[index][None])


@given(hnp.arrays(np.float64, (3, 5), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_values_that_are_not_finite_never_pass(rows: np.ndarray) -> None:
    finite = np.isfinite(rows).all(axis=1)
    spec = model(tensor("x", (1, 5)))
    if not finite.all():
        with pytest.raises(SampleError, match=f"{3 - finite.sum()} of 3 rows .* row {finite.argmin()}"):
            load_samples({"x": rows}, spec)
        return
    with np.errstate(over="ignore"):
        fits = np.isfinite(rows.astype(np.float32)).all(axis=1)
    if not fits[0]:
        with pytest.raises(SampleError):
            load_samples({"x": rows}, spec)
        return
    samples = load_samples({"x": rows}, spec)
    for index, good in enumerate(fits):
        if good:
            assert np.isfinite(samples[index]["x"]).all()
        else:
            with pytest.raises(SampleError, match=f"row {index}"):
                samples[index]


def test_mnist_like_arrays_get_channel_and_normalisation() -> None:
    digits = RNG.integers(0, 256, (5, 28, 28)).astype(np.uint8)
    samples = load_samples(digits, picture_model(28, 28, 1))
    assert len(samples) == 5
    np.testing.assert_allclose(samples[2]["image"][0, :, :, 0], digits[2] / 255, atol=1e-6)
    assert any("GUESS" in note for note in samples.notes)
    flat = load_samples(digits.reshape(5, 784), picture_model(28, 28, 1))
    np.testing.assert_array_equal(flat[2]["image"], samples[2]["image"])
    assert len(load_samples(digits[0], picture_model(28, 28, 1))) == 1


def test_cifar_like_arrays_and_other_layouts() -> None:
    pictures = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    nhwc = load_samples(pictures, picture_model(32, 32), scale=1.0)
    np.testing.assert_array_equal(nhwc[1]["image"][0], pictures[1])
    chw = load_samples(np.moveaxis(pictures, 3, 1), picture_model(32, 32), scale=1.0)
    np.testing.assert_array_equal(chw[1]["image"], nhwc[1]["image"])
    nchw = load_samples(pictures, model(tensor("image", (1, 3, 32, 32))), scale=1.0)
    np.testing.assert_array_equal(np.moveaxis(nchw[1]["image"], 1, 3), nhwc[1]["image"])
    small = load_samples(pictures, picture_model(16, 16), scale=1.0)
    assert small[0]["image"].shape == (1, 16, 16, 3)
    assert any("resized to 16x16" in note for note in small.notes)
    one = load_samples(pictures[0], picture_model(16, 16), scale=1.0)
    assert len(one) == 1


def test_float_pictures_are_fed_as_they_are_with_a_word() -> None:
    pictures = RNG.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    samples = load_samples(pictures, picture_model(32, 32))
    np.testing.assert_array_equal(samples[3]["image"][0], pictures[3])
    assert any("fed as they are" in note for note in samples.notes)
    assert not load_samples(pictures / 255, picture_model(32, 32)).notes
    given_ones = load_samples(pictures, picture_model(32, 32), std=255.0)
    np.testing.assert_allclose(given_ones[3]["image"][0], pictures[3] / 255, rtol=1e-6)
    resized = load_samples(pictures, picture_model(16, 16))
    assert 100 < resized[0]["image"].mean() < 155


def test_npz_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    x = RNG.normal(size=(6, 4)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(6, dtype=np.uint8), classes=np.array(["a", "b"]))
    samples = load_samples(path, model(tensor("input_1", (1, 4))))
    assert samples.labels == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(samples[5]["input_1"][0], x[5])
    assert any("'y' are the labels" in note for note in samples.notes)


def test_npz_prefers_held_out_data(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(
        path, x_train=np.zeros((9, 4)), y_train=np.zeros(9), x_test=np.ones((3, 4)), y_test=np.full(3, 2)
    )
    samples = load_samples(path, model(tensor("i", (1, 4))))
    assert len(samples) == 3
    assert samples.labels == [2, 2, 2]


def test_npz_of_several_inputs(tmp_path: Path) -> None:
    two = model(tensor("serving_default_ids:0", (1, 3), DType.INT32), tensor("mask", (1, 3), DType.INT32))
    ids, mask = np.arange(6).reshape(2, 3), np.ones((2, 3), np.int64)
    np.savez(tmp_path / "named.npz", mask=mask, ids=ids)
    np.savez(tmp_path / "placed.npz", a=ids, b=mask, labels=[4, 5])
    named = load_samples(tmp_path / "named.npz", two)
    np.testing.assert_array_equal(named[1]["serving_default_ids:0"], ids[1:])
    assert named[1]["mask"].dtype == np.int32
    placed = load_samples(tmp_path / "placed.npz", two)
    np.testing.assert_array_equal(placed[1]["serving_default_ids:0"], ids[1:])
    assert placed.labels == [4, 5]
    assert any("by position" in note for note in placed.notes)
    with pytest.raises(SampleError, match="holds ids"):
        load_samples({"ids": ids}, two)
    with pytest.raises(SampleError, match="different numbers of rows"):
        load_samples({"ids": ids, "mask": mask[:1]}, two)


def test_files_that_are_damaged_or_hold_objects(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4nonsense")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\1\0")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], object), allow_pickle=True)
    for name in ("bad.npz", "bad.npy", "objects.npy"):
        with pytest.raises(SampleError, match=r"cannot read the|never read"):
            load_samples(tmp_path / name, model(tensor("x", (1, 4))))


def test_shapes_that_do_not_fit_say_so() -> None:
    with pytest.raises(
        SampleError, match=r"shape \[5, 7\] does not fit input 'x', which takes float32\[1,4\]"
    ):
        load_samples(np.zeros((5, 7)), model(tensor("x", (1, 4))))
    with pytest.raises(SampleError, match="values from -3 to 300"):
        load_samples(np.array([[-3, 300]]), model(tensor("x", (1, 2), DType.UINT8)))
    with pytest.raises(SampleError, match="whole numbers"):
        load_samples(np.array([[0.5, 1.0]]), model(tensor("x", (1, 2), DType.INT32)))


def test_free_sizes_take_the_samples_own() -> None:
    free = model(tensor("x", (1, 1), signature=(-1, -1)))
    samples = load_samples(np.zeros((3, 17)), free)
    assert len(samples) == 3
    assert samples[0]["x"].shape == (1, 17)


def test_quantized_inputs_take_real_values_and_stored_ones() -> None:
    spec = model(tensor("x", (1, 3), DType.INT8, Quant.of(0.5, 10)))
    real = load_samples(np.array([[0.0, 1.0, -100.0]]), spec)
    np.testing.assert_array_equal(real[0]["x"], [[10, 12, -128]])
    stored = load_samples(np.array([[1, 2, 3]], np.int8), spec)
    np.testing.assert_array_equal(stored[0]["x"], [[1, 2, 3]])


def test_csv_rows(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,b,label\n1,2,5\n3,4.5,6\n")
    samples = load_samples(path, model(tensor("x", (1, 2))))
    np.testing.assert_array_equal(samples[1]["x"], [[3, 4.5]])
    assert samples.labels == [5, 6]
    path.write_text("1;2\n3;4\n")
    np.testing.assert_array_equal(load_samples(path, model(tensor("x", (1, 2))))[0]["x"], [[1, 2]])
    two = model(tensor("x", (1, 1)), tensor("y", (1, 1)))
    np.testing.assert_array_equal(load_samples(path, two)[1]["y"], [[4]])
    path.write_text("1,2\n3,x\n")
    with pytest.raises(SampleError, match="row 2 holds 'x'"):
        load_samples(path, model(tensor("x", (1, 2))))
    path.write_text("1,2,3\n")
    with pytest.raises(SampleError, match="3 columns of numbers, the model takes 2 for 'x'"):
        load_samples(path, model(tensor("x", (1, 2))))
    path.write_text("file,label\na.png,3\n")
    with pytest.raises(SampleError, match="lists files"):
        load_samples(path, model(tensor("x", (1, 2))))


def test_label_files(tmp_path: Path) -> None:
    spec, rows, path = model(tensor("x", (1, 2))), np.zeros((3, 2)), tmp_path / "l.csv"
    for text in ("4\n5\n6\n", "label\n4\n5\n6\n", "index,label\n2,6\n0,4\n1,5\n", "2,6\n1,5\n0,4\n"):
        path.write_text(text)
        assert load_samples(rows, spec, labels=str(path)).labels == [4, 5, 6]
    path.write_text("0,4\n2,6\n")
    with pytest.raises(SampleError, match="1 samples have no label, the first is number 1"):
        load_samples(rows, spec, labels=path)
    path.write_text("cat\ndog\ncat\n")
    samples = load_samples(rows, spec, labels=path)
    assert samples.labels == ["cat", "dog", "cat"]
    assert any("accuracy cannot be computed" in note for note in samples.notes)
    with pytest.raises(SampleError, match="got 2 labels for 3 samples"):
        load_samples(rows, spec, labels=[1, 2])


def test_npy_folder(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.full((49, 10), number, np.float32))
    samples = load_samples(tmp_path, model(tensor("mfcc", (1, 49, 10, 1))))
    assert len(samples) == 3
    assert samples[2]["mfcc"].shape == (1, 49, 10, 1)
    assert float(samples[2]["mfcc"].mean()) == 2
    assert samples.thumbnail(1)


def test_synthetic_noise_is_loud_and_repeatable() -> None:
    spec = picture_model(32, 32)
    first, second = (load_samples(None, spec, count_synthetic=5) for _ in range(2))
    assert first.synthetic
    assert len(first) == 5
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first[3]["image"], second[3]["image"])
    assert first.notes[0].startswith("SYNTHETIC NOISE")
    assert load_samples(None, spec, count_synthetic=5, seed=1).fingerprint != first.fingerprint
    assert not np.array_equal(first[0]["image"], first[1]["image"])


def test_synthetic_tokens_stay_within_the_vocabulary() -> None:
    tensors = (
        tensor("ids", (1, 16), DType.INT32),
        tensor("table", (5, 4), data=np.zeros((5, 4), np.float32)),
        tensor("y", (1, 16, 4)),
    )
    graph = Graph(tensors, (Node("GATHER", (1, 0), (2,), {"axis": 0}),), (0,), (2,))
    samples = load_samples(None, Model((graph,)))
    tokens = np.concatenate([samples[i]["ids"] for i in range(len(samples))])
    assert tokens.min() == 0
    assert tokens.max() == 4


def test_stateful_models_are_fed_in_order() -> None:
    graph = Graph((tensor("x", (1, 4)), tensor("y", (1, 4))), (Node("VAR_HANDLE", (), (1,)),), (0,), (1,))
    samples = load_samples(np.zeros((30, 4)), Model((graph,)), limit=12)
    assert samples.sequential
    assert samples.indices == tuple(range(12))
    parts = split(samples)
    assert parts.calibrate.indices + parts.search.indices + parts.confirm.indices == tuple(range(12))


def test_samples_travel_to_another_process() -> None:
    samples = load_samples(RNG.normal(size=(4, 3)), model(tensor("x", (1, 3))))
    samples[0]
    copy = pickle.loads(pickle.dumps(samples))
    np.testing.assert_array_equal(copy[2]["x"], samples[2]["x"])
    assert copy.fingerprint == samples.fingerprint


def test_what_was_read_is_kept_and_cannot_be_spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def count(row: np.ndarray) -> np.ndarray:
        calls.append(1)
        return row

    rows = RNG.normal(size=(4, 3)).astype(np.float32)
    samples = load_samples(rows, model(tensor("x", (1, 3))), preprocess=count)
    for _ in range(3):
        samples[1]
    assert len(calls) == 2  # row 0 at loading, row 1 once
    with pytest.raises(ValueError, match="read-only"):
        samples[1]["x"][:] = 0
    rows[1] = 7  # the user's own array stays theirs
    monkeypatch.setattr("sanderling.samples.reader.CACHE_BYTES", 0)
    uncached = load_samples(rows, model(tensor("x", (1, 3))), preprocess=count)
    before = len(calls)
    uncached[2], uncached[2]
    assert len(calls) == before + 2


def test_a_scalar_input_is_fed_a_scalar() -> None:
    quantized = tensor("q", (), DType.INT8, Quant(np.array([0.5]), np.array([3])))
    inputs = (tensor("f", ()), tensor("i", (), DType.INT32), quantized)
    for samples in (
        load_samples(None, model(*inputs), count_synthetic=2),
        load_samples({"f": np.ones(2), "i": np.ones(2, np.int64), "q": np.ones(2)}, model(*inputs)),
    ):
        assert {name: (value.shape, value.dtype) for name, value in samples[1].items()} == {
            "f": ((), np.float32), "i": ((), np.int32), "q": ((), np.int8)
        }  # fmt: skip
