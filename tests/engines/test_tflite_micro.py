"""TFLite Micro: what it says about operators is what its library does, its arena, its state."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.registry import find
from sanderling.engines.tflite_micro.operators import CUSTOM_KERNELS, KERNELS, supported
from sanderling.errors import InputMismatch, ModelError, UnsupportedOperator, UsageError
from sanderling.graph.constant import pack
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.tflite import read
from tests.conformance.test_conformance import RUN
from tests.conformance.variants import FLOAT
from tests.engines import models
from tests.models import noise

ENGINE, LITERT = find("tflite_micro"), find("litert")
INTEGERS = (DType.INT32, DType.INT64, DType.BOOL, DType.UINT8, DType.INT16, DType.INT8)
pytestmark = pytest.mark.skipif(not ENGINE.available(), reason=ENGINE.available().reason)

# A kernel is looked up for every operator before anything is done with the first. Behind the one in question
# stands one that is known to be missing, so that loading ends there. VAR_HANDLE is left out: Python's side
# reads its options before that.
PROBE = """
import json, sys
import flatbuffers
from ai_edge_litert import schema_py_generated as s
from tflite_micro.python.tflite_micro import runtime

def vector(b, start, items):
    start(b, len(items))
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()

def code_of(b, code, custom=None):
    name = None if custom is None else b.CreateString(custom)
    s.OperatorCodeStart(b)
    s.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
    s.OperatorCodeAddBuiltinCode(b, code)
    s.OperatorCodeAddVersion(b, 1)
    if name is not None:
        s.OperatorCodeAddCustomCode(b, name)
    return s.OperatorCodeEnd(b)

def model(code, custom=None):
    b = flatbuffers.Builder(256)
    made = [code_of(b, code, custom), code_of(b, s.BuiltinOperator.DENSIFY)]
    codes = vector(b, s.ModelStartOperatorCodesVector, made)
    s.BufferStart(b)
    buffers = vector(b, s.ModelStartBuffersVector, [s.BufferEnd(b)])
    s.OperatorStartInputsVector(b, 0)
    nothing = b.EndVector()
    operators = []
    for index in range(2):
        s.OperatorStart(b)
        s.OperatorAddOpcodeIndex(b, index)
        s.OperatorAddInputs(b, nothing)
        s.OperatorAddOutputs(b, nothing)
        operators.append(s.OperatorEnd(b))
    operators = vector(b, s.SubGraphStartOperatorsVector, operators)
    tensors = vector(b, s.SubGraphStartTensorsVector, [])
    s.SubGraphStart(b)
    s.SubGraphAddTensors(b, tensors)
    s.SubGraphAddInputs(b, nothing)
    s.SubGraphAddOutputs(b, nothing)
    s.SubGraphAddOperators(b, operators)
    graphs = vector(b, s.ModelStartSubgraphsVector, [s.SubGraphEnd(b)])
    s.ModelStart(b)
    s.ModelAddVersion(b, 3)
    s.ModelAddOperatorCodes(b, codes)
    s.ModelAddSubgraphs(b, graphs)
    s.ModelAddBuffers(b, buffers)
    b.Finish(s.ModelEnd(b), b"TFL3")
    return bytes(b.Output())

def ask(name, *args):
    print("asked", name, file=sys.stderr, flush=True)
    try:
        runtime.Interpreter.from_bytes(model(*args), arena_size=1 << 16)
    except RuntimeError:
        pass

for name, code in vars(s.BuiltinOperator).items():
    if not name.startswith("_") and name not in ("CUSTOM", "VAR_HANDLE"):
        ask(name, code)
for name in json.loads(sys.argv[1]):
    ask(name, s.BuiltinOperator.CUSTOM, name)
"""

# Runs files in the library itself, whatever the engine says of them.
DIRECT = """
import json, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
for path in json.loads(sys.stdin.read()):
    print(path, end=" ", flush=True)
    try:
        interpreter = runtime.Interpreter.from_file(path, arena_size=1 << 22)
        with np.load(path + ".npz") as fed:
            for index in range(len(fed.files)):
                interpreter.set_input(fed[f"arr_{index}"], index)
        interpreter.invoke()
        print("ran", flush=True)
    except RuntimeError:
        print("refused", flush=True)
"""


def test_names_agree_with_the_library() -> None:
    others = ["Mfcc", "AudioSpectrogram", "Convolution2DTransposeBias", "MaxUnpooling2D", "NoSuchThing"]
    command = [sys.executable, "-c", PROBE, json.dumps([*sorted(CUSTOM_KERNELS), *others])]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found: dict[str, bool] = {}
    for block in shown.split("asked ")[1:]:
        name, _, log = block.partition("\n")
        # It says either that it has none for the one in question, or for the one behind it.
        found[name] = "'DENSIFY'" in log and name != "DENSIFY"
    assert len(found) > 200
    assert {name for name, yes in found.items() if yes} == (KERNELS | CUSTOM_KERNELS) - {"VAR_HANDLE"}


def said_by_the_library(paths: list[str]) -> dict[str, str]:
    """Returns: file → ``ran``, ``refused`` or ``crashed``."""
    said: dict[str, str] = {}
    left = paths
    while left:  # the process ends where the library crashes
        command, fed = [sys.executable, "-c", DIRECT], json.dumps(left)
        done = subprocess.run(command, input=fed, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            path, _, answer = line.partition(" ")
            said[path] = answer or "crashed"
        left = [path for path in left if path not in said]
    return said


def test_what_is_refused_fails_in_the_library(tmp_path: Path) -> None:
    """Over all of the conformance suite's models. That those that are taken run is the suite's to show."""
    refused: list[str] = []
    for variant in RUN:
        model, fed = variant.build()
        if all(ENGINE.supports(model)):
            continue
        path = models.save(model, tmp_path, f"{len(refused)}")
        np.savez(f"{path}.npz", *fed)
        refused.append(str(path))
    assert len(refused) > 500
    said = said_by_the_library(refused)
    assert [path for path, answer in said.items() if answer == "ran"] == []
    assert 1 <= list(said.values()).count("crashed") <= 5


def retyped(model: Model, dtype: DType) -> Model:
    """Returns: the model with another type, without a scale, in the place of float32."""

    def changed(tensor: Tensor) -> Tensor:
        if tensor.dtype is not DType.FLOAT32:
            return tensor
        data = None if tensor.data is None else np.ones(tensor.data.shape, dtype.numpy)
        return replace(tensor, type=replace(tensor.type, dtype=dtype), data=data)

    return model.with_main(replace(model.main, tensors=tuple(map(changed, model.main.tensors))))


@pytest.mark.parametrize(
    "dtype", [DType.INT32, DType.INT64, DType.BOOL, DType.UINT8, DType.INT16, DType.INT8]
)
def test_other_types_are_refused_where_the_library_has_none(dtype: DType, tmp_path: Path) -> None:
    """And nothing that is taken ends the process."""
    taken: dict[str, bool] = {}
    for variant in (v for v in RUN if v.kind == FLOAT and v.op.name in KERNELS):
        model, fed = variant.build()
        other = retyped(model, dtype)
        if all(a is b for a, b in zip(model.main.tensors, other.main.tensors, strict=True)):
            continue
        path = models.save(other, tmp_path, f"{len(taken)}-{variant.id}")
        same = [np.asarray(array) for array in fed]
        np.savez(
            f"{path}.npz", *(np.ones(a.shape, dtype.numpy) if a.dtype == np.float32 else a for a in same)
        )
        taken[str(path)] = all(ENGINE.supports(other))
    assert 10 < sum(taken.values()) < len(taken)
    said = said_by_the_library(list(taken))
    assert [path for path, answer in said.items() if answer == "ran" and not taken[path]] == []
    assert [path for path, answer in said.items() if answer == "crashed" and taken[path]] == []


def test_dequantizing_by_channels_takes_the_first_scale(tmp_path: Path) -> None:
    """A known wrong answer, which a microcontroller would give as well."""
    quant = Quant(np.array([0.5, 2.0], np.float32), np.zeros(2, np.int64), axis=1)
    tensors = (
        Tensor("x", TensorType((1, 2), DType.INT8, quant)),
        Tensor("y", TensorType((1, 2), DType.FLOAT32)),
    )
    model = Model((Graph(tensors, (Node("DEQUANTIZE", (0,), (1,)),), (0,), (1,)),))
    path, fed = models.save(model, tmp_path), [np.array([[10, 10]], np.int8)]
    assert LITERT.load(path, model).run(fed)[0].tolist() == [[5, 20]]
    assert ENGINE.load(path, model).run(fed)[0].tolist() == [[5, 5]]


@pytest.mark.parametrize(
    "node, reason",
    [
        (Node("TOPK_V2", (), ()), "TFLite Micro has no kernel for TOPK_V2"),
        (Node(CUSTOM, (), (), custom_code="Mfcc"), "no kernel for the custom operator Mfcc"),
    ],
)
def test_a_refusal_says_why(node: Node, reason: str) -> None:
    verdict = supported(Graph((), (node,), (), ()), node)
    assert not verdict
    assert reason in verdict.reason


def test_types_are_refused_before_anything_is_loaded(zoo_dir: Path) -> None:
    for name, reason in (
        ("mobilenet_v2_224_uint8", "no kernel for CONV_2D on uint8"),
        ("mlperf_tiny_kws_fp32", "multiplies float tensors by float weights only"),
        ("face_landmark_fp16", "no kernel for DEQUANTIZE on float16"),
    ):
        path = zoo_dir / "tflite" / f"{name}.tflite"
        with pytest.raises(UnsupportedOperator, match=reason):
            ENGINE.load(path, read(path))


@pytest.mark.parametrize(
    "name",
    [
        "mlperf_tiny_kws_int8",
        "mlperf_tiny_vww_int8",
        "mlperf_tiny_resnet8_cifar10_int8",
        "face_landmark_fp32",
    ],
)
def test_real_models_answer_as_litert_does(name: str, zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / f"{name}.tflite"
    model = read(path)
    fed = noise(model)
    mine, theirs = ENGINE.load(path, model), LITERT.load(path, model, options={"kernels": "reference"})
    for got, wanted in zip(mine.run(fed), theirs.run(fed), strict=True):
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * max(1.0, float(np.abs(wanted).max())))
        else:
            assert int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 1
    mine.close()


def test_a_streaming_model_keeps_its_state_and_can_be_reset(zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    model = read(path)
    mine, theirs = ENGINE.load(path, model), LITERT.load(path, model, options={"kernels": "reference"})
    frame = [np.full((1, 3, 40), -88, np.int8)]
    answers = [int(mine.run(frame)[0][0, 0]) for _ in range(60)]
    wanted = [int(theirs.run(frame)[0][0, 0]) for _ in range(60)]
    assert len(set(wanted)) > 2  # the same frame again and again: only the state tells them apart
    assert max(abs(a - b) for a, b in zip(answers, wanted, strict=True)) <= 1
    mine.reset()
    assert [int(mine.run(frame)[0][0, 0]) for _ in range(60)] == answers
    mine.close()


def test_variables_of_resource_type_are_reset_too(tmp_path: Path) -> None:
    model = models.running_sum()
    runner = ENGINE.load(models.save(model, tmp_path), model)
    ones = np.ones((1, 4), np.float32)
    for _ in range(2):
        assert [float(runner.run([ones])[0][0, 0]) for _ in range(3)] == [1, 2, 3]
        runner.reset()
    runner.close()


def test_the_arena_is_what_the_library_recorded(zoo_dir: Path) -> None:
    """It grows with what must be held at once, and an arena of that size is enough, one of half is not."""
    path = zoo_dir / "tflite" / "mlperf_tiny_kws_int8.tflite"
    runner = ENGINE.load(path, read(path))
    arena = runner.arena_bytes
    runner.close()
    # The two largest tensors that are held at once: 25 × 5 × 64 bytes each, in and out of a convolution.
    assert 2 * 25 * 5 * 64 < arena < 4 * 25 * 5 * 64
    code = (
        "import sys; from tflite_micro.python.tflite_micro import runtime; "
        "runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).invoke()"
    )

    def works(size: int) -> bool:
        command = [sys.executable, "-c", code, str(path), str(size)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    recording = 4096  # what the recorder itself takes, besides
    assert works(arena + recording)
    assert not works(arena // 2)


def test_a_model_is_not_given_an_arena_that_crashes_it(zoo_dir: Path) -> None:
    """64 KiB end the process on this one: its quantization alone takes more, which is not checked."""
    path = zoo_dir / "tflite" / "mobilenet_v2_224_int8.tflite"
    runner = ENGINE.load(path, read(path))
    assert 1.5e6 < runner.arena_bytes < 1.8e6
    runner.close()


def test_other_shapes_and_options_are_answered_in_a_sentence(tmp_path: Path) -> None:
    model = models.add_one()
    path = models.save(model, tmp_path)
    runner = ENGINE.load(path, model)
    with pytest.raises(
        InputMismatch, match=r"shape \[3x4\], expected \[1x4\]; TFLite Micro runs the file's own"
    ):
        runner.run([np.ones((3, 4), np.float32)])
    runner.close()
    with pytest.raises(UsageError, match="has no option 'kernels'"):
        ENGINE.load(path, model, options={"kernels": "reference"})
    with pytest.raises(UsageError, match="float32, got precision 'float16'"):
        ENGINE.load(path, model, options={"precision": "float16"})
    with pytest.raises(ModelError, match="there is no such file"):
        ENGINE.load(tmp_path / "gone.tflite", model)


def test_four_bit_weights_with_a_scale_for_each_channel_are_refused(tmp_path: Path) -> None:
    """In FULLY_CONNECTED, where the library refuses them too; with one scale for all it takes them."""
    for scales, taken in ((np.array([0.5, 0.25], np.float32), False), (np.array([0.5], np.float32), True)):
        quant = Quant(scales, np.zeros(scales.size, np.int64), axis=0 if scales.size > 1 else None)
        weights = TensorType((2, 4), DType.INT4, quant)
        tensors = (
            Tensor("x", TensorType((1, 4), DType.INT8, Quant.of(0.1))),
            Tensor("w", weights, pack(np.array([[1, -2, 3, 4], [5, -6, 7, -8]], np.int8), DType.INT4)),
            Tensor("y", TensorType((1, 2), DType.INT8, Quant.of(1.0))),
        )
        attrs = {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": False}
        node = Node("FULLY_CONNECTED", (0, 1, -1), (2,), attrs, "FullyConnectedOptions")
        model = Model((Graph(tensors, (node,), (0,), (2,)),))
        path = models.save(model, tmp_path, f"{scales.size}")
        x = np.array([[10, 20, 30, 40]], np.int8)
        np.savez(f"{path}.npz", x)
        assert bool(ENGINE.supports(model)[0]) is taken
        assert (said_by_the_library([str(path)])[str(path)] == "ran") is taken
        if taken:
            runner = ENGINE.load(path, model)
            # 0.1 · 0.5 · Σ x·w: (10 − 40 + 90 + 160) and (50 − 120 + 210 − 320), rounded.
            np.testing.assert_allclose(runner.run([x])[0], [[11, -9]], atol=0)
            runner.close()


def test_more_than_ten_tensors_are_not_joined(tmp_path: Path) -> None:
    kind = TensorType((1, 2), DType.INT8, Quant.of(0.5))
    for count, taken in ((10, True), (11, False)):
        tensors = (
            *(Tensor(f"x{i}", kind) for i in range(count)),
            Tensor("y", TensorType((1, 2 * count), DType.INT8, Quant.of(0.5))),
        )
        attrs = {"axis": 1, "fused_activation_function": "NONE"}
        node = Node("CONCATENATION", tuple(range(count)), (count,), attrs, "ConcatenationOptions")
        model = Model((Graph(tensors, (node,), tuple(range(count)), (count,)),))
        path = models.save(model, tmp_path, f"{count}")
        np.savez(f"{path}.npz", *(np.zeros((1, 2), np.int8) for _ in range(count)))
        assert bool(ENGINE.supports(model)[0]) is taken
        assert (said_by_the_library([str(path)])[str(path)] == "ran") is taken
