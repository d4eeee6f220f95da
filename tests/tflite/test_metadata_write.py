"""What is written of a model is read back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.tflite import read, write
from sanderling.tflite.metadata import METADATA, ModelMetadata, TensorMetadata, label_names, read_metadata
from sanderling.tflite.metadata_write import with_metadata
from tests.models import Net

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4).map(tuple)


@st.composite
def tensors(draw: st.DrawFn) -> TensorMetadata:
    content = draw(st.sampled_from(["", "feature", "image", "bounding_box", "audio"]))
    audio = content == "audio"
    mean = draw(st.just(()) | FLOATS)
    ends = draw(st.just(()) | FLOATS)
    return TensorMetadata(
        draw(TEXT), draw(TEXT), content, mean, mean, ends, ends,
        draw(st.integers(0, 2**32 - 1)) if audio else 0, draw(st.integers(0, 8)) if audio else 0,
        tuple(draw(st.lists(TEXT.filter(bool), max_size=2))),
    )  # fmt: skip


@settings(max_examples=60)
@given(TEXT, TEXT, st.lists(tensors(), max_size=3), st.lists(tensors(), max_size=3))
def test_what_is_written_is_read(
    name: str, description: str, inputs: list[TensorMetadata], outputs: list[TensorMetadata]
) -> None:
    metadata = ModelMetadata(name, description, tuple(inputs), tuple(outputs))
    assert read_metadata(with_metadata(Net((1, 8)).dense(4).model(), metadata, {})) == metadata


@pytest.fixture
def described() -> ModelMetadata:
    return ModelMetadata("n", "", (TensorMetadata("x"),), (TensorMetadata("y", label_files=("labels.txt",)),))


def test_labels_are_packed_behind_the_model(described: ModelMetadata, tmp_path: Path) -> None:
    model = with_metadata(Net((1, 8)).dense(2).model(), described, {"labels.txt": "Hündin\ncat\n".encode()})
    write(model, tmp_path / "m.tflite")
    back = read(tmp_path / "m.tflite")
    assert label_names(back) == ("Hündin", "cat")
    assert read_metadata(back) == described
    again = with_metadata(back, described, {"labels.txt": "Hündin\ncat\n".encode()})
    np.testing.assert_array_equal(again.appended, model.appended)  # the same every time


def test_other_metadata_stays(described: ModelMetadata) -> None:
    model = Net((1, 8)).dense(2).model()
    other = ("min_runtime_version", np.frombuffer(b"1.5.0", np.uint8))
    found = with_metadata(replace(model, metadata=(other, (METADATA, other[1]))), described, {})
    assert [name for name, _ in found.metadata] == ["min_runtime_version", METADATA]
    assert read_metadata(found) == described
