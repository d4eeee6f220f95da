"""Real models keep their answers through every pipeline, and without operators that an engine may lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sanderling import passes, tflite
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.passes.registry import find
from tests.models import random_inputs, run_litert, save
from tests.passes.rewrites import TOLERANCE, kinds

# Every int8 model of the zoo keeps its integers through all of them.
PIPELINES = {
    "LOSSLESS": (passes.LOSSLESS, 0.0), "PLAIN_WEIGHTS": (passes.PLAIN_WEIGHTS, 0.0),
    "CANONICAL": (passes.CANONICAL, TOLERANCE), "STATIC": (passes.STATIC, TOLERANCE),
}  # fmt: skip
# Of a whole float model whose operators are computed in another way: LiteRT's own kernel sets differ as much.
# (On noise selfie_segmentation answers 1e-8, far down in its LOGISTIC, where the last bit of a logit counts.)
WHOLE_MODEL = 1e-4
LACKING = (
    "Convolution2DTransposeBias", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "PRELU", "SOFTMAX",
    "SQUARED_DIFFERENCE", "TRANSPOSE_CONV",
)  # fmt: skip


class Original:
    """A model of the zoo, an input and LiteRT's answers."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.model = tflite.read(source)
        self.inputs = random_inputs(source)
        self.answers = run_litert(source, *self.inputs)
        self.path = folder / "rewritten.tflite"

    def compare(self, result: Model, tolerance: float, what: str) -> None:
        verify(result)
        path = save(result, self.path)
        for before, after in zip(self.answers, run_litert(path, *self.inputs), strict=True):
            scale = float(np.abs(before).max(initial=0)) if before.dtype.kind == "f" else 0
            message = f"{self.model.name}, {what}"
            np.testing.assert_allclose(after, before, rtol=0, atol=tolerance * scale, err_msg=message)


def test_real_models_keep_their_answers(zoo_dir: Path, tmp_path: Path) -> None:
    for source in sorted((zoo_dir / "tflite").glob("*.tflite")):
        original = Original(source, tmp_path)
        for name, (pipeline, tolerance) in PIPELINES.items():
            result, notes = passes.run(original.model, pipeline)
            # What only unused tensors went from is compared once, by the first pipeline.
            if notes and (name == "LOSSLESS" or set(passes.counted(notes)) - {"drop_dead_code"}):
                original.compare(result, tolerance, name)
        lowered, notes = passes.lower_for(original.model, LACKING)
        if notes:
            original.compare(lowered, WHOLE_MODEL, "lowered")
            done = {find(one).lowers for one in passes.counted(notes)}
            assert not done & set(kinds(lowered))
