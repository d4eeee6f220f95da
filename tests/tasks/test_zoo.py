"""Real models: the task that is seen in them, and the normalisation that their inputs get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.litert.engine import LiteRT
from sanderling.graph.types import Array
from sanderling.measure.fidelity import compare
from sanderling.samples.load import Run, load_samples
from sanderling.tasks.guess import guess_task
from sanderling.tflite import read

TASKS = {
    "rock_paper_scissors_fp32": "classify",
    "mlperf_tiny_resnet8_cifar10_fp32": "classify",
    "mlperf_tiny_vww_fp32": "classify",
    "mlperf_tiny_kws_int8": "classify",
    "keyword_on_off_fp32": "classify",
    "okay_nabu_streaming_int8": "classify",
    "mobilenet_v2_224_uint8": "classify",
    "face_landmark_fp16": "landmarks",
    "hand_landmark_full": "landmarks",
    "pose_landmark_lite": "landmarks",
    "movenet_lightning_int8": "landmarks",
    "selfie_segmentation": "segment",
    "deeplabv3_257_mv_gpu": "segment",
    "ssd_mobilenetv2_oidv4_fp16": "detect",
    "face_detection_short_range": "detect",
    "face_detection_full_range_sparse": "detect",
    "basic_pitch": "other",
    "mlperf_tiny_anomaly_fp32": "other",
}
RANGES = {
    "deeplabv3_257_mv_gpu": (-1, 1),
    "face_detection_short_range": (-1, 1),
    "ssd_mobilenetv2_oidv4_fp16": (-1, 1),
    "face_landmark_fp16": (0, 1),
    "face_landmark_fp32": (0, 1),
    "hand_landmark_full": (0, 1),
    "pose_landmark_lite": (0, 1),
    "selfie_segmentation": (0, 1),
    "mlperf_tiny_vww_fp32": (0, 1),
    "mlperf_tiny_resnet8_cifar10_fp32": (0, 255),
    "mlperf_tiny_resnet8_cifar10_int8": (-128, 127),
    "mobilenet_v2_224_uint8": (0, 255),
}


def runner(path: Path) -> Run:
    loaded = LiteRT().load(path, read(path))

    def run(feed: dict[str, Array]) -> list[Array]:
        answers = []
        for port, value in zip(loaded.outputs, loaded.run(list(feed.values())), strict=True):
            quant = port.quant
            real = value
            if quant is not None and quant.scale.size and value.dtype.kind in "iu":
                real = (value.astype(np.float32) - quant.zero_point) * quant.scale
            answers.append(np.asarray(real))
        return answers

    return run


@pytest.fixture(scope="module")
def photos(zoo_dir: Path) -> Path:
    folder = zoo_dir.parent / "data" / "photos"
    if not folder.is_dir():
        pytest.skip(f"no photos at {folder}")
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_task(zoo_dir: Path, photos: Path, name: str) -> None:
    path = zoo_dir / "tflite" / f"{name}.tflite"
    model, run = read(path), runner(path)
    pictures = model.main.tensors[model.main.inputs[0]].shape[-1] in (1, 3) and "kws" not in name
    source = photos if pictures and "pitch" not in name else None
    samples = load_samples(source, model, count_synthetic=6, run=run)
    answers = [run(samples[i]) for i in range(len(samples))]
    task = guess_task(model, answers)
    assert task.name == TASKS[name], task.why
    result = compare(task, answers, answers, output_names=model.output_names())
    assert result.drop == pytest.approx(0, abs=1e-9)
    assert result.failure == ""


@pytest.mark.parametrize("name", RANGES)
def test_range_of_the_input(zoo_dir: Path, photos: Path, name: str) -> None:
    path = zoo_dir / "tflite" / f"{name}.tflite"
    model = read(path)
    samples = load_samples(photos, model, run=runner(path))
    values = np.concatenate(
        [next(iter(samples[i].values())).astype(float).reshape(-1) for i in range(len(samples))]
    )
    low, high = RANGES[name]
    span = high - low
    assert (values.min(), values.max()) == (
        pytest.approx(low, abs=0.05 * span),
        pytest.approx(high, abs=0.05 * span),
    )


def test_labelled_pictures(zoo_dir: Path) -> None:
    folder = zoo_dir.parent / "data" / "imagenet600"
    if not folder.is_dir():
        pytest.skip(f"no labelled pictures at {folder}")
    path = zoo_dir / "tflite" / "mobilenet_v2_224_uint8.tflite"
    model, run = read(path), runner(path)
    samples = load_samples(folder, model, limit=40)
    answers = [run(samples[i]) for i in range(len(samples))]
    labels = [samples.label(i) for i in range(len(samples))]
    task = guess_task(model, answers[:4], labels=labels)
    result = compare(task, answers, answers, labels)
    assert result.metric == "loss of top-1 accuracy, paired"
    assert result.value > 0.7
