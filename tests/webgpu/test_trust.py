"""Trust on first use: wrong answers are caught, named, moved to the CPU and remembered."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.engines.trust import distance
from sanderling.engines.webgpu import shelf, trust
from sanderling.engines.webgpu.compiler import compile
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.driver import device as devices
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.runner import WrongAnswer
from sanderling.graph.graph import Model
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.runtime.session import Session
from tests.models import Net, classifier, run_litert, save
from tests.webgpu.making import CLOSE, compare, settle

FLOAT = TensorType((3,), DType.FLOAT32)
X = np.random.default_rng(5).standard_normal((1, 12, 12, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SANDERLING_VERIFY", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(classifier(), tmp_path / "m.tflite")


def plant(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> list[Program]:
    """Has every compiled program pass through ``wrong``. Returns: a list of what was compiled."""
    right, made = compile.compile_graph, []

    def compiled(*args: Any, **kwargs: Any) -> Program:
        program = wrong(right(*args, **kwargs))
        made.append(program)
        return program

    monkeypatch.setattr(compile, "compile_graph", compiled)
    monkeypatch.setattr(shelf, "_stamp", lambda: wrong.__name__)  # as if our files had changed
    return made


def smallest_for_largest(program: Program) -> Program:
    """A wrong kernel: the pool takes the smallest element."""
    shaders = tuple(text.replace("max(", "min(") for text in program.shaders)
    pools = {d.shader for d in program.dispatches if "pool" in d.label.lower()}
    mixed = tuple(
        s if i in pools else old for i, (s, old) in enumerate(zip(shaders, program.shaders, strict=True))
    )
    assert not pools or mixed != program.shaders
    return replace(program, shaders=mixed)


def wrong_rows(session: Session) -> list[str]:
    return [row.operator for row in session.placement if "its answer is" in row.reason]


def test_a_wrong_kernel(device: Device, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, smallest_for_largest)
    (wanted,) = run_litert(path, X)
    with Session(path, engine="webgpu") as session:
        assert {row.engine for row in session.placement} == {"webgpu"}
        with pytest.warns(WrongAnswer, match=r"wrong answers for MAX_POOL_2D 'max_pool_2d_1' \(its answer"):
            compare(session(X), wanted, CLOSE)
        assert wrong_rows(session) == ["MAX_POOL_2D"]
        assert session.placement[1].engine == "litert"
        compare(session(X), wanted, CLOSE)
    with Session(path, engine="webgpu") as session:  # remembered, and no second warning
        assert wrong_rows(session) == ["MAX_POOL_2D"]
        compare(session(X), wanted, CLOSE)


def test_a_driver_that_answers_wrongly(device: Device, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Device.finish

    def finish(self: Device, turn: Any, size: int) -> np.ndarray:
        raw = right(self, turn, size)
        raw.view(np.float32)[0] += 0.5
        return raw

    monkeypatch.setattr(devices.Device, "finish", finish)
    (wanted,) = run_litert(path, X)
    with Session(path, engine="webgpu") as session:
        with pytest.warns(WrongAnswer, match="and 3 more: from now on the CPU computes them"):
            compare(session(X), wanted, CLOSE)
        assert {row.engine for row in session.placement} == {"litert"}
    with Session(path, engine="webgpu") as session:
        compare(session(X), wanted, CLOSE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity(device: Device, path: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    right = Device.finish

    def finish(self: Device, turn: Any, size: int) -> np.ndarray:
        raw = right(self, turn, size)
        if size == 32:  # of the classifier's last operators
            raw.view(np.float32)[2] = value
        return raw

    monkeypatch.setattr(devices.Device, "finish", finish)
    with Session(path, engine="webgpu") as session:
        with pytest.warns(WrongAnswer, match="infinitely far"):
            answer = session(X)
        compare(answer, run_litert(path, X)[0], CLOSE)


def test_wrong_only_when_fused(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operator alone is right: the first after which the whole is wrong is moved."""

    def doubled(program: Program) -> Program:
        fused = {d.shader for d in program.dispatches if len(d.nodes) > 1}
        texts = [t.replace("exp(", "exp(2.0 * ") if i in fused else t for i, t in enumerate(program.shaders)]
        return replace(program, shaders=tuple(texts))

    plant(monkeypatch, doubled)
    net = Net((1, 32, 32, 8)).conv(16, activation="NONE").op("LOGISTIC", (1, 32, 32, 16)).conv(4)
    path = save(net.model(), tmp_path / "m.tflite")
    x = np.random.default_rng(0).standard_normal((1, 32, 32, 8)).astype(np.float32)
    with Session(path, engine="webgpu") as session:
        with pytest.warns(WrongAnswer, match="LOGISTIC"):
            compare(session(x), run_litert(path, x)[0], CLOSE)
        assert wrong_rows(session) == ["LOGISTIC"]


def logarithms(factor: float) -> Model:
    """Powers so small that 16 bits do not tell them apart, and their logarithms."""
    net = Net((1, 8, 8, 4))
    small = net.constant(np.array(factor, np.float32), "small")
    net.op("MUL", (1, 8, 8, 4), (small,), "MulOptions", fused_activation_function="NONE")
    return net.pool().op("LOG", (1, 4, 4, 4)).conv(5).conv(5).model()


@pytest.mark.parametrize("factor", [3e-9, 3e-10], ids=["wrong alone", "too small to be seen alone"])
def test_what_is_wrong_in_16_bits_is_computed_in_32(device: Device, tmp_path: Path, factor: float) -> None:
    """It does not move to the CPU, and nobody is warned: nothing is wrong with the GPU. The logarithm shows
    what those before it have lost."""
    path = save(logarithms(factor), tmp_path / "m.tflite")
    x = np.random.default_rng(0).uniform(1, 9, (1, 8, 8, 4)).astype(np.float32)
    for _ in range(2):  # the second time it is remembered
        with Session(path, engine="webgpu", precision="float16") as session:
            compare(session(x), run_litert(path, x)[0], 1e-2)
            told = {row.output: row.reason for row in session.placement}
            assert {row.engine for row in session.placement} == {"webgpu"}
        for name in ("mul_0", "max_pool_2d_1"):
            assert "; float32: in float16 " in told[name], told
        assert told["conv_2d_4"].endswith("; float16")


def test_a_wrong_kernel_in_16_bits_still_moves_to_the_cpu(
    device: Device, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, smallest_for_largest)
    with Session(path, engine="webgpu", precision="float16") as session:
        with pytest.warns(WrongAnswer, match="MAX_POOL_2D"):
            compare(session(X), run_litert(path, X)[0], 1e-2)
        assert wrong_rows(session) == ["MAX_POOL_2D"]


def test_noise_is_asked_where_the_first_input_says_nothing(
    device: Device, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, smallest_for_largest)
    with Session(path, engine="webgpu") as session:
        with pytest.warns(WrongAnswer, match="MAX_POOL_2D"):
            session(np.zeros_like(X))
        compare(session(X), run_litert(path, X)[0], CLOSE)


def test_whoever_trusts_is_not_asked(device: Device, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, smallest_for_largest)
    with Session(path, engine="webgpu", trust=True) as session:
        assert not np.allclose(session(X), run_litert(path, X)[0])
    monkeypatch.setenv("SANDERLING_VERIFY", "0")
    with Session(path, engine="webgpu") as session:
        assert not np.allclose(session(X), run_litert(path, X)[0])


def test_right_answers_are_checked_once(device: Device, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling.engines.webgpu.trust import Check

    asked: list[int] = []
    right = Check.verdict

    def verdict(self: Check, *args: Any) -> Any:
        asked.append(1)
        return right(self, *args)

    monkeypatch.setattr(Check, "verdict", verdict)
    for _ in range(2):
        with Session(path, engine="webgpu") as session:
            session(X)
            session(X)
    assert len(asked) == 1
    monkeypatch.setenv("SANDERLING_CACHE", str(path.parent / "file" / "cache"))
    (path.parent / "file").write_text("no folder can be made here")
    with Session(path, engine="webgpu") as session, warnings.catch_warnings():
        session(X)  # what cannot be remembered is asked again
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "wrong": 3, "programs": {}, "choices": [1]}'])
def test_a_damaged_memory_is_forgotten(device: Device, path: Path, text: str) -> None:
    with Session(path, engine="webgpu") as session:
        session(X)
    settle()
    kept = list((path.parent / "cache" / "webgpu").rglob("*.json"))
    assert kept
    for file in kept:
        file.write_text(text)
    with Session(path, engine="webgpu") as session:
        compare(session(X), run_litert(path, X)[0], CLOSE)


def test_a_right_answer_is_compared_with_that_to_the_users_own_file(
    device: Device, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "OnCpu", lambda *_, **__: pytest.fail("a file of ours was asked"))
    with Session(path, engine="webgpu") as session:
        compare(session(X), run_litert(path, X)[0], CLOSE)
        assert len(session._runner._memory.programs) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "mine, wanted, apart",
    [([1, 2, 4], [1, 2, 4], 0), ([1, 2, 4.4], [1, 2, 4], 0.1), ([np.nan, 2, 4], [np.nan, 2, 4], 0),
     ([np.nan, 2, 4], [1, 2, 4], inf), ([np.inf, 2, 4], [1, 2, 4], inf),
     ([np.inf, 2, 4], [-np.inf, 2, 4], inf), ([1, 2], [1, 2, 4], inf), ([0, 0, 0], [0, 0, 0], 0)],
)  # fmt: skip
def test_distance(mine: list[float], wanted: list[float], apart: float) -> None:
    assert distance(np.array(mine, np.float32), np.array(wanted, np.float32), FLOAT) == pytest.approx(apart)


def test_integers_are_apart_in_steps() -> None:
    kind = TensorType((2,), DType.INT8, Quant.of(0.1))
    assert distance(np.array([127, 0], np.int8), np.array([-128, 0], np.int8), kind) == 255
    assert distance(np.zeros(0, np.int8), np.zeros(0, np.int8), kind) == 0
