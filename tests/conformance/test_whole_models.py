"""Real models on the reference engine, from end to end and operator by operator, against LiteRT.

Bounds: LiteRT's own kernels differ from each other, so a float model may be as far from one set as twice the
distance between two; every operator of an integer model, fed LiteRT's own tensors, is within one step.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.reference.execute import Step
from sanderling.engines.registry import find
from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.tflite import read
from tests.conformance.tolerances import QUANT_1LSB
from tests.models import computes_with_integers, noise

ZOO = Path(os.environ.get("SANDERLING_ZOO") or Path(__file__).parents[2] / "../shared/zoo") / "tflite"
FILES = sorted(ZOO.glob("*.tflite"))
NEEDS_CUSTOM = {"selfie_segmentation": "Convolution2DTransposeBias"}
# Random noise takes this one's arg-max to other places with every rounding: only its operators are compared.
DISCONTINUOUS = {"movenet_lightning_int8"}


MODELS = {path.stem: read(path) for path in FILES if path.stem not in NEEDS_CUSTOM}
FLOATS = [name for name, model in MODELS.items() if not computes_with_integers(model.main)]
# Those with several graphs keep a state: they are run frame by frame.
INTEGERS = [name for name, m in MODELS.items() if name not in FLOATS and len(m.graphs) == 1]
STREAMING = [name for name in MODELS if name not in (*FLOATS, *INTEGERS)]
pytestmark = pytest.mark.skipif(not FILES, reason=f"no real models at {ZOO}: set SANDERLING_ZOO to a folder")


def run_litert(path: Path, model: Model, feed: list[Array], kernels: str) -> list[Array]:
    runner = find("litert").load(path, model, options={"kernels": kernels})
    try:
        return runner.run(feed)
    finally:
        runner.close()


@pytest.mark.parametrize("name", FLOATS)
def test_float_models_from_end_to_end(name: str) -> None:
    path, model = ZOO / f"{name}.tflite", MODELS[name]
    feed = noise(model)
    ours = find("reference").load(path, model).run(feed)
    builtin, fast = (run_litert(path, model, feed, kernels) for kernels in ("builtin", "default"))
    for mine, wanted, other in zip(ours, builtin, fast, strict=True):
        assert mine.shape == wanted.shape
        scale = max(1.0, float(np.abs(wanted).max()))
        bound = max(1e-4 * scale, 2 * float(np.abs(wanted - other).max()))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=bound)


class Comparison:
    """Compares every operator of the main graph, fed LiteRT's own tensors, with what LiteRT made of them."""

    def __init__(self, path: Path, model: Model) -> None:
        options = {"kernels": "reference", "preserve_tensors": True}
        self.model = model
        self.litert = find("litert").load(path, model, options=options)
        self.ours = find("reference").load(path, model)
        self.compared = 0

    def run(self, feed: list[Array]) -> list[Array]:
        """Returns: our outputs, which must be LiteRT's own."""
        wanted = self.litert.run(feed)
        got = self.ours.run(feed, observe=self._compare)
        for mine, right in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(mine, right)
        return got

    def _compare(self, step: Step) -> list[Array] | None:
        if step.graph != 0 or step.node.op == "VAR_HANDLE":
            return None
        theirs = [self.litert.tensor(index) for index in step.node.outputs]
        for mine, right in zip(step.outputs, theirs, strict=True):
            try:
                QUANT_1LSB.check(mine, right)
            except AssertionError as error:
                raise AssertionError(f"operator {step.position} ({step.node.kind}): {error}") from None
        self.compared += 1
        return theirs


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_models_operator_by_operator(name: str) -> None:
    comparison = Comparison(ZOO / f"{name}.tflite", MODELS[name])
    comparison.run(noise(MODELS[name]))
    assert comparison.compared == len(MODELS[name].main.nodes)


@pytest.mark.parametrize("name", [name for name in INTEGERS if name not in DISCONTINUOUS])
def test_integer_models_from_end_to_end(name: str) -> None:
    """As near to LiteRT's reference kernels as these are to XNNPACK's, or a step."""
    path, model = ZOO / f"{name}.tflite", MODELS[name]
    feed = noise(model)
    ours = find("reference").load(path, model).run(feed)
    exact, fast = (run_litert(path, model, feed, kernels) for kernels in ("reference", "default"))
    for mine, wanted, other in zip(ours, exact, fast, strict=True):
        apart = np.abs(wanted.astype(np.float64) - other).max()
        assert np.abs(mine.astype(np.float64) - wanted).max() <= max(1.0, apart)


@pytest.mark.parametrize("name", STREAMING)
def test_streaming_models_keep_their_state(name: str) -> None:
    path, model, rng = ZOO / f"{name}.tflite", MODELS[name], np.random.default_rng(0)
    comparison = Comparison(path, model)
    frames = [noise(model, rng) for _ in range(20)]
    for frame in frames:
        comparison.run(frame)
    free, litert = find("reference").load(path, model), find("litert").load(path, model)
    answers = [free.run(frame) for frame in frames]
    for got, frame in zip(answers, frames, strict=True):
        np.testing.assert_array_equal(got, litert.run(frame))
    free.reset()
    np.testing.assert_array_equal([free.run(frame) for frame in frames], answers)


@pytest.mark.parametrize("name", NEEDS_CUSTOM)
def test_what_cannot_run_is_named(name: str) -> None:
    path = ZOO / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    with pytest.raises(UnsupportedOperator, match=NEEDS_CUSTOM[name]):
        find("reference").load(path, read(path))


@pytest.mark.parametrize("name", MODELS)
def test_every_other_real_model_is_taken(name: str) -> None:
    refused = [verdict.reason for verdict in find("reference").supports(MODELS[name]) if not verdict]
    assert refused == []
