"""Our recipes. To add one is a line: a name, its steps, and the seeds that it is tried with.

Long training is given in steps, of so many as the minutes allowed hold on two quiet cores: they come to the
same on a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sanderling.compress.recipe import Recipe, Step

ONCE = (0,)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Ours:
    """One of our recipes.

    Attributes:
        name: for the page.
        steps: as in ``best.json``; the word "$seed" among the settings becomes the seed.
        seeds: what it is tried with: several where it trains.
        subjects: the models that it is meant for; empty: all.
        engine: of ours that runs what is made, on one thread.
    """

    name: str
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    seeds: tuple[int, ...] = ONCE
    subjects: tuple[str, ...] = ()
    engine: str = "litert"

    def recipe(self, seed: int) -> Recipe:
        """Returns: what is applied."""
        return Recipe(
            self.name,
            tuple(
                Step(technique, {key: seed if value == "$seed" else value for key, value in settings.items()})
                for technique, settings in self.steps
            ),
        )


_LEARNED = {"calibration": "mse", "rounding": "learned"}
_FOUR_BITS = {"mode": "static", "weights": "octav", "rounding": "learned"}
_SEEDED = {"seed": "$seed"}
_HARD = ("face_landmark_fp32", "selfie_segmentation", "pose_landmark_lite", "deeplabv3_257_mv_gpu")
_EFFICIENTNET, _RESNET, _DIGITS, _MINILM = "efficientnet_lite0", "mlperf_tiny_resnet8", "digits", "minilm"

OURS = (
    Ours("static int8 (min-max)", (("static_int8", {"calibration": "minmax"}),)),
    Ours("static int8 (MSE)", (("static_int8", {"calibration": "mse"}),)),
    Ours("static int8 (entropy)", (("static_int8", {"calibration": "entropy"}),)),
    Ours("static int8 (99.99 %)", (("static_int8", {"calibration": "percentile", "percentile": 99.99}),)),
    Ours("dynamic int8", (("dynamic_int8", {}),)),
    Ours("static int8 (MSE), learned rounding", (("static_int8", _LEARNED),)),
    Ours(
        "equalized, static int8 (MSE), learned rounding",
        (("equalize", {}), ("static_int8", _LEARNED)),
        subjects=(*_HARD, _EFFICIENTNET),
    ),
    Ours(
        "static int8 (MSE), learned rounding, trained 6 min",
        (("static_int8", {**_LEARNED, **_SEEDED, "minutes": 6}),),
        subjects=("pose_landmark_lite", "deeplabv3_257_mv_gpu"),
    ),
    Ours(
        "float, rewritten, in OpenVINO",
        (("rewrite", {}),),
        subjects=("selfie_segmentation",),
        engine="openvino",
    ),
    Ours(
        "rewritten, equalized, static int8 (MSE), learned rounding, in OpenVINO",
        (("rewrite", {}), ("equalize", {}), ("static_int8", _LEARNED)),
        subjects=("selfie_segmentation",),
        engine="openvino",
    ),
    Ours("4-bit weights, learned rounding", (("int4_weights", _FOUR_BITS),), subjects=(_EFFICIENTNET,)),
    Ours(
        "4-bit weights but 15 % in 8 bits, learned rounding",
        (("int4_weights", {**_FOUR_BITS, "eight_bit_share": 0.15}),),
        subjects=(_EFFICIENTNET,),
    ),
    Ours(
        "slim 90 %, 12,000 steps of training, static int8",
        (
            ("slim", {"keep": 0.9}),
            ("recover", {**_SEEDED, "minutes": 120, "steps": 12_000, "batch": 64}),
            ("static_int8", {"rounding": "learned"}),
        ),
        SEEDS,
        (_RESNET,),
    ),
    Ours("16 shared values, static int8", (("share", {}), ("static_int8", {})), subjects=(_RESNET, _DIGITS)),
    Ours(
        "30 % zeros, 16 shared values, static int8",
        (("prune", {"sparsity": 0.3, "encode": False}), ("share", {}), ("static_int8", {})),
        subjects=(_RESNET,),
    ),
    Ours("90 % zeros", (("prune", {"sparsity": 0.9}),), subjects=(_DIGITS,)),
    Ours(
        "slim 15 %, trained 2 min, static int8",
        (
            ("slim", {"keep": 0.15}),
            ("recover", {**_SEEDED, "minutes": 2, "batch": 64}),
            ("static_int8", {"rounding": "learned"}),
        ),
        SEEDS,
        (_DIGITS,),
    ),
    Ours(
        "3 of 6 layers, 3,900 steps of training",
        (
            ("shorten", {"keep": [0, 2, 5]}),
            ("recover", {**_SEEDED, "minutes": 120, "steps": 3_900, "batch": 12}),
        ),
        SEEDS,
        (_MINILM,),
    ),
)
