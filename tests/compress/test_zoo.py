"""Real models: every technique gives a model that is near the float one, or says in one sentence why not."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import RecipeError
from sanderling.tflite import read
from tests.models import run_litert

# The least ratio of signal to error in dB on smooth pictures: (static, dynamic, weight-only, float16).
# None: the technique has nothing to do there (weights are float16 already).
MODELS: dict[str, tuple[float, float, float, float | None]] = {
    "face_landmark_fp32": (22, 30, 35, 50),  # 23 PRELU
    "mlperf_tiny_vww_fp32": (18, 25, 25, 50),  # depthwise
    "rock_paper_scissors_fp32": (25, 30, 30, 50),  # deprecated opcodes only
    "face_detection_short_range": (10, 15, 18, None),  # float16 behind DEQUANTIZE, appended zip
    "ssd_mobilenetv2_oidv4_fp16": (12, 18, 20, None),  # dead channels whose bias overflows int32
}


def pictures(shape: tuple[int, ...], count: int, seed: int) -> list[np.ndarray]:
    """Smooth random pictures in 0..1."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        coarse = rng.random((shape[0], 6, 6, shape[3]))
        rows = np.linspace(0, 5, shape[1]).round().astype(int)
        columns = np.linspace(0, 5, shape[2]).round().astype(int)
        fine = coarse[:, rows][:, :, columns] + 0.05 * rng.standard_normal(shape)
        made.append(np.clip(fine, 0, 1).astype(np.float32))
    return made


def zipped(file: Path) -> list[str] | None:
    """Names of the files in the zip behind a model, None when there is no zip."""
    if not zipfile.is_zipfile(file):
        return None
    with zipfile.ZipFile(file) as archive:
        return archive.namelist()


def sqnr(expected: list[np.ndarray], got: list[np.ndarray]) -> float:
    power = sum(float(np.square(e, dtype=np.float64).sum()) for e in expected)
    error = sum(float(np.square(e - g, dtype=np.float64).sum()) for e, g in zip(expected, got, strict=True))
    return 10 * np.log10(power / max(error, 1e-30))


@pytest.mark.parametrize("name", MODELS)
def test_real_models(zoo_dir: Path, tmp_path: Path, name: str) -> None:
    source = zoo_dir / "tflite" / f"{name}.tflite"
    model = read(source)
    shape = model.main.tensors[model.main.inputs[0]].shape
    feed = model.input_names()[0]
    calibration = save_feeds(({feed: x} for x in pictures(shape, 4, 0)), tmp_path)
    inputs = pictures(shape, 2, 1)
    expected = [run_litert(source, x)[0] for x in inputs]
    for technique, least in zip(
        ("static_int8", "dynamic_int8", "weight_only_int8", "float16"), MODELS[name], strict=True
    ):
        out = tmp_path / f"{technique}.tflite"
        recipe = Recipe(technique, (Step(technique, {}),))
        if least is None:
            with pytest.raises(RecipeError, match="float16 or integers already"):
                apply(recipe, source, out, calibration=calibration)
            continue
        apply(recipe, source, out, calibration=calibration)
        assert sqnr(expected, [run_litert(out, x)[0] for x in inputs]) > least, technique
        made = read(out)
        assert made.input_names() == model.input_names()
        assert made.output_names() == model.output_names()
        assert zipped(out) == zipped(source)
        assert (technique == "float16") or any(t.type.is_quantized for t in made.main.tensors)


@pytest.mark.parametrize("name", ["mlperf_tiny_resnet8_cifar10_int8", "mobilenet_v2_224_uint8"])
def test_quantized_models_are_refused(zoo_dir: Path, tmp_path: Path, name: str) -> None:
    settings: dict[str, Any] = {}
    for technique in ("dynamic_int8", "weight_only_int8", "int4_weights"):
        with pytest.raises(RecipeError, match="already quantized"):
            apply(
                Recipe("r", (Step(technique, settings),)),
                zoo_dir / "tflite" / f"{name}.tflite",
                tmp_path / "x.tflite",
            )
