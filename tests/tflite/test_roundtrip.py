"""Reading and writing keep everything: what LiteRT answers, and what travels with the model."""

from __future__ import annotations

import importlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import tflite
from sanderling.errors import FormatError, StorageError
from sanderling.graph.constant import decode, pack
from sanderling.graph.equal import difference
from sanderling.graph.graph import Model, Sparsity, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.graph.verify import verify
from tests.models import classifier, random_inputs, run_litert, save


def with_zip(model: Model, files: dict[str, str]) -> Model:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for name, text in files.items():
            target.writestr(name, text)
    return replace(model, appended=np.frombuffer(archive.getvalue(), np.uint8))


def test_written_model_reads_back_equal(tmp_path: Path) -> None:
    model = replace(
        classifier(), metadata=(("note", np.arange(40, dtype=np.uint8)), ("empty", np.empty(0, np.uint8)))
    )
    back = tflite.read(save(model, tmp_path / "m.tflite"))
    assert difference(tflite.read(save(back, tmp_path / "again.tflite")), back) == ""
    assert back.signatures == model.signatures
    assert back.description == model.description
    assert [(n, d.tolist()) for n, d in back.metadata] == [(n, d.tolist()) for n, d in model.metadata]
    verify(back)


def test_appended_zip_survives_a_change_of_size(tmp_path: Path) -> None:
    model = with_zip(classifier(), {"labels.txt": "a\nb\n", "deep/notes.txt": "hello" * 99})
    first = save(model, tmp_path / "first.tflite")
    longer = replace(tflite.read(first), description="x" * 5000)
    second = save(longer, tmp_path / "second.tflite")
    with zipfile.ZipFile(second) as archive:
        assert archive.namelist() == ["labels.txt", "deep/notes.txt"]
        assert archive.read("labels.txt") == b"a\nb\n"
        assert archive.testzip() is None
    assert run_litert(second, *random_inputs(second))[0].shape == (1, 5)


def test_empty_zip_survives(tmp_path: Path) -> None:
    path = save(with_zip(classifier(), {}), tmp_path / "m.tflite")
    assert tflite.read(path).appended.size == 22
    assert zipfile.is_zipfile(path)


def test_buffers_are_aligned_and_shared(tmp_path: Path) -> None:
    weights = np.arange(1000, dtype=np.float32)
    model = classifier()
    tensors = [*model.main.tensors]
    shared = TensorType((1000,), DType.FLOAT32)
    tensors += [Tensor("a", shared, weights), Tensor("b", shared, weights)]
    path = save(model.with_main(replace(model.main, tensors=tuple(tensors))), tmp_path / "m.tflite")
    a, b = tflite.read(path).main.tensors[-2:]
    assert a.data is not None
    assert b.data is not None
    address = a.data.__array_interface__["data"][0]
    assert address == b.data.__array_interface__["data"][0], "one buffer for both"
    assert address % 16 == 0
    assert path.stat().st_size < save(model, tmp_path / "s.tflite").stat().st_size + 4000 + 600


@given(st.sampled_from([DType.INT4, DType.INT2, DType.UINT4]), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_packed_integers_decode_to_what_was_packed(dtype: DType, size: int, seed: int) -> None:
    low, high = (
        (0, 1 << dtype.bits) if dtype is DType.UINT4 else (-(1 << dtype.bits - 1), 1 << dtype.bits - 1)
    )
    values = np.random.default_rng(seed).integers(low, high, size).astype(dtype.numpy)
    tensor = Tensor("t", TensorType((size,), dtype), pack(values, dtype))
    assert decode(tensor).tolist() == values.tolist()


def test_sparse_matrix_decodes(tmp_path: Path) -> None:
    # [[1, 0, 0], [0, 0, 2]], rows dense, columns compressed
    sparsity = Sparsity(
        (0, 1), (), ((2, None, None), (3, np.array([0, 1, 2], np.int32), np.array([0, 2], np.int32)))
    )
    tensor = Tensor("s", TensorType((2, 3), DType.FLOAT32), np.array([1, 2], np.float32), sparsity=sparsity)
    assert decode(tensor).tolist() == [[1, 0, 0], [0, 0, 2]]
    model = classifier()
    model = model.with_main(replace(model.main, tensors=(*model.main.tensors, tensor)))
    back = tflite.read(save(model, tmp_path / "m.tflite")).main.tensors[-1]
    assert decode(back).tolist() == [[1, 0, 0], [0, 0, 2]]


def test_block_sparse_matrix_decodes() -> None:
    # 4 x 4 in 2 x 2 blocks; only the block at (1, 0) is stored
    sparsity = Sparsity(
        (0, 1, 2, 3),
        (0, 1),
        (
            (2, None, None),
            (2, np.array([0, 0, 1], np.int32), np.array([0], np.int32)),
            (2, None, None),
            (2, None, None),
        ),
    )
    values = np.array([1, 2, 3, 4], np.float32)
    dense = decode(Tensor("s", TensorType((4, 4), DType.FLOAT32), values, sparsity=sparsity))
    expected = np.zeros((4, 4))
    expected[2:, :2] = [[1, 2], [3, 4]]
    assert dense.tolist() == expected.tolist()


def test_quantization_survives(tmp_path: Path) -> None:
    per_channel = Quant(np.array([0.5, 0.25], np.float32), np.zeros(2, np.int64), axis=0, dimension=0)
    extra = (
        Tensor("q", TensorType((2, 3), DType.INT8, per_channel), np.ones((2, 3), np.int8)),
        Tensor("z", TensorType((3,), DType.UINT8, Quant.of(0.1, 128)), np.zeros(3, np.uint8)),
    )
    model = classifier()
    model = model.with_main(replace(model.main, tensors=(*model.main.tensors, *extra)))
    back = tflite.read(save(model, tmp_path / "m.tflite")).main.tensors[-2:]
    assert back[0].quant == per_channel
    assert back[1].quant == Quant.of(0.1, 128)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "empty"),
        (b"short", "not a .tflite"),
        (b"PK\x03\x04" + bytes(100), "not a .tflite"),
        (b"\x10\0\0\0TFL3", "byte"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=words) as caught:
        tflite.read(path)
    assert str(path) in str(caught.value)


def test_a_newer_schema_is_said_to_be_newer(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    data = bytearray(path.read_bytes())
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    version = root + int.from_bytes(data[vtable + 4 : vtable + 6], "little")
    data[version : version + 4] = (9).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FormatError, match="schema version 9"):
        tflite.read(path)


def test_nothing_half_written_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importlib.import_module("sanderling.tflite.write"), "_stream", full)
    with pytest.raises(StorageError, match="No space left"):
        tflite.write(classifier(seed=1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]


def test_real_models_answer_bit_identically_after_a_round_trip(zoo_dir: Path, tmp_path: Path) -> None:
    files = sorted((zoo_dir / "tflite").glob("*.tflite"))
    assert files
    for source in files:
        model = tflite.read(source)
        verify(model)
        copy = save(model, tmp_path / "copy.tflite")
        back = tflite.read(copy)
        assert difference(model, back) == "", source.name
        assert _zip_names(copy) == _zip_names(source), source.name
        inputs = random_inputs(source)
        for a, b in zip(run_litert(source, *inputs), run_litert(copy, *inputs), strict=True):
            assert a.tobytes() == b.tobytes(), source.name


def _zip_names(path: Path) -> list[str] | None:
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()
