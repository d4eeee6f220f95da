"""What the constructors take and refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

import sanderling.lite as lite
from sanderling.errors import ModelError, SanderlingError
from tests.engines import models
from tests.lite.both import assert_same_outcome, assert_says, outcome

X = np.ones((1, 4), np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return models.save(models.add_one(), tmp_path)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({}, "`model_path` or `model_content` must be specified"),
        ({"model_path": "", "model_content": b""}, "must be specified"),
        ({"model_path": "a", "model_content": b"b"}, "both provide `model_path` and `model_content`"),
        ({"model_path": "/no/such/file"}, "/no/such/file"),
        ({"model_path": "/tmp"}, ""),
        ({"model_path": 5}, "expected str, bytes or os.PathLike object, not int"),
        ({"model_content": b"abc"}, ""),
        ({"model_content": "abc"}, ""),
        ({"num_threads": 0}, "num_threads should >= 1"),
        ({"num_threads": -3}, "num_threads should >= 1"),
        ({"num_threads": 1.5}, "type of num_threads should be int"),
        ({"num_threads": "2"}, "type of num_threads should be int"),
        ({"experimental_op_resolver_type": 7}, "Unrecognized passed in op resolver type: 7"),
        ({"experimental_op_resolver_type": None}, "Unrecognized passed in op resolver type: None"),
        ({"experimental_delegates": [5]}, "'int' object has no attribute '_get_native_delegate_pointer'"),
        ({"unknown": 1}, "unexpected keyword argument 'unknown'"),
    ],
)
def test_wrong_arguments(path: Path, arguments: dict[str, Any], words: str) -> None:
    given = arguments if "model_path" in arguments or "model_content" in arguments or not arguments else {
        "model_path": str(path), **arguments
    }  # fmt: skip
    a, b = outcome(lambda: litert.Interpreter(**given)), outcome(lambda: lite.Interpreter(**given))
    assert a.kind is b.kind is not None
    for side in (a, b):
        assert_says(side, words)
    if isinstance(b.error, SanderlingError):
        assert "\n" not in str(b.error)


def test_paths_of_all_kinds(path: Path) -> None:
    for given in (str(path), path, os.fsencode(path)):
        lite.Interpreter(given).allocate_tensors()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_content_of_all_kinds(path: Path, kind: Any) -> None:
    for delegates in ([], [lite.EngineDelegate("litert")]):
        interpreter = lite.Interpreter(
            model_content=kind(path.read_bytes()), experimental_delegates=delegates
        )
        path.with_suffix(".gone").write_bytes(b"")
        interpreter.allocate_tensors()
        interpreter.set_tensor(0, X)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_tensor(2), X + 1)


def test_other_formats_are_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a \.onnx file, expected \.tflite") as caught:
        lite.Interpreter(str(tmp_path / "net.onnx"))
    assert isinstance(caught.value, ModelError)


def test_every_experimental_flag_reaches_litert(path: Path) -> None:
    flags = [
        "experimental_disable_delegate_clustering",
        "experimental_default_delegate_latest_features",
        "experimental_compress_quantization_zero_points",
        "experimental_disable_delegate_node_fusion",
        "experimental_force_delegate_node_profiling",
    ]
    for flag in flags:
        interpreter = lite.Interpreter(str(path), **{flag: True})  # type: ignore[arg-type]
        interpreter.allocate_tensors()
        assert interpreter.experimental_compress_quantization_zero_points is ("compress" in flag)
        with pytest.raises(ValueError, match=f"{flag} is an option of LiteRT, which engine reference does"):
            lite.Interpreter(
                str(path),
                experimental_delegates=[lite.load_delegate("reference")],
                **{flag: True},  # type: ignore[arg-type]
            )


def test_the_environment_sets_the_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_THREADS", "2")
    assert lite.Interpreter(str(path))._backend._source.threads == 2  # type: ignore[attr-defined]
    assert lite.Interpreter(str(path), num_threads=1)._backend._source.threads == 1  # type: ignore[attr-defined]


def test_custom_operators_are_registered(path: Path) -> None:
    called: list[int] = []
    interpreter = lite.InterpreterWithCustomOps(
        custom_op_registerers=[called.append], model_path=str(path), num_threads=1
    )
    interpreter.allocate_tensors()
    assert len(called) == 1
    assert called[0] > 0

    def nowhere(module: Any) -> Any:
        return module.InterpreterWithCustomOps(custom_op_registerers=["Nope"], model_path=str(path))

    a, b = outcome(lambda: nowhere(litert)), outcome(lambda: nowhere(lite))
    assert_same_outcome(a, b)
    assert_says(b, "Nope")


def test_the_native_handle_is_an_address(path: Path) -> None:
    assert lite.Interpreter(str(path))._native_handle() > 0
    with pytest.raises(RuntimeError, match="engine reference has no native handle"):
        lite.Interpreter(str(path), experimental_delegates=[lite.load_delegate("reference")])._native_handle()


def test_every_name_is_there() -> None:
    for name in lite.__all__:
        assert getattr(lite, name) is not None
        assert name in dir(lite)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lite.nothing
