"""Every example that ONNX gives of its operators: answered as it says, or refused in a sentence."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sanderling.errors import SanderlingError
from sanderling.onnx.read.registry import rules
from tests.onnx.oracle import assert_alike, both, by_litert, imported

# Operators that have no counterpart: their examples are refused.
NOT_MAPPED = {
    "Adagrad", "Adam", "AffineGrid", "ArrayFeatureExtractor", "Attention", "Bernoulli", "Binarizer",
    "BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BlackmanWindow",
    "CausalConvWithState", "CenterCropPad", "Col2Im", "Compress", "CumProd", "DFT", "DeformConv",
    "Det", "FlexAttention", "GridSample", "HammingWindow", "HannWindow", "ImageDecoder",
    "LinearAttention", "MaxUnpool", "MelWeightMatrix", "Momentum", "NegativeLogLikelihoodLoss",
    "NonMaxSuppression", "NonZero", "OptionalGetElement", "OptionalHasElement", "RandomUniformLike",
    "RoiAlign", "RotaryEmbedding", "STFT", "SoftmaxCrossEntropyLoss", "SwiGLU", "TensorScatter",
    "TfIdfVectorizer", "TreeEnsemble", "Unique",
}  # fmt: skip
# Why else an example may be refused. What no TFLite graph of fixed sizes can hold:
BEYOND = (
    "text or sequences", "an element type that no engine takes", "is a sequence, and no tensor",
    "is a optional, and no tensor", "has no elements", "LiteRT has no", "it repeats a graph",
    "its condition is known only in a run", "a type that no engine has", "only a run tells",
)  # fmt: skip
# … and settings of an operator that are not written yet, by operator.
SETTINGS = {
    "ArgMax": "the last of equal elements", "ArgMin": "the last of equal elements",
    "AveragePool": "a pool with gaps", "MaxPool": "a pool with gaps|positions of the largest elements",
    "BatchNormalization": "still being trained", "Dropout": "still being trained",
    "CastLike": "integers of 4 or 8 bits", "ConvTranspose": "of volumes", "Einsum": "equation",
    "GatherND": "batch_dims", "LSTM": "sequences of several lengths",
    "LpPool": "a pool of volumes",
    "Pow": "a power of int64|to the power of a real one", "QuantizeLinear": "activations as",
    "ReduceMax": "operands of bool", "ReduceMin": "operands of bool",
    "Resize": "tf_crop_and_resize|antialias", "ScatterElements": "the reduction",
    "ScatterND": "the reduction",
}  # fmt: skip
# Where ONNX Runtime answers otherwise than ONNX's example: it rounds the result's size before it takes the
# scale from it, the example after. People run the former.
AS_RUNTIME = {"resize_downsample_scales_linear_align_corners", "resize_downsample_scales_cubic_align_corners"}
# Operators that ONNX has no example of: see the other files here.
TESTED_ELSEWHERE = {"GlobalLpPool", "SimplifiedLayerNormalization"}
# bfloat16 and float16 are computed as float32: as near as their own last digit.
STEP = {"bfloat16": 2.0**-7, "float16": 2.0**-10}

# Examples whose answers are written down with a few digits.
ROUNDED = {"averagepool_2d_ceil_last_window_starts_on_pad": 2e-4}


@cache
def cases() -> dict[str, Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its generators divide by zero on purpose
        return {case.name.removeprefix("test_"): case for case in collect_testcases(None)}


def feeds_of(case: Any) -> dict[str, np.ndarray]:
    inputs, _ = case.data_sets[0]
    return {port.name: array_of(x) for port, x in zip(case.model.graph.input, inputs, strict=True)}


def array_of(x: Any) -> np.ndarray:
    """Returns: an operand as an array; sequences and what is absent as arrays of objects."""
    if isinstance(x, onnx.TensorProto):
        return np.asarray(numpy_helper.to_array(x))
    return np.array(None, object) if x is None or isinstance(x, list) else np.asarray(x)


def held(
    model: onnx.ModelProto, feeds: dict[str, np.ndarray]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Returns: the model with all operands but the first as constants, as exporters write them."""
    first = next(iter(feeds))
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = [port for port in fixed.graph.input if port.name == first]
    for name, each in feeds.items():
        if name != first:
            fixed.graph.initializer.append(numpy_helper.from_array(each, name))
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    return fixed, {first: feeds[first]}


def attempt(case: Any, folder: Path) -> str:
    """Returns: "" for the right answer, "refused: …", "wrong: …"."""
    feeds = feeds_of(case)
    if any(each.dtype.kind == "O" for each in feeds.values()):
        return "refused: text or sequences"
    refusal = ""
    for model, given in ((case.model, feeds), held(case.model, feeds) if len(feeds) > 1 else (None, {})):
        if model is None:
            break
        try:
            made = imported(model, folder, shapes={name: each.shape for name, each in given.items()})
            return _compared(case, by_litert(made, given, folder)[1])
        except SanderlingError as error:
            refusal = f"refused: {error}"
            if "only a run tells" not in str(error):
                break
    return refusal


def _compared(case: Any, ours: list[np.ndarray]) -> str:
    for expected, got in zip(case.data_sets[0][1], ours, strict=True):
        a = array_of(expected)
        step = max(STEP.get(a.dtype.name, 0.0), ROUNDED.get(case.name.removeprefix("test_"), 0.0))
        if a.shape != got.shape:
            return f"wrong: shape {got.shape}, expected {a.shape}"
        if a.dtype.kind not in "fV":
            if not np.array_equal(a, got):
                return f"wrong: {got.reshape(-1)[:6]}, expected {a.reshape(-1)[:6]}"
            continue
        a, got = a.astype(np.float64), got.astype(np.float64)
        scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
        if not np.allclose(got, a, rtol=1e-5 + step, atol=(1e-5 + step) * scale, equal_nan=True):
            return f"wrong: off by {np.nanmax(np.abs(got - a)):.3g} of {scale:.3g}"
    return ""


@cache
def outcomes() -> dict[str, str]:
    """Returns: what became of every example."""
    with TemporaryDirectory() as folder:
        return {name: attempt(case, Path(folder)) for name, case in cases().items()}


def test_none_is_answered_wrongly() -> None:
    wrong = {name: found for name, found in outcomes().items() if found.startswith("wrong")}
    assert {name: found for name, found in wrong.items() if name not in AS_RUNTIME} == {}


@pytest.mark.parametrize("name", sorted(AS_RUNTIME))
def test_where_the_runtime_differs_from_the_example_it_is_followed(name: str, tmp_path: Path) -> None:
    assert outcomes()[name].startswith("wrong")
    case = cases()[name]
    _, feeds = held(case.model, feeds_of(case))
    assert_alike(both(held(case.model, feeds_of(case))[0], feeds, tmp_path))


def test_what_is_refused_is_known_and_says_why() -> None:
    odd = []
    for name, found in outcomes().items():
        if not found.startswith("refused") or any(words in found for words in BEYOND):
            continue
        op = found.removeprefix("refused: ").split(" ")[0]
        unknown = re.search(r"there is no counterpart for (\w+)", found)
        if unknown and unknown[1] in NOT_MAPPED:
            continue
        if not re.search(SETTINGS.get(op, "$^"), found):
            odd.append(f"{name}: {found}")
    assert odd == []


def test_most_are_answered() -> None:
    count = Counter(found.split(":")[0] for found in outcomes().values())
    assert count[""] >= 1100, count


def test_every_operator_that_is_mapped_was_answered_in_some_example() -> None:
    """What ONNX has no example of, or only such as need a run's values, is named here."""
    answered = {case.model.graph.node[-1].op_type for name, case in cases().items() if not outcomes()[name]}
    answered |= {node.op_type for name, case in cases().items() if not outcomes()[name]
                 for node in case.model.graph.node}  # fmt: skip
    mapped = {name for name in rules() if ":" not in name}
    assert mapped - answered == TESTED_ELSEWHERE
