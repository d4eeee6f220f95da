"""What real models say about themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.tflite import read
from sanderling.tflite.metadata import label_names, read_metadata


@pytest.mark.parametrize(
    "name, mean, std",
    [
        ("face_detection_short_range", (127.5,), (127.5,)),
        ("hand_landmark_full", (0.0,) * 3, (255.0,) * 3),
        ("mobilenet_v2_224_uint8", (127.5,), (127.5,)),
    ],
)
def test_normalisation(zoo_dir: Path, name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    metadata = read_metadata(read(zoo_dir / "tflite" / f"{name}.tflite"))
    assert metadata is not None
    assert metadata.inputs[0].content == "image"
    assert (metadata.inputs[0].mean, metadata.inputs[0].std) == (mean, std)


def test_labels(zoo_dir: Path) -> None:
    names = label_names(read(zoo_dir / "tflite" / "mobilenet_v2_224_uint8.tflite"))
    assert names is not None
    assert len(names) == 1001
    assert names[0] == "background"
    assert read_metadata(read(zoo_dir / "tflite" / "mlperf_tiny_kws_fp32.tflite")) is None
