"""Real models on the engines of others, from end to end and operator by operator, against LiteRT.

Bounds as for the reference engine (``test_whole_models``). Through ONNX every operator is compared in
``tests/onnx/write/test_zoo.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.engine import Runner
from sanderling.engines.registry import find
from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.tflite import read, write
from tests.conformance.test_whole_models import DISCONTINUOUS, FILES
from tests.conformance.tolerances import QUANT_1LSB
from tests.models import computes_with_integers, noise
from tests.onnx.write.running import single

ENGINES = ("onnxruntime", "openvino")
PATHS = {path.stem: path for path in FILES}
MODELS = {name: read(path) for name, path in PATHS.items()}
FLOATS = [name for name, model in MODELS.items() if not computes_with_integers(model.main)]
INTEGERS = [name for name, m in MODELS.items() if name not in FLOATS and len(m.graphs) == 1]
STREAMING = [name for name in MODELS if name not in (*FLOATS, *INTEGERS)]
# Engine → model → what it refuses it for.
REFUSED = {
    "openvino": {
        "okay_nabu_streaming_int8": "CALL_ONCE: OpenVINO keeps no state",
        "selfie_segmentation": "no translator for the custom operator Convolution2DTransposeBias",
    },
    "onnxruntime": {},
}
NOISE = 5
pytestmark = pytest.mark.skipif(not FILES, reason="no real models: set SANDERLING_ZOO to a folder of them")


def cases(names: list[str]) -> list[tuple[str, str]]:
    return [(engine, name) for engine in ENGINES for name in names if name not in REFUSED[engine]]


def loaded(engine: str, name: str) -> Runner:
    ready = find(engine).available()
    if not ready:
        pytest.skip(ready.reason)
    assert all(find(engine).supports(MODELS[name]))
    return find(engine).load(PATHS[name], MODELS[name])


def litert(name: str, kernels: str) -> Runner:
    return find("litert").load(PATHS[name], MODELS[name], options={"kernels": kernels})


@pytest.mark.parametrize("engine, name", cases(FLOATS))
def test_float_models(engine: str, name: str) -> None:
    feed = noise(MODELS[name])
    got, fast = loaded(engine, name).run(feed), litert(name, "default").run(feed)
    custom = any(node.op == "CUSTOM" for node in MODELS[name].main.nodes)  # XNNPACK alone has these
    builtin = fast if custom else litert(name, "builtin").run(feed)
    for mine, wanted, other in zip(got, fast, builtin, strict=True):
        assert mine.shape == wanted.shape
        scale = max(1.0, float(np.abs(wanted).max()))
        bound = max(1e-4 * scale, 2 * float(np.abs(wanted - other).max()))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("engine, name", cases([name for name in INTEGERS if name not in DISCONTINUOUS]))
def test_integer_models(engine: str, name: str) -> None:
    """On average no further from LiteRT's XNNPACK than LiteRT's reference kernels are, or within a step."""
    ours, theirs, worst = [], [], 0.0
    runner, fast, exact = loaded(engine, name), litert(name, "default"), litert(name, "reference")
    for seed in range(NOISE):
        feed = noise(MODELS[name], seed)
        got, wanted, other = (each.run(feed)[0].astype(np.float64) for each in (runner, fast, exact))
        ours.append(np.abs(got - wanted).mean())
        theirs.append(np.abs(other - wanted).mean())
        worst = max(worst, float(np.abs(got - wanted).max()))
    assert worst <= 1 or np.mean(ours) <= np.mean(theirs)


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_models_operator_by_operator(name: str, tmp_path: Path) -> None:
    """Fed LiteRT's own tensors, OpenVINO's operators are within one step."""
    engine, model = find("openvino"), MODELS[name]
    if not engine.available():
        pytest.skip(engine.available().reason)
    options = {"kernels": "reference", "preserve_tensors": True}
    theirs = find("litert").load(PATHS[name], model, options=options)
    theirs.run(noise(model))
    for position, node in enumerate(model.main.nodes):
        one, path = single(model, node), tmp_path / f"{position}.tflite"
        write(one, path)
        got = engine.load(path, one).run([theirs.tensor(index) for index in one.main.inputs])
        for mine, index in zip(got, node.outputs, strict=True):
            try:
                QUANT_1LSB.check(mine, theirs.tensor(index))
            except AssertionError as error:
                raise AssertionError(f"operator {position} ({node.kind}): {error}") from None


@pytest.mark.parametrize("engine, name", cases(STREAMING))
def test_streaming_models_keep_their_state(engine: str, name: str) -> None:
    rng = np.random.default_rng(0)
    frames = [noise(MODELS[name], rng) for _ in range(20)]
    runner, wanted = loaded(engine, name), litert(name, "default")

    def answers() -> list[list[Array]]:
        return [runner.run(frame) for frame in frames]

    first = answers()
    for mine, frame in zip(first, frames, strict=True):
        np.testing.assert_allclose(mine[0], wanted.run(frame)[0], rtol=0, atol=1)
    runner.reset()
    np.testing.assert_array_equal(answers(), first)


@pytest.mark.parametrize("engine, name", [(engine, name) for engine in REFUSED for name in REFUSED[engine]])
def test_what_is_refused_is_named(engine: str, name: str) -> None:
    if not find(engine).available():
        pytest.skip(find(engine).available().reason)
    if name not in MODELS:
        pytest.skip(f"no {name}.tflite")
    with pytest.raises(UnsupportedOperator, match=REFUSED[engine][name]):
        find(engine).load(PATHS[name], MODELS[name])
    assert not all(find(engine).supports(MODELS[name]))
