"""Every technique on a small network: it runs, it is close, and everything around the graph survives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.compress.applied import Applied
from sanderling.compress.apply import apply, apply_in_worker
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.registry import find, techniques
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model, Signature
from sanderling.tflite import read
from sanderling.tflite.releases import METADATA
from tests.compress.made import Bench, network, with_constant
from tests.models import Net, run_litert

RECIPES: list[tuple[str, dict[str, Any], float]] = [
    ("float16", {}, 50),
    ("dynamic_int8", {}, 28),
    ("dynamic_int8", {"operators": ["FULLY_CONNECTED"]}, 35),
    ("weight_only_int8", {}, 30),
    ("weight_only_int8", {"weights": "mse"}, 30),
    ("static_int8", {}, 22),
    ("static_int8", {"io": "int8"}, 22),
    ("static_int8", {"calibration": "mse"}, 22),
    ("static_int8", {"calibration": "octav"}, 20),
    ("static_int8", {"calibration": "percentile", "percentile": 99.99}, 22),
    ("static_int8", {"bias_correction": False}, 20),
    ("int4_weights", {}, 8),
    ("int4_weights", {"mode": "weight_only"}, 8),
    ("int4_weights", {"mode": "static"}, 8),
]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(network(), tmp_path)


@pytest.mark.parametrize("technique, settings, least_db", RECIPES)
def test_result_is_near_the_float_model(
    bench: Bench, technique: str, settings: dict[str, Any], least_db: float
) -> None:
    file, applied = bench.apply(technique, settings)
    assert bench.sqnr(file) > least_db
    assert applied.size_bytes == file.stat().st_size
    made = read(file)
    assert made.input_names() == bench.model.input_names()
    assert made.output_names() == bench.model.output_names()
    assert [s.key for s in made.signatures] == ["serving_default"]
    assert made.description == bench.model.description
    dtype = "int8" if settings.get("io") == "int8" else "float32"
    assert [made.main.tensors[i].dtype for i in (*made.main.inputs, *made.main.outputs)] == [dtype, dtype]
    assert Applied.from_json(applied.to_json()) == applied


def test_sizes_fall_as_promised(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 32)).conv(64).conv(64).reshape(1, 4096).dense(32)
    bench = Bench(net.model(), tmp_path)
    whole = bench.source.stat().st_size
    for technique, share in (
        ("float16", 0.52),
        ("dynamic_int8", 0.28),
        ("static_int8", 0.3),
        ("int4_weights", 0.16),
    ):
        file, _ = bench.apply(technique)
        assert file.stat().st_size < share * whole, technique


def test_what_stays_float_is_named_with_a_reason(bench: Bench) -> None:
    file, applied = bench.apply("static_int8")
    assert [left.kind for left in applied.left_float] == ["HARD_SWISH", "PRELU", "SOFTMAX"]
    assert {left.operator for left in applied.left_float} <= {t.name for t in bench.model.main.tensors}
    prelu = applied.left_float[1]
    assert any("PRELU stays float" in note and prelu.operator in note for note in applied.notes)
    assert _computing(file) == {
        "CONV_2D": "int8", "MAX_POOL_2D": "int8", "ADD": "int8", "RESHAPE": "int8", "FULLY_CONNECTED": "int8",
        "HARD_SWISH": "float32", "PRELU": "float32", "SOFTMAX": "float32",
    }  # fmt: skip


@pytest.mark.parametrize("settings", [{"everything": True}, {"io": "int8"}])
def test_nothing_stays_float_for_hardware_without_floats(bench: Bench, settings: dict[str, Any]) -> None:
    file, applied = bench.apply("static_int8", settings)
    assert applied.left_float == ()
    assert set(_computing(file).values()) == {"int8"}
    assert bench.sqnr(file) > 20


def test_activations_of_16_bits_are_nearly_exact(tmp_path: Path) -> None:
    bench = Bench(Net((1, 8, 8, 3)).conv(8).conv(8).reshape(1, 512).dense(4).softmax().model(), tmp_path)
    narrow, _ = bench.apply("static_int8")
    before = bench.sqnr(narrow)
    wide, _ = bench.apply("static_int8", {"activations": "int16", "everything": True})
    assert set(_computing(wide).values()) == {"int16"}
    assert bench.sqnr(wide) > before + 3
    assert {t.dtype for t in read(wide).main.tensors if t.is_constant and t.name.startswith("b")} == {"int64"}


def _computing(file: Path) -> dict[str, str]:
    """Returns: the dtype of each kind of operator's results, without conversions."""
    graph = read(file).main
    kinds = {(n.op, graph.results(n)[0].dtype.value) for n in graph.nodes}
    return dict(kind for kind in kinds if kind[0] not in ("QUANTIZE", "DEQUANTIZE"))


def test_keep_float_keeps_just_these_operators_float(bench: Bench) -> None:
    graph = bench.model.main
    convs = [graph.results(n)[0].name for n in graph.nodes if n.op == "CONV_2D"]
    whole, _ = bench.apply("static_int8")
    plain = bench.sqnr(whole)
    others = [graph.results(n)[0].name for n in graph.nodes if n.op != "FULLY_CONNECTED"]
    every, _ = bench.apply("static_int8", {"keep_float": others})
    assert bench.sqnr(every) > plain
    file, applied = bench.apply("static_int8", {"keep_float": convs[1:2]})
    made = read(file).main
    dtypes = [made.tensors[n.inputs[1]].dtype for n in made.nodes if n.op == "CONV_2D"]
    assert sorted(dtypes) == ["float32", "int8", "int8"]
    assert convs[1] in [left.operator for left in applied.left_float]


@pytest.mark.parametrize("first, io", [(True, "int8"), (False, "int8"), (True, "float")])
def test_keep_float_at_the_border_leaves_the_interface_as_asked(bench: Bench, first: bool, io: str) -> None:
    graph = bench.model.main
    node = graph.nodes[0 if first else -1]
    file, _ = bench.apply("static_int8", {"io": io, "keep_float": [graph.results(node)[0].name]})
    made = read(file)
    kinds = {made.main.tensors[i].dtype.value for i in (*made.main.inputs, *made.main.outputs)}
    assert kinds == {"int8" if io == "int8" else "float32"}
    assert bench.sqnr(file) > 20


def test_old_and_careless_files_are_quantized_too(tmp_path: Path) -> None:
    """No signature, no names, names twice: the quantizer itself takes none of them."""
    model = network()
    tensors = tuple(
        replace(t, name="" if i % 3 == 0 else "same" if i % 3 == 1 else t.name)
        for i, t in enumerate(model.main.tensors)
    )
    bench = Bench(Model((replace(model.main, tensors=tensors),)), tmp_path)
    file, _ = bench.apply("static_int8")
    made = read(file)
    assert bench.sqnr(file) > 20
    assert made.signatures == ()
    assert made.input_names() == bench.model.input_names()


def test_metadata_and_appended_bytes_survive(tmp_path: Path) -> None:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog")
    blob = np.frombuffer(b"metadata of a model", np.uint8)
    model = replace(
        network(),
        metadata=(("TFLITE_METADATA", blob),),
        appended=np.frombuffer(packed.getvalue(), np.uint8),
    )
    bench = Bench(model, tmp_path)
    for technique in ("float16", "static_int8", "dynamic_int8"):
        file, _ = bench.apply(technique)
        kept = {k: bytes(v) for k, v in read(file).metadata if k != METADATA}
        assert kept == {"TFLITE_METADATA": bytes(blob)}
        with zipfile.ZipFile(file) as archive:
            assert archive.read("labels.txt") == b"cat\ndog"


def test_dead_channels_do_not_break_their_bias(tmp_path: Path) -> None:
    """Weights of about 1e-12 with a bias: the quantizer's own choice of scale overflows the int32 bias."""
    model = Net((1, 8, 8, 3)).conv(8).conv(8).reshape(1, 512).dense(4).model()
    kernel, bias = (next(t.data for t in model.main.tensors if t.name == n).copy() for n in ("w0", "b0"))
    kernel[2:4] = 1e-12
    bias[2:4] = [3.0, -2.0]
    bench = Bench(with_constant(with_constant(model, "w0", kernel), "b0", bias), tmp_path)
    file, _ = bench.apply("static_int8")
    assert bench.sqnr(file) > 25


def test_several_inputs_and_integers(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(4)
    image = net.last
    from sanderling.graph.graph import Node, Tensor
    from sanderling.graph.types import DType, TensorType

    net.tensors.append(Tensor("ids", TensorType((1, 6), DType.INT32)))
    ids = len(net.tensors) - 1
    table = net.constant(net.rng.standard_normal((4, 256)).astype(np.float32), "table")
    net.tensors.append(Tensor("looked", TensorType((1, 6, 256), DType.FLOAT32)))
    looked = len(net.tensors) - 1
    net.nodes.append(Node("GATHER", (table, ids), (looked,), {"axis": 0, "batch_dims": 0}, "GatherOptions"))
    net.last = image
    net.reshape(1, 256).op("ADD", (1, 6, 256), (looked,), "AddOptions", fused_activation_function="NONE")
    graph = Graph(tuple(net.tensors), tuple(net.nodes), (0, ids), (net.last,), "main")
    signature = Signature("serve", (("picture", 0), ("ids", ids)), (("y", net.last),))
    bench = Bench(Model((graph,), (signature,)), tmp_path)
    for technique in ("static_int8", "dynamic_int8", "float16"):
        file, _ = bench.apply(technique, {"io": "int8"} if technique == "static_int8" else {})
        assert bench.sqnr(file) > 25
        assert read(file).input_names() == ["picture", "ids"]
        assert read(file).main.tensors[read(file).main.inputs[1]].dtype == "int32"


def test_other_graphs_stay_float(tmp_path: Path) -> None:
    inner = network(3).main
    second = Signature("other", (("x", inner.inputs[0]),), (("y", inner.outputs[0]),), graph=1)
    model = network()
    both = replace(
        model,
        graphs=(model.main, replace(inner, name="other")),
        signatures=(*model.signatures, second),
    )
    bench = Bench(both, tmp_path)
    file, _ = bench.apply("static_int8", {"io": "int8"})
    made = read(file)
    assert bench.sqnr(file) > 20
    assert not any(t.type.is_quantized for t in made.graphs[1].tensors)
    assert [n.op for n in made.graphs[1].nodes] == [n.op for n in inner.nodes]
    assert made.graphs[1].name == "other"
    assert [(s.key, s.graph) for s in made.signatures] == [("serving_default", 0), ("other", 1)]
    from ai_edge_litert.interpreter import Interpreter

    runners = [Interpreter(str(f)).get_signature_runner("other") for f in (bench.source, file)]
    expected, got = (r(x=bench.inputs[0][0])["y"] for r in runners)
    assert np.array_equal(expected, got)


def test_steps_are_applied_in_order(bench: Bench) -> None:
    out = bench.folder / "two.tflite"
    steps = (Step("rewrite", {"passes": ["fold_constants", "drop_no_ops"]}), Step("static_int8", {}))
    apply(Recipe("two", steps), bench.source, out, calibration=bench.calibration)
    assert bench.sqnr(out) > 20
    with pytest.raises(RecipeError, match="already quantized"):
        apply(Recipe("twice", steps[1:] * 2), bench.source, out, calibration=bench.calibration)


def test_without_steps_the_file_is_copied(bench: Bench) -> None:
    out = bench.folder / "copy.tflite"
    applied = apply_in_worker(recipe=Recipe("as it is").to_json(), source=str(bench.source), out=str(out))
    assert out.read_bytes() == bench.source.read_bytes()
    assert applied["size_bytes"] == out.stat().st_size


def test_values_beyond_float16_stay_float32(tmp_path: Path) -> None:
    model = Net((1, 8)).dense(64).dense(64).model()
    values = next(t.data for t in model.main.tensors if t.name == "w0").copy()
    values[0, 0] = 1e6
    bench = Bench(with_constant(model, "w0", values), tmp_path)
    file, applied = bench.apply("float16")
    assert {t.name: t.dtype for t in read(file).main.tensors}["w1_float16"] == "float16"
    assert any("stay float32" in note and "w0" in note for note in applied.notes)
    assert np.allclose(
        run_litert(file, *bench.inputs[0])[0], run_litert(bench.source, *bench.inputs[0])[0], rtol=0.01
    )


@pytest.mark.parametrize(
    "technique, settings, says",
    [
        ("no_such", {}, "no technique 'no_such'.*static_int8"),
        ("static_int8", {"calibrate": "mse"}, "no setting 'calibrate'.*calibration"),
        ("static_int8", {"calibration": "best"}, "'calibration' of static_int8 is 'best'.*percentile"),
        ("static_int8", {"percentile": "high"}, "a number from 50 to 100"),
        ("static_int8", {"keep_float": ["nobody"]}, "'nobody'.*none of that name"),
        ("static_int8", {"keep_float": "conv"}, "a list of names"),
        ("dynamic_int8", {"operators": ["PRELU"]}, "cannot quantize 'PRELU'.*CONV_2D"),
        ("int4_weights", {"mode": "fast"}, "weight_only"),
        ("float16", {"bits": 8}, "it has none"),
    ],
)
def test_mistakes_are_explained(bench: Bench, technique: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        bench.apply(technique, settings)


def test_what_cannot_be_done_is_said(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs samples"):
        bench.apply("static_int8", calibration=None)
    whole, _ = bench.apply("static_int8", {"io": "int8"})
    bench.source = whole.rename(tmp_path / "integer.tflite")
    for technique in ("static_int8", "dynamic_int8", "weight_only_int8", "int4_weights"):
        with pytest.raises(RecipeError, match="already quantized"):
            bench.apply(technique)
    with pytest.raises(RecipeError, match="no float32 weights"):
        bench.apply("float16")
    small = Net((1, 4)).op("RELU", (1, 4)).model()
    (tmp_path / "small").mkdir()
    with pytest.raises(RecipeError, match="no operator to quantize"):
        Bench(small, tmp_path / "small").apply("dynamic_int8")


def test_models_with_dynamically_quantized_weights_go_on_to_static(bench: Bench) -> None:
    file, _ = bench.apply("dynamic_int8")
    bench.source = file.rename(bench.folder / "dynamic.tflite")
    static, _ = bench.apply("static_int8")
    assert bench.sqnr(static) > 20


def test_all_techniques_are_found_by_name() -> None:
    known = {"float16", "dynamic_int8", "weight_only_int8", "static_int8", "int4_weights"}
    assert known <= set(techniques())
    for name, technique in techniques().items():
        assert find(name) is technique
        assert technique.name == name
        assert technique.summary


def test_float16_takes_weights_and_biases_together(tmp_path: Path) -> None:
    """LiteRT 1.1 to 1.3 load no convolution with weights in float16 and biases in float32."""
    bench = Bench(Net((1, 8, 8, 3)).conv(16).conv(16).model(), tmp_path)
    file, _ = bench.apply("float16")
    graph = read(file).main
    halves = {n.outputs[0] for n in graph.nodes if n.op == "DEQUANTIZE"}
    layers = [n for n in graph.nodes if n.op == "CONV_2D"]
    assert len(layers) == 2
    assert all((n.inputs[1] in halves) == (n.inputs[2] in halves) for n in layers)
    assert any(n.inputs[2] in halves for n in layers)
