"""OpenVINO: what it says about operators is what it does, and it is quiet about everything else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.openvino.operators import _BARE, _MISTRANSLATED, TRANSLATED
from sanderling.engines.registry import find, find_variant
from sanderling.errors import InputMismatch, ModelError, RunError, UnsupportedOperator, UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.tflite import read, write
from tests.conformance.oracle import answer
from tests.conformance.test_conformance import RUN, tolerance_of
from tests.conformance.variants import FLOAT
from tests.engines.models import (
    NO_ACTIVATION,
    add_one,
    from_int8,
    running_sum,
    save,
    texts,
    to_int8,
    two_by_two,
)
from tests.models import Net, noise

ENGINE, LITERT = find("openvino"), find("litert")
pytestmark = pytest.mark.skipif(not ENGINE.available(), reason=ENGINE.available().reason)
ROOT = Path(__file__).parents[2]
OPERATORS = json.loads((ROOT / "src/sanderling/tflite/schema.json").read_text())["enums"]["BuiltinOperator"]


def compiled(path: Path, model: Model, threads: int = 1):  # type: ignore[no-untyped-def]
    """Returns: the runner, whatever ``supports`` says."""
    from sanderling.engines.openvino.runner import OpenVINORunner

    return OpenVINORunner(path, model, "CPU", "f32", threads)


def test_the_table_of_operators_is_what_openvino_translates(tmp_path: Path) -> None:
    """A model that only names an operator is enough: it is looked up before anything else."""
    core, kind, found = find_core(), TensorType((1, 4), DType.FLOAT32), set()
    for name in set(OPERATORS) - {"CUSTOM"}:
        graph = Graph((Tensor("x", kind), Tensor("y", kind)), (Node(name, (0,), (1,)),), (0,), (1,))
        path = save(Model((graph,)), tmp_path, name)
        try:
            core.read_model(str(path))
        except RuntimeError as error:
            if "No translator found" in str(error):
                continue
        found.add(name)
    assert len(OPERATORS) > 200
    assert found == TRANSLATED


def find_core():  # type: ignore[no-untyped-def]
    from sanderling.engines.openvino import library

    return library.core()


def test_what_is_said_to_be_another_answer_is_one(tmp_path: Path) -> None:
    """Of every operator that is refused for its answer one case at least comes out wrong."""
    wrong: dict[str, list[str]] = defaultdict(list)
    for variant in RUN:
        if variant.op.name not in _BARE | _MISTRANSLATED.keys():
            continue
        model, path, fed, wanted = answer(variant, tmp_path)
        if all(ENGINE.supports(model)):
            continue
        try:
            for mine, theirs in zip(compiled(path, model).run(fed), wanted, strict=True):
                tolerance_of("openvino", variant).check(mine, theirs)
        except AssertionError:
            wrong[variant.op.name].append(variant.id)
    # No case of theirs has as many slopes as rows, an activation, or scales that differ: see below.
    without = {"MUL", "PRELU", "SELECT", "SELECT_V2", "TRANSPOSE_CONV"}
    assert wrong.keys() == _BARE | (_MISTRANSLATED.keys() - without)


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("size", [(3, 4), (7, 5), (20, 13)])
def test_half_pixel_centres_are_taken_where_they_do_not_matter(
    size: tuple[int, int], factor: int, tmp_path: Path
) -> None:
    """Enlarging by a whole number gives the same pixels either way, as most models do it."""
    rows, columns = size
    net = Net((1, rows, columns, 2))
    wanted = np.array([rows * factor, columns * factor], np.int32)
    attrs = {"align_corners": False, "half_pixel_centers": True}
    net.op("RESIZE_NEAREST_NEIGHBOR", (1, *map(int, wanted), 2), (net.constant(wanted, "size"),),
           "ResizeNearestNeighborOptions", **attrs)  # fmt: skip
    model = net.model()
    path = save(model, tmp_path)
    assert all(ENGINE.supports(model))
    feed = noise(model)
    np.testing.assert_array_equal(
        ENGINE.load(path, model).run(feed)[0], LITERT.load(path, model).run(feed)[0]
    )


@pytest.mark.parametrize("rows, right", [(4, False), (3, True), (5, True)])
def test_slopes_that_are_as_many_as_rows(rows: int, right: bool, tmp_path: Path) -> None:
    net = Net((1, rows, 6, 4))
    net.op("PRELU", (1, rows, 6, 4), (net.constant(np.array([0.1, 0.5, -1, 2], np.float32), "slopes"),))
    model = net.model()
    path, feed = save(model, tmp_path), noise(model)
    mine, theirs = compiled(path, model).run(feed)[0], LITERT.load(path, model).run(feed)[0]
    assert bool(ENGINE.supports(model)[0]) == right == np.allclose(mine, theirs)


@pytest.mark.parametrize("operator", ["TRANSPOSE_CONV", "CONV_2D", "MUL", "MAX_POOL_2D", "ADD"])
@pytest.mark.parametrize("activation", ["RELU", "RELU6", "RELU_N1_TO_1", "TANH"])
def test_fused_activations_are_right_or_refused(operator: str, activation: str, tmp_path: Path) -> None:
    variant = next(v for v in RUN if v.op.name == operator and v.kind == FLOAT)
    model, fed = variant.build()
    (node,) = model.main.nodes
    fused = replace(node, attrs={**node.attrs, "fused_activation_function": activation})
    model = model.with_main(replace(model.main, nodes=(fused,)))
    path = save(model, tmp_path)
    wanted = LITERT.load(path, model, options={"kernels": "builtin"}).run(fed)[0]
    right = np.allclose(compiled(path, model).run(fed)[0], wanted, atol=1e-4)
    taken = activation != "TANH" and operator != "TRANSPOSE_CONV"
    assert all(ENGINE.supports(model)) == taken
    assert right == taken or (operator, activation) == ("TRANSPOSE_CONV", "TANH")  # both leave it out


@pytest.mark.parametrize("scale, same", [(0.5, True), (0.25, False)])
def test_what_is_selected_from_other_scales(scale: float, same: bool, tmp_path: Path) -> None:
    """LiteRT moves the stored integers, whatever they stand for."""
    kind = TensorType((1, 4), DType.INT8, Quant.of(0.5))
    tensors = (
        Tensor("which", TensorType((1, 4), DType.BOOL)),
        Tensor("a", kind),
        Tensor("b", replace(kind, quant=Quant.of(scale))),
        Tensor("y", kind),
    )
    node = Node("SELECT", (0, 1, 2), (3,), {}, "SelectOptions")
    model = Model((Graph(tensors, (node,), (0, 1, 2), (3,)),))
    path = save(model, tmp_path)
    a, b = np.array([[1, 2, 3, 4]], np.int8), np.array([[50, 60, 70, 80]], np.int8)
    feed = [np.array([[True, False, True, False]]), a, b]
    mine, theirs = compiled(path, model).run(feed)[0], LITERT.load(path, model).run(feed)[0]
    assert np.array_equal(mine, theirs) == same == bool(ENGINE.supports(model)[0])


@pytest.mark.parametrize("model", [add_one(), two_by_two(), from_int8(), to_int8()])
def test_ports_are_the_files(model: Model, tmp_path: Path) -> None:
    path, feed = save(model, tmp_path), noise(model)
    mine, theirs = ENGINE.load(path, model), LITERT.load(path, model)
    for ours, ports in ((mine.inputs, theirs.inputs), (mine.outputs, theirs.outputs)):
        assert [(p.name, p.type, p.signature) for p in ours] == [(p.name, p.type, p.signature) for p in ports]
    for got, wanted in zip(mine.run(feed), theirs.run(feed), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_answers_are_fresh_and_open_sizes_follow_the_input(tmp_path: Path) -> None:
    model = add_one()
    runner = ENGINE.load(save(model, tmp_path), model)
    first = runner.run([np.zeros((1, 4), np.float32)])[0]
    for batch in (3, 1, 0, 2):
        x = np.full((batch, 4), 5, np.float32)
        np.testing.assert_array_equal(runner.run([x])[0], x + 1)
        assert runner.inputs[0].type.shape == runner.outputs[0].type.shape == (batch, 4)
    np.testing.assert_array_equal(first, np.ones((1, 4)))


@pytest.mark.parametrize(
    "array, what",
    [
        (np.zeros((1, 5), np.float32), r"shape \[1x5\], expected \[\?x4\]"),
        (np.zeros((4,), np.float32), r"shape \[4\], expected \[\?x4\]"),
        (np.zeros((1, 4), np.float64), "dtype float64, expected float32"),
    ],
)
def test_inputs_that_do_not_fit(array: np.ndarray, what: str, tmp_path: Path) -> None:
    model = add_one()
    runner = ENGINE.load(save(model, tmp_path), model)
    with pytest.raises(InputMismatch, match=what):
        runner.run([array])
    with pytest.raises(InputMismatch, match="got 0 inputs, expected 1"):
        runner.run([])


@pytest.mark.parametrize("names", [("x", "x", "x", "x"), ("", "", "", ""), ("a", "b", "a", "b")])
def test_tensors_that_share_a_name_stay_apart(names: tuple[str, ...], tmp_path: Path) -> None:
    """OpenVINO takes tensors of one name for one tensor."""
    kind = TensorType((1, 4), DType.FLOAT32)
    nodes = (
        Node("SUB", (0, 1), (2,), NO_ACTIVATION, "SubOptions"),
        Node("ADD", (2, 1), (3,), NO_ACTIVATION, "AddOptions"),
    )
    model = Model((Graph(tuple(Tensor(n, kind) for n in names), nodes, (0, 1), (3, 2)),))
    path, feed = save(model, tmp_path), noise(model)
    for mine, theirs in zip(
        ENGINE.load(path, model).run(feed), LITERT.load(path, model).run(feed), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_weights_behind_the_flatbuffer_are_read(tmp_path: Path) -> None:
    """litert-quantizer puts them there as soon as they are large; OpenVINO alone refuses the file."""
    from litert_quantizer import quantizer, recipe

    model = Net((1, 8, 8, 64)).conv(256).conv(256).model()
    path = tmp_path / "outside.tflite"
    with contextlib.redirect_stdout(io.StringIO()):
        quantized = quantizer.Quantizer(str(save(model, tmp_path)), recipe.weight_only_wi8_afp32()).quantize()
        quantized.export_model(str(path))
    with pytest.raises(RuntimeError):
        find_core().read_model(str(path))
    model = read(path)
    runner, feed = ENGINE.load(path, model), noise(model)
    wanted = LITERT.load(path, model).run(feed)[0]
    np.testing.assert_allclose(runner.run(feed)[0], wanted, atol=1e-5 * float(np.abs(wanted).max()))
    runner.close()


def test_outputs_that_are_listed_twice_or_never_change(tmp_path: Path) -> None:
    kind, seven = TensorType((1, 4), DType.FLOAT32), np.full((1, 4), 7, np.float32)
    tensors = (Tensor("x", kind), Tensor("y", kind), Tensor("seven", kind, seven))
    add = Node("ADD", (0, 0), (1,), NO_ACTIVATION, "AddOptions")
    model = Model((Graph(tensors, (add,), (0,), (1, 2, 0, 1)),))
    x = np.arange(4, dtype=np.float32).reshape(1, 4)
    got = ENGINE.load(save(model, tmp_path), model).run([x])
    for mine, wanted in zip(got, (2 * x, seven, x, 2 * x), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_whole_numbers_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    model = add_one(DType.INT64)
    runner = ENGINE.load(save(model, tmp_path), model)
    assert runner.run([np.array([[1, 2, 3, -4]])])[0].tolist() == [[2, 3, 4, -3]]
    with pytest.raises(RunError, match="beyond 32 bits"):
        runner.run([np.array([[1, 2, 3, 2**40]])])
    graph = model.main
    large = replace(graph.tensors[1], data=np.full((1, 4), 2**40))
    tensors = (graph.tensors[0], large, graph.tensors[2])
    assert "beyond 32 bits" in ENGINE.supports(model.with_main(replace(graph, tensors=tensors)))[0].reason


@pytest.mark.parametrize("model, what", [(running_sum(), "keeps no state"), (texts(), "is string")])
def test_what_it_cannot_hold_is_refused(model: Model, what: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperator, match=what):
        ENGINE.load(save(model, tmp_path), model)
    assert not all(ENGINE.supports(model))


def test_a_refusal_by_openvino_itself_is_one_sentence(tmp_path: Path) -> None:
    """Whatever the model says, the file holds a pool without options."""
    kind = TensorType((1, 4, 4, 1), DType.FLOAT32)
    graph = Graph((Tensor("x", kind), Tensor("y", kind)), (Node("MAX_POOL_2D", (0,), (1,)),), (0,), (1,))
    path = save(Model((graph,)), tmp_path)
    with pytest.raises(ModelError, match=r"OpenVINO cannot load the model: [^\n]*Option[^\n]*$"):
        ENGINE.load(path, Model((graph,)))


@pytest.mark.parametrize("inner, taken", [("TANH", True), ("RELU_N1_TO_1", False)])
def test_composites_become_the_operators_of_their_graph(inner: str, taken: bool, tmp_path: Path) -> None:
    kind = TensorType((1, 4), DType.FLOAT32)
    tensors = tuple(Tensor(name, kind) for name in "abc")
    attrs = {
        "name": "a.composite",
        "decomposition_subgraph_index": 1,
        "composite_attributes": (),
        "version": 1,
    }
    call = Node("STABLEHLO_COMPOSITE", (0,), (1,), attrs, "StableHLOCompositeOptions")
    main = Graph(tensors, (call, Node("ABS", (1,), (2,), {}, "AbsOptions")), (0,), (2,), "main")
    body = Graph(tensors[:2], (Node(inner, (0,), (1,)),), (0,), (1,), "body")
    model = Model((main, body))
    assert [bool(verdict) for verdict in ENGINE.supports(model)] == [taken, True]
    path, feed = save(model, tmp_path), noise(model)
    if not taken:
        with pytest.raises(UnsupportedOperator, match="RELU_N1_TO_1"):
            ENGINE.load(path, model)
        return
    runner = ENGINE.load(path, model)
    np.testing.assert_allclose(runner.run(feed)[0], LITERT.load(path, model).run(feed)[0], rtol=1e-5)
    runner.close()


@pytest.mark.parametrize(
    "options, what",
    [
        ({"kernels": "x"}, "no option 'kernels'"),
        ({"device": "TPU"}, "device is 'TPU'"),
        ({"device": "NPU"}, "finds no NPU here"),
        ({"precision": "int3"}, "precision is 'int3'"),
    ],
)
def test_options_that_are_wrong(options: dict[str, object], what: str, tmp_path: Path) -> None:
    if options == {"device": "NPU"} and "npu" in {v.name for v in ENGINE.variants()}:
        pytest.skip("this machine has an NPU")
    model = add_one()
    with pytest.raises(UsageError, match=what):
        ENGINE.load(save(model, tmp_path), model, options=options)


def test_bfloat16_is_a_variant_of_its_own(tmp_path: Path) -> None:
    """OpenVINO would choose it by itself: float32 is asked for, and the other one is not exact."""
    if "bf16" not in {variant.name for variant in ENGINE.variants()}:
        pytest.skip("this processor has no instructions for bfloat16")
    coarse = find_variant("openvino:bf16")
    assert not coarse.exact
    assert find_variant("openvino").exact
    net = Net((1, 16, 16, 16)).conv(32).conv(32)
    model = net.model()
    path, feed = save(model, tmp_path), noise(model)
    wanted = LITERT.load(path, model).run(feed)[0]
    near, far = (
        float(
            np.abs(ENGINE.load(path, model, options=v.options).run(feed)[0] - wanted).max()
            / np.abs(wanted).max()
        )
        for v in (find_variant("openvino"), coarse)
    )
    assert near < 1e-5 < 1e-4 < far < 0.05


def test_it_reports_nothing_and_prints_nothing(tmp_path: Path) -> None:
    """Importing openvino sends an event to Google Analytics and keeps a number in the home folder."""
    model = tmp_path / "model.tflite"
    write(add_one(), model)
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from sanderling.engines.registry import find
from sanderling.tflite import read
import numpy as np
engine, path = find("openvino"), Path({str(model)!r})
assert "openvino" not in sys.modules
model = read(path)
engine.load(path, model, options=engine.variants()[0].options).run([np.zeros((1, 4), np.float32)])
assert "openvino" in sys.modules and "openvino_telemetry" not in sys.modules
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
