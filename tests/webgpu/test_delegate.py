"""The classic interpreter with a GPU delegate: the import and one argument are all that changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling import lite
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Model, Signature
from tests.engines import models
from tests.lite.networks import memory
from tests.models import Net, classifier, run_litert, save
from tests.webgpu.making import CLOSE, compare


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("delegate", ["GpuDelegate", "load_delegate", "options"])
def test_a_classic_script(device: Device, tmp_path: Path, delegate: str) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    gpu = {
        "GpuDelegate": lambda: lite.GpuDelegate(),
        "load_delegate": lambda: lite.load_delegate("gpu"),
        "options": lambda: lite.GpuDelegate({"device": device.adapter.number, "pin": {1: "cpu"}}),
    }[delegate]()
    interpreter = lite.Interpreter(model_path=str(path), experimental_delegates=[gpu])
    interpreter.allocate_tensors()
    (fed,), (read,) = interpreter.get_input_details(), interpreter.get_output_details()
    for seed in range(3):
        x = image(*fed["shape"]) + seed
        interpreter.set_tensor(fed["index"], x)
        interpreter.invoke()
        compare(interpreter.get_tensor(read["index"]), run_litert(path, x)[0], CLOSE)


def test_resized_inputs(device: Device, tmp_path: Path) -> None:
    path = save(Net((1, 8, 8, 3)).conv(5).pool().model(), tmp_path / "m.tflite")
    mine = lite.Interpreter(model_path=str(path), experimental_delegates=[lite.GpuDelegate()])
    theirs = lite.Interpreter(model_path=str(path))
    for shape in ((1, 8, 8, 3), (4, 12, 8, 3), (1, 8, 8, 3), (2, 6, 6, 3)):
        answers = []
        for interpreter in (mine, theirs):
            interpreter.resize_tensor_input(0, shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(0, image(*shape))
            interpreter.invoke()
            (read,) = interpreter.get_output_details()
            answers.append(interpreter.get_tensor(read["index"]))
        compare(answers[0], answers[1], CLOSE)


def test_a_shape_that_does_not_fit_raises_as_litert_does(device: Device, tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    interpreter = lite.Interpreter(model_path=str(path), experimental_delegates=[lite.GpuDelegate()])
    interpreter.resize_tensor_input(0, (1, 10, 10, 1))
    with pytest.raises((ValueError, RuntimeError), match="does not work with inputs"):
        interpreter.allocate_tensors()


def test_several_signatures(device: Device, tmp_path: Path) -> None:
    graph = models.two_by_two().main
    signatures = (
        Signature("forth", (("a", 0), ("b", 1)), (("sum", 2), ("product", 3))),
        Signature("back", (("b", 0), ("a", 1)), (("product", 3),)),
    )
    path = save(Model((graph,), signatures), tmp_path / "m.tflite")
    interpreter = lite.Interpreter(model_path=str(path), experimental_delegates=[lite.GpuDelegate()])
    a, b = image(1, 4), image(1, 4) + 1
    forth, back = (interpreter.get_signature_runner(key) for key in ("forth", "back"))
    answer = forth(a=a, b=b)
    np.testing.assert_allclose(answer["sum"], a + b, rtol=1e-6)
    np.testing.assert_allclose(back(a=a, b=b)["product"], a * b, rtol=1e-6)


def test_variables(device: Device, tmp_path: Path) -> None:
    for model, shape in ((models.running_sum(), (1, 4)), (memory(), (1, 2))):
        path = save(replace(model, description="made for a test"), tmp_path / "m.tflite")
        both = [
            lite.Interpreter(model_path=str(path), experimental_delegates=delegates)
            for delegates in ([lite.GpuDelegate()], None)
        ]
        for interpreter in both:
            interpreter.allocate_tensors()
        for call in range(4):
            answers = []
            for interpreter in both:
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image(*shape) + call)
                interpreter.invoke()
                answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
            np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6)
            if call == 1:
                for interpreter in both:
                    interpreter.reset_all_variables()
