"""Real models as ONNX, in ONNX Runtime, against LiteRT (DESIGN section 9's bounds)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from sanderling.engines.registry import find
from sanderling.graph.types import Array, DType
from sanderling.tflite import read
from tests.conformance.test_whole_models import DISCONTINUOUS, FILES
from tests.conformance.tolerances import QUANT_1LSB
from tests.models import computes_with_integers, noise
from tests.onnx.write.running import Exported, single

MODELS = {path.stem: read(path) for path in FILES}
PATHS = {path.stem: path for path in FILES}
FLOATS = [name for name, model in MODELS.items() if not computes_with_integers(model.main)]
INTEGERS = [name for name, m in MODELS.items() if name not in FLOATS and len(m.graphs) == 1]
STREAMING = [name for name in MODELS if name not in (*FLOATS, *INTEGERS)]
CONVOLUTIONAL = [name for name, model in MODELS.items() if any(n.op == "CONV_2D" for n in model.main.nodes)]
# Between two of their convolutions data is reshaped across the channels, or joined with a state that is fed
# and handed back as TFLite has it.
RESHAPED = {"basic_pitch", "okay_nabu_streaming_int8"}
NOISE = 5
pytestmark = pytest.mark.skipif(not FILES, reason="no real models: set SANDERLING_ZOO to a folder of them")


@cache
def exported(name: str) -> Exported:
    return Exported(MODELS[name])


def run_litert(name: str, feed: list[Array], kernels: str) -> list[Array]:
    runner = find("litert").load(PATHS[name], MODELS[name], options={"kernels": kernels})
    try:
        return runner.run(feed)
    finally:
        runner.close()


@pytest.mark.parametrize("name", FLOATS)
def test_float_models(name: str) -> None:
    feed = noise(MODELS[name])
    custom = any(
        node.op == "CUSTOM" for node in MODELS[name].main.nodes
    )  # only XNNPACK has MediaPipe's operator
    got = exported(name).run(feed)
    fast = run_litert(name, feed, "default")
    builtin = fast if custom else run_litert(name, feed, "builtin")
    for mine, wanted, other in zip(got, fast, builtin, strict=True):
        scale = max(1.0, float(np.abs(wanted).max()))
        bound = max(1e-4 * scale, 2 * float(np.abs(wanted - other).max()))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("name", [name for name in INTEGERS if name not in DISCONTINUOUS])
def test_integer_models(name: str) -> None:
    """On average no further from LiteRT's XNNPACK than LiteRT's reference kernels are, or within a step."""
    ours, theirs, worst = [], [], 0.0
    for seed in range(NOISE):
        feed = noise(MODELS[name], seed)
        got = exported(name).run(feed)[0].astype(np.float64)
        fast, exact = (run_litert(name, feed, kernels)[0] for kernels in ("default", "reference"))
        ours.append(np.abs(got - fast).mean())
        theirs.append(np.abs(exact.astype(np.float64) - fast).mean())
        worst = max(worst, float(np.abs(got - fast).max()))
    assert worst <= 1 or np.mean(ours) <= np.mean(theirs)


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_models_operator_by_operator(name: str) -> None:
    """Fed LiteRT's own tensors, every operator is within one step."""
    model = MODELS[name]
    options = {"kernels": "reference", "preserve_tensors": True}
    litert = find("litert").load(PATHS[name], model, options=options)
    litert.run(noise(model))
    for position, node in enumerate(model.main.nodes):
        one = single(model, node)
        got = Exported(one).run([litert.tensor(index) for index in one.main.inputs])
        for mine, index in zip(got, node.outputs, strict=True):
            try:
                QUANT_1LSB.check(mine, litert.tensor(index))
            except AssertionError as error:
                raise AssertionError(f"operator {position} ({node.kind}): {error}") from None


@pytest.mark.parametrize("name", STREAMING)
def test_streaming_models_keep_their_state(name: str) -> None:
    model, rng = MODELS[name], np.random.default_rng(0)
    ours, litert = Exported(model), find("litert").load(PATHS[name], model)
    assert ours.states
    for _ in range(20):
        frame = noise(model, rng)
        for mine, wanted in zip(ours.run(frame), litert.run(frame), strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=0, atol=1)


@pytest.mark.parametrize("name", MODELS)
def test_names_and_types_are_kept(name: str) -> None:
    model, session = MODELS[name], exported(name).session
    ports = {port.name: port.type for port in session.get_inputs()}
    for port, index in zip(model.input_names(), model.main.inputs, strict=True):
        kind = model.main.tensors[index].dtype
        assert ports[port] == f"tensor({'float' if kind is DType.FLOAT32 else kind.value})"
    assert exported(name).outputs == model.output_names()


@pytest.mark.parametrize("name", MODELS)
def test_an_open_batch_stays_open(name: str) -> None:
    model = MODELS[name]
    shapes = {port.name: port.shape for port in exported(name).session.get_inputs()}
    opened = [model.main.tensors[i].shape_signature[:1] == (-1,) for i in model.main.inputs]
    assert [shapes[n][0] == "batch" for n in model.input_names()] == opened
    if not all(opened):
        return
    first, second = (noise(model, seed) for seed in (1, 2))
    both = exported(name).run([np.concatenate(pair) for pair in zip(first, second, strict=True)])
    for mine, one, two in zip(both, exported(name).run(first), exported(name).run(second), strict=True):
        apart = np.abs(mine.astype(np.float64) - np.concatenate([one, two])).max()
        assert apart <= (1e-5 * max(1.0, float(np.abs(mine).max())) if mine.dtype.kind == "f" else 1)


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONAL if name not in RESHAPED])
def test_no_transpose_stays_between_convolutions(name: str) -> None:
    """From convolution to convolution no Transpose may be met, whatever lies between."""
    nodes = exported(name).proto.graph.node
    makers = {output: node for node in nodes for output in node.output}
    seen: set[tuple[str, bool]] = set()

    def before(node: onnx.NodeProto, moved: bool) -> None:
        for source in node.input:
            maker = makers.get(source)
            if maker is None or (source, moved) in seen:
                continue
            seen.add((source, moved))
            if maker.op_type == "Conv":
                assert not moved, f"a Transpose between {maker.name} and the next convolution"
            else:
                before(maker, moved or maker.op_type == "Transpose")

    for node in nodes:
        if node.op_type == "Conv":
            before(node, False)


@pytest.mark.parametrize("name", ["mobilenet_v2_224_int8", "mobilenet_v2_224_uint8", "mlperf_tiny_vww_int8"])
def test_integers_stay_integers(name: str, tmp_path: Path) -> None:
    """ONNX Runtime makes an integer kernel of every convolution, sum and matrix product."""
    if name not in MODELS:
        pytest.skip(f"no {name}.tflite")
    Exported(MODELS[name], optimised=tmp_path / "optimised.onnx")
    kernels = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    wanted = [node.op for node in MODELS[name].main.nodes if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    assert kernels.count("QLinearConv") == len(wanted)
    assert not {"Conv", "Gemm", "MatMul", "Add"} & set(kernels)
