"""Real models as ONNX and back: what the importer makes of what the exporter writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.convert.conversion import Wishes
from sanderling.convert.onnx import CONVERTER
from sanderling.engines.registry import find
from sanderling.graph.graph import Model
from sanderling.onnx.write import export
from sanderling.tflite import read, write
from tests.models import noise

# Small ones of each kind: pictures, sound, float16 and sparse weights, integers, open batches.
NAMES = (
    "face_detection_short_range", "keyword_on_off_fp32", "mlperf_tiny_anomaly_int8",
    "mlperf_tiny_resnet8_cifar10_int8", "mlperf_tiny_vww_int8", "mobilenet_v2_224_int8",
    "rock_paper_scissors_fp32", "selfie_segmentation",
)  # fmt: skip


def run(path: Path, model: Model) -> list[np.ndarray]:
    runner = find("litert").load(path, model)
    try:
        return runner.run(noise(model))
    finally:
        runner.close()


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    first = read(zoo_dir / "tflite" / f"{name}.tflite")
    (tmp_path / "model.onnx").write_bytes(export(first))
    again = CONVERTER.convert(tmp_path / "model.onnx", Wishes()).model
    write(again, tmp_path / "again.tflite")
    assert again.input_names() == first.input_names()
    assert again.output_names() == first.output_names()
    wanted, got = run(zoo_dir / "tflite" / f"{name}.tflite", first), run(tmp_path / "again.tflite", again)
    for mine, right in zip(got, wanted, strict=True):
        assert mine.dtype == right.dtype
        bound = 1e-5 * max(1.0, float(np.abs(right).max())) if mine.dtype.kind == "f" else 1
        np.testing.assert_allclose(mine.astype(np.float64), right.astype(np.float64), rtol=0, atol=bound)
    assert "TRANSPOSE" not in {node.op for node in again.main.nodes}
