"""The models that are compressed, each with its samples and its judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recovery import material, pictures, scores, sentences
from benchmarks.recovery.material import Maker
from benchmarks.recovery.scores import Judge


@dataclass(frozen=True)
class Subject:
    """A model that is compressed.

    Attributes:
        name: of the model.
        find: finds its file; the folder given holds models that no package has.
        material: makes its samples.
        judge: compares answers.
        allowed: the drop that is asked for.
        transformer: peers have ways of their own for those.
    """

    name: str
    find: Callable[[Path], Path]
    material: Maker
    judge: Judge
    allowed: float
    transformer: bool = False

    @property
    def pictures(self) -> bool:
        """Whether its samples are pictures."""
        return not self.transformer


def _zoo(name: str) -> Callable[[Path], Path]:
    def find(_: Path) -> Path:
        from sanderling.verbs.find import find_zoo_model

        return find_zoo_model(name)

    return find


def _beside(file: str) -> Callable[[Path], Path]:
    return lambda models: models / file


SUBJECTS = (
    Subject(
        "efficientnet_lite0", _zoo("efficientnet_lite0"),
        material.classified_pictures(224, lesson=96, mean=127, std=128), scores.ACCURACY, 0.006,
    ),
    Subject(
        "mlperf_tiny_resnet8", _beside("mlperf_tiny_resnet8_cifar10_fp32.tflite"),
        material.cifar(500), scores.ACCURACY, 0.005,
    ),
    Subject("digits", _zoo("digits"), material.digits(2000, 500), scores.ACCURACY, 0.005),
    Subject(
        "face_landmark_fp32", _beside("face_landmark_fp32.tflite"),
        pictures.seen(192, 0, 255, lambda outputs: outputs[1].item() > 0, boxes=pictures.faces),
        scores.points(3, depth=True), 0.01,
    ),
    Subject(
        "selfie_segmentation", _zoo("selfie_segmentation"),
        pictures.seen(256, 0, 255, pictures.person),
        scores.masks(), 0.03,
    ),
    Subject(
        "pose_landmark_lite", _beside("pose_landmark_lite.tflite"),
        pictures.seen(256, 0, 255, lambda outputs: outputs[1].item() > 0.5, boxes=pictures.people),
        scores.points(5, depth=True), 0.01,
    ),
    Subject(
        "deeplabv3_257_mv_gpu", _beside("deeplabv3_257_mv_gpu.tflite"),
        pictures.seen(257, 127.5, 127.5, lambda outputs: (outputs[0].argmax(axis=-1) > 0).mean() > 0.02),
        scores.classes(), 0.03,
    ),
    Subject(
        "minilm", _zoo("minilm"), sentences.vader(lesson=3000, calibrate=64, judged=300), scores.COSINE, 0.01,
        transformer=True,
    ),
)  # fmt: skip


def named(name: str) -> Subject:
    """Returns: the subject of that name.

    Raises:
        SystemExit: there is none.
    """
    for subject in SUBJECTS:
        if subject.name == name:
            return subject
    raise SystemExit(f"there is no model {name!r}; there are {', '.join(s.name for s in SUBJECTS)}")
