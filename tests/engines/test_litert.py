"""The LiteRT engine on small models and, where present, on real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.litert import ENGINE, log
from sanderling.engines.litert.runner import LiteRTRunner
from sanderling.errors import InputMismatch, ModelError, RunError, UnsupportedOperator, UsageError
from sanderling.graph.graph import Model
from sanderling.tflite import read
from tests.engines import models


def load(model: Model, folder: Path, **options: object) -> LiteRTRunner:
    path = models.save(model, folder)
    return ENGINE.load(path, read(path), options=options)


@pytest.mark.parametrize("kernels", ["default", "builtin", "reference"])
def test_runs_with_every_kernel_set(tmp_path: Path, kernels: str) -> None:
    runner = load(models.two_by_two(), tmp_path, kernels=kernels)
    a, b = np.array([[1, 2, 3, 4]], np.float32), np.array([[10, 20, 30, 40]], np.float32)
    total, product = runner.run([a, b])
    np.testing.assert_array_equal(total, a + b)
    np.testing.assert_array_equal(product, a * b)


def test_ports_carry_the_signature_names_and_the_quantization(tmp_path: Path) -> None:
    runner = load(models.two_by_two(), tmp_path)
    assert [p.name for p in runner.inputs] == ["a", "b"]
    assert [p.name for p in runner.outputs] == ["sum", "product"]
    (port,) = load(models.from_int8(), tmp_path).inputs
    assert port.type.dtype == "int8"
    assert port.quant is not None
    assert (port.quant.scale[0], port.quant.zero_point[0]) == (0.5, 3)


def test_outputs_are_fresh_arrays(tmp_path: Path) -> None:
    runner = load(models.add_one(), tmp_path)
    (first,) = runner.run([np.zeros((1, 4), np.float32)])
    runner.run([np.full((1, 4), 9, np.float32)])
    np.testing.assert_array_equal(first, np.ones((1, 4)))


def test_resizes_where_the_signature_allows_it(tmp_path: Path) -> None:
    runner = load(models.add_one(), tmp_path)
    (out,) = runner.run([np.zeros((5, 4), np.float32)])
    assert out.shape == (5, 4)
    assert runner.inputs[0].type.shape == (5, 4)
    assert runner.inputs[0].signature == (-1, 4)
    assert runner.run([np.zeros((1, 4), np.float32)])[0].shape == (1, 4)
    with pytest.raises(InputMismatch, match=r"shape \[1x5\], expected \[\?x4\]"):
        runner.run([np.zeros((1, 5), np.float32)])


def test_a_wrong_dtype_or_count_is_refused(tmp_path: Path) -> None:
    runner = load(models.add_one(), tmp_path)
    with pytest.raises(InputMismatch, match="dtype float64, expected float32"):
        runner.run([np.zeros((1, 4))])
    with pytest.raises(InputMismatch, match="got 2 inputs, expected 1"):
        runner.run([np.zeros((1, 4), np.float32)] * 2)


def test_reset_clears_resource_variables_and_keeps_the_shape(tmp_path: Path) -> None:
    runner = load(models.running_sum(), tmp_path)
    x = np.ones((1, 4), np.float32)
    assert [float(runner.run([x])[0][0, 0]) for _ in range(3)] == [1, 2, 3]
    runner.reset()
    assert float(runner.run([x])[0][0, 0]) == 1


def test_intermediate_tensors_can_be_read_when_preserved(tmp_path: Path) -> None:
    x = np.full((1, 4), 2, np.float32)
    runner = load(models.running_sum(), tmp_path, kernels="builtin", preserve_tensors=True)
    runner.run([x])
    runner.run([x])
    np.testing.assert_array_equal(runner.tensor(2), x)
    with pytest.raises(RunError, match="preserve_tensors=True"):
        load(models.add_one(), tmp_path).tensor(0)


def test_texts_pass_through(tmp_path: Path) -> None:
    (out,) = load(models.texts(), tmp_path).run([np.array([b"a", b"", b"ccc"], object)])
    assert out.reshape(-1).tolist() == [b"a", b"", b"ccc"]


def test_an_unknown_custom_operator_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperator, match="custom operator Mine"):
        load(models.custom("Mine"), tmp_path)


def test_litert_s_own_reason_is_in_the_error(tmp_path: Path) -> None:
    path = models.save(models.add_one(), tmp_path)
    model = read(path)
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    with pytest.raises(ModelError, match=r"LiteRT cannot load the model: .+") as caught:
        ENGINE.load(path, model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options, threads, message",
    [
        ({"kernel": "default"}, 1, "has no option 'kernel'"),
        ({"kernels": "fast"}, 1, "kernels is 'fast'; choose one of: default, builtin, reference"),
        ({"precision": "float16"}, 1, "float32, got precision 'float16'"),
        ({}, 0, "threads is 0"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, options: dict[str, object], threads: int, message: str
) -> None:
    path = models.save(models.add_one(), tmp_path)
    with pytest.raises(UsageError, match=message):
        ENGINE.load(path, read(path), threads=threads, options=options)


def test_log_keeps_information_away_and_passes_the_rest_on(capfd: pytest.CaptureFixture[str]) -> None:
    with log.captured() as lines:
        os.write(2, b"INFO: hello\nWARNING: careful\n")
    assert lines == ["INFO: hello", "WARNING: careful"]
    assert capfd.readouterr().err == "WARNING: careful\n"


def test_log_leaves_the_lines_of_a_failure_to_its_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with log.captured() as lines:
            try:
                os.write(2, b"ERROR: no kernel\nINFO: hello\n")
                raise ValueError("Broken.\nRegistration failed.")
            finally:
                kept.append(lines)

    kept: list[list[str]] = []
    with pytest.raises(ValueError, match="Broken") as caught:
        fail()
    assert log.cause(caught.value, kept[0]) == "Broken; no kernel"
    assert capfd.readouterr().err == ""


def test_loading_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(models.add_one(), tmp_path)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_real_models_run_and_their_operators_are_supported(zoo_dir: Path) -> None:
    files = sorted((zoo_dir / "tflite").glob("*.tflite"))
    assert files
    for path in files:
        model = read(path)
        assert all(ENGINE.supports(model)), path.name
        runner = ENGINE.load(path, model)
        outputs = runner.run([np.zeros(p.type.shape, p.type.dtype.numpy) for p in runner.inputs])
        assert [out.shape for out in outputs] == [p.type.shape for p in runner.outputs], path.name
        assert [out.dtype for out in outputs] == [p.type.dtype.numpy for p in runner.outputs], path.name
        runner.close()
