"""LiteRT's GPU accelerator: found quietly, whole models or nothing, and what it is known to get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.litert_gpu import adapter, known
from sanderling.engines.litert_gpu.operators import supported
from sanderling.engines.litert_gpu.runner import cause
from sanderling.engines.registry import find, find_variant
from sanderling.errors import InputMismatch, ModelError, UnsupportedOperator, UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.tflite import read
from tests.conformance.test_conformance import RUN, THOROUGH, sample
from tests.engines import models
from tests.models import noise

ENGINE, LITERT, REFERENCE = find("litert_gpu"), find("litert"), find("reference")
READY = ENGINE.available()
needs_gpu = pytest.mark.skipif(not READY, reason=READY.reason)


# Loads files into the accelerator itself, whatever the engine says of them.
DIRECT = """
import json, sys
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import GpuOptions, Options
for path in json.loads(sys.argv[1]):
    options = Options(hardware_accelerators=HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=True))
    try:
        print(path, CompiledModel.from_file(path, options=options).is_fully_accelerated(), flush=True)
    except RuntimeError:
        print(path, False, flush=True)
"""
LACKING = ("does not support", "takes at most", "takes fixed sizes only", "keep a state")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True, text=True, check=True, env=os.environ | environment,
    )  # fmt: skip


def test_without_a_driver_it_says_so_in_a_sentence_and_nothing_else() -> None:
    code = (
        "from sanderling.engines.registry import every_variant, find\n"
        "print(find('litert_gpu').available().reason)\n"
        "print([str(variant) for variant in every_variant() if variant.engine == 'litert_gpu'])\n"
    )
    done = python(code, VK_DRIVER_FILES="/nowhere.json")
    reason, variants = done.stdout.splitlines()
    assert "finds no adapter (it needs a driver for Vulkan, Metal or D3D12)" in reason
    assert variants == "[]"
    assert done.stderr == ""


def test_what_was_found_is_kept_until_the_drivers_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "driver.json"
    manifest.write_text("{}")
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VK_DRIVER_FILES", str(manifest))
    place = known.place("2.3")
    assert known.recall(place) is None
    known.keep(place, name="GPU", kind="Discrete GPU", reason="")
    assert known.recall(known.place("2.3")) == {"name": "GPU", "kind": "Discrete GPU", "reason": ""}
    assert known.place("2.4") != place
    os.utime(manifest, (1, 1))
    assert known.place("2.3") != place
    os.utime(manifest, ns=(place.stat().st_mtime_ns,) * 2)
    monkeypatch.setenv("VK_DRIVER_FILES", "/nowhere.json")
    assert known.place("2.3") != place
    known.keep(place, name="", kind="", reason="no driver")
    assert known.recall(place) is not None
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert known.recall(place) is None
    place.write_text("[")
    assert known.recall(place) is None


def test_the_second_process_does_not_look_again(tmp_path: Path) -> None:
    code = "from sanderling.engines.registry import find\nprint(find('litert_gpu').available().reason)\n"
    cache = {"SANDERLING_CACHE": str(tmp_path), "VK_DRIVER_FILES": "/nowhere.json"}
    first = python(code, **cache)
    (kept,) = tmp_path.glob("litert_gpu/*.json")
    assert "finds no adapter" in first.stdout
    kept.write_text(kept.read_text().replace("finds no adapter", "was not asked again"))
    assert "was not asked again" in python(code, **cache).stdout


@needs_gpu
def test_a_session_talks_to_nobody(tmp_path: Path) -> None:
    path = models.save(models.two_by_two(), tmp_path)
    code = (
        "import numpy as np, sanderling as sd\n"
        f"session = sd.Session({str(path)!r}, engine='litert_gpu')\n"
        "ones = np.ones((1, 4), np.float32)\n"
        "print(session({'a': ones, 'b': ones})['sum'].tolist())\n"
        "session.close()\n"
    )
    done = python(code)
    assert done.stdout.strip() == "[[2.0, 2.0, 2.0, 2.0]]"
    assert done.stderr == ""


@needs_gpu
def test_a_gpu_that_is_the_processor_is_not_chosen() -> None:
    found = adapter.find()
    assert isinstance(found, adapter.Adapter)
    whole, half = ENGINE.variants()
    assert (str(whole), str(half)) == ("litert_gpu", "litert_gpu:f16")
    assert (whole.exact, half.exact) == (True, False)
    assert whole.choose == half.choose == (not found.software)
    assert find_variant("litert_gpu:f16").options == {"precision": "float16"}
    if "SwiftShader" in found.name or "llvmpipe" in found.name:
        assert found.software


def test_the_adapter_is_read_from_the_log() -> None:
    line = "I0000 00:00:1.2 469 environment.cc:532] Selected adapter: "
    told = f"{line}SwiftShader Device (Subzero), arch=swiftshader, vendor=google, adapterType=CPU / Software"
    assert adapter.selected(["other", told]) == ("SwiftShader Device (Subzero)", "CPU / Software")
    assert adapter.Adapter(*adapter.selected([told])).software
    discrete = f"{line}NVIDIA H100, arch=hopper, vendor=nvidia, backend=Vulkan, adapterType=Discrete GPU"
    assert not adapter.Adapter(*adapter.selected([discrete])).software
    assert adapter.selected(["nothing of the kind"]) == ("", "")


@needs_gpu
@pytest.mark.parametrize(
    "name", ["mlperf_tiny_kws_int8", "mlperf_tiny_resnet8_cifar10_fp32", "face_landmark_fp32"]
)
def test_real_models_answer_as_litert_does(name: str, zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / f"{name}.tflite"
    model = read(path)
    fed = noise(model)
    mine, theirs = ENGINE.load(path, model), LITERT.load(path, model)
    for ours, other in zip((*mine.inputs, *mine.outputs), (*theirs.inputs, *theirs.outputs), strict=True):
        assert ours == other
    for got, wanted in zip(mine.run(fed), theirs.run(fed), strict=True):
        assert got.dtype == wanted.dtype
        if wanted.dtype.kind == "f":
            scale = max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-3 * scale)
        else:
            assert int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 2
    mine.close()


@needs_gpu
def test_ports_keep_the_graphs_order_whatever_the_signature_says(tmp_path: Path) -> None:
    base = models.two_by_two()
    swapped = base.signatures[0]
    swapped = replace(swapped, inputs=swapped.inputs[::-1], outputs=swapped.outputs[::-1])
    model = Model(base.graphs, (swapped,))
    runner = ENGINE.load(models.save(model, tmp_path), model)
    assert [port.name for port in runner.inputs] == ["a", "b"]
    assert [port.name for port in runner.outputs] == ["sum", "product"]
    two, three = np.full((1, 4), 2, np.float32), np.full((1, 4), 3, np.float32)
    total, product = runner.run([two, three])
    assert (float(total[0, 0]), float(product[0, 0])) == (5, 6)
    total, _ = runner.run([two, -three])
    assert float(total[0, 0]) == -1
    with pytest.raises(InputMismatch, match=r"shape \[2x4\], expected \[1x4\]"):
        runner.run([np.ones((2, 4), np.float32), three])
    runner.close()


@needs_gpu
def test_batches_of_any_size_run_where_the_file_allows_them(zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "mlperf_tiny_resnet8_cifar10_fp32.tflite"
    model, rng = read(path), np.random.default_rng(0)
    mine, theirs = ENGINE.load(path, model), LITERT.load(path, model)
    for batch in (3, 1, 2):
        fed = [rng.random((batch, 32, 32, 3), np.float32)]
        np.testing.assert_allclose(mine.run(fed)[0], theirs.run(fed)[0], rtol=0, atol=1e-4)
        assert mine.outputs == theirs.outputs
    with pytest.raises(InputMismatch, match="without elements"):
        mine.run([np.empty((0, 32, 32, 3), np.float32)])
    with pytest.raises(InputMismatch, match=r"shape \[1x16x32x3\], expected \[\?x32x32x3\]"):
        mine.run([np.empty((1, 16, 32, 3), np.float32)])
    mine.close()


@needs_gpu
def test_grouped_convolutions_are_silently_wrong(tmp_path: Path) -> None:
    """3 channels per group: a model that it calls fully accelerated, and answers with zeros. 4 are right."""
    for per_group, right in ((3, False), (4, True)):
        model = models.grouped_convolution(per_group)
        path = models.save(model, tmp_path)
        fed = noise(model)
        (got,), (wanted,), (ours,) = (e.load(path, model).run(fed) for e in (ENGINE, LITERT, REFERENCE))
        scale = float(np.abs(wanted).max())
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-5 * scale)
        assert (float(np.abs(got - wanted).max()) < 1e-5 * scale) is right
        assert bool((got == 0).all()) is not right


@needs_gpu
@pytest.mark.parametrize(
    "per_group, outputs, crashes", [(5, 8, True), (8, 4, True), (8, 8, False), (3, 8, False)]
)
def test_grouped_convolutions_that_end_the_process_are_refused(
    per_group: int, outputs: int, crashes: bool, tmp_path: Path
) -> None:
    model = models.grouped_convolution(per_group, 2, outputs)
    path = models.save(model, tmp_path)
    if crashes:
        with pytest.raises(UnsupportedOperator, match="crashes on convolutions with more than 4 channels"):
            ENGINE.load(path, model)
    else:
        ENGINE.load(path, model).close()
    assert all(ENGINE.supports(model)) is not crashes


def test_what_cannot_be_taken_is_refused_with_its_reason() -> None:
    def reason(shape: tuple[int, ...], dtype: DType = DType.FLOAT32, op: str = "ABS") -> str:
        tensors = (Tensor("x", TensorType(shape, dtype)), Tensor("y", TensorType(shape, dtype)))
        model = Model((Graph(tensors, (Node(op, (0,), (1,)),), (0,), (1,)),))
        return supported(model, model.main.nodes[0]).reason

    assert "takes at most 4 dimensions, 'x' has 5" in reason((1, 2, 3, 4, 5))
    assert "crashes on tensors without elements" in reason((0, 4))
    assert "buffers that hold no int16" in reason((1, 4), DType.INT16)
    assert "does not support SQUEEZE" in reason((1, 4), op="SQUEEZE")
    assert reason((1, 4)) == ""
    assert not all(ENGINE.supports(models.running_sum()))


@needs_gpu
def test_what_is_said_to_be_lacking_is(tmp_path: Path) -> None:
    """Of operators that are refused before anything is loaded, a model, or all of the conformance suite's."""
    lacking: dict[str, Path] = {}
    for variant in RUN if THOROUGH else sample(RUN):
        model, _ = variant.build()
        reasons = [verdict.reason for verdict in ENGINE.supports(model)]
        if any(sign in reason for sign in LACKING for reason in reasons):
            path = models.save(model, tmp_path, str(len(lacking)))
            lacking[variant.id] = path
    assert len(lacking) > 60
    command = [sys.executable, "-c", DIRECT, json.dumps([str(path) for path in lacking.values()])]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    taken = {line.split()[0] for line in shown.splitlines() if line.endswith("True")}
    assert [name for name, path in lacking.items() if str(path) in taken] == []
    assert shown.count(".tflite ") == len(lacking)


@needs_gpu
def test_a_model_with_a_part_that_it_lacks_is_refused_as_a_whole(tmp_path: Path) -> None:
    """What only its delegate knows is told in the delegate's words, and nothing runs on the CPU instead."""
    kind = TensorType((1, 6), DType.FLOAT32)
    tensors = tuple(Tensor(name, kind) for name in ("x", "exp", "y"))
    nodes = (
        Node("EXP", (0,), (1,), {}, "ExpOptions"),
        Node("SOFTMAX", (1,), (2,), {"beta": 2.0}, "SoftmaxOptions"),
    )
    model = Model((Graph(tensors, nodes, (0,), (2,)),))
    assert all(ENGINE.supports(model))
    with pytest.raises(
        ModelError, match=r"refuses the model: SOFTMAX: .*beta != 1 is not supported"
    ) as caught:
        ENGINE.load(models.save(model, tmp_path), model)
    assert "\n" not in str(caught.value)


def test_reasons_are_read_from_the_log() -> None:
    lines = [
        "INFO: [delegate_webgpu.cc:363] Created a WebGPU environment.",
        "ERROR: Following operations are not supported by GPU delegate:",
        *(f"OP_{n}: Operation is not supported." for n in range(5)),
        "No operations will run on the GPU, and all 5 operations will run on the CPU.",
    ]
    told = cause(RuntimeError("ERROR: [a/b.h:1]\n└ Some ops are not accelerated."), lines)
    shown = [f"OP_{n}: Operation is not supported" for n in range(3)]
    assert told == "; ".join([*shown, "and 2 more"])
    assert cause(RuntimeError("ERROR: [a/b.h:1]\n└ It broke."), []) == "It broke"


def test_options_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    model = models.two_by_two()
    path = models.save(model, tmp_path)
    with pytest.raises(UsageError, match="has no option 'device'"):
        ENGINE.load(path, model, options={"device": 1})
    with pytest.raises(UsageError, match="choose one of: auto, float32, float16"):
        ENGINE.load(path, model, options={"precision": "int8"})
