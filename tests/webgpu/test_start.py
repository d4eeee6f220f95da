"""What is kept for the next start: kernels that are compiled early, and whole programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling
from sanderling.engines.webgpu import early, shelf
from sanderling.engines.webgpu.compiler import compile
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.driver.pipelines import Pipelines
from sanderling.engines.webgpu.remember import fingerprint
from sanderling.errors import FormatError, KernelError
from sanderling.runtime.session import Session
from tests.models import classifier, run_litert, save
from tests.webgpu.making import CLOSE, compare, compiled, settle

X = np.random.default_rng(5).standard_normal((1, 12, 12, 1)).astype(np.float32)
PLAIN = "@compute @workgroup_size(1) fn main() { _ = %du; }"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "webgpu"
    settle()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(classifier(), tmp_path / "m.tflite")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever a graph is compiled."""
    right, asked = compile.compile_graph, []

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(1)
        return right(*args, **kwargs)

    monkeypatch.setattr(compile, "compile_graph", counted)
    return asked


def answer(path: Path) -> np.ndarray:
    with Session(path, engine="webgpu") as session:
        found = np.asarray(session(X))
    settle()
    return found


def test_a_program_is_compiled_once(device: Device, path: Path, made: list[int]) -> None:
    first = answer(path)
    compare(first, run_litert(path, X)[0], CLOSE)
    assert len(made) == 1
    np.testing.assert_array_equal(answer(path), first)
    assert len(made) == 1
    with Session(path, engine="webgpu", precision="float16") as session:
        session(X)
    assert len(made) == 2


def test_another_model_or_other_code_compiles_anew(
    device: Device, path: Path, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(path)
    save(classifier(1), path)
    os.utime(path, ns=(1, 1))  # no older, by its time
    compare(answer(path), run_litert(path, X)[0], CLOSE)
    assert len(made) == 2
    monkeypatch.setattr(shelf, "_stamp", lambda: "our files have changed")
    answer(path)
    assert len(made) == 3


@pytest.mark.parametrize("name", ["weights.bin", "program.json", "fingerprint", "verdicts.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_what_is_damaged_is_made_again(
    device: Device, path: Path, own_cache: Path, name: str, damage: str, made: list[int]
) -> None:
    first = answer(path)
    (file,) = own_cache.rglob(name)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 4
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"flip": bytes(raw), "cut": bytes(raw[: len(raw) // 2]), "empty": b""}[damage])
    np.testing.assert_array_equal(answer(path), first)
    # Verdicts have no fingerprint: a wrong one is a matter of placement, and "{}" has nothing to flip.
    assert len(made) == (1 if name == "verdicts.json" else 2)


def test_a_program_of_another_graph_is_not_taken(
    device: Device, path: Path, own_cache: Path, tmp_path: Path, made: list[int]
) -> None:
    answer(path)
    (mine,) = [file.parent for file in own_cache.rglob("fingerprint")]
    other = save(classifier(classes=7), tmp_path / "other.tflite")
    answer(other)
    (theirs,) = [file.parent for file in own_cache.rglob("fingerprint") if file.parent != mine]
    for file in mine.iterdir():
        (theirs / file.name).write_bytes(file.read_bytes())
    compare(answer(other), run_litert(other, X)[0], CLOSE)
    assert len(made) == 3


def test_threads_may_keep_the_same_program(own_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = compiled(classifier(), Target())
    places = [own_cache / "programs" / "model" / name for name in "ab"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: shelf._write(program, places[turn % 2]), range(64)))
    assert caplog.messages == []
    for place in places:
        found = shelf._read(place)
        assert found is not None
        assert found[1] == fingerprint(program)
    assert sorted(places[0].parent.iterdir()) == places


def test_the_oldest_programs_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        folder = tmp_path / f"model{number}"
        folder.mkdir()
        (folder / "weights.bin").write_bytes(bytes(100))
        os.utime(folder, (number, number))
    monkeypatch.setattr(shelf, "MOST_BYTES", 250)
    shelf._trim(tmp_path)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["model2", "model3"]


def test_kernels_of_the_last_time_are_known(device: Device, path: Path, own_cache: Path) -> None:
    with Session(path, engine="webgpu") as session:
        used = set(session._runner.loaded.kernels())  # type: ignore[attr-defined]
    assert set(early.recall(path, device.adapter)) == used
    (file,) = own_cache.glob("kernels-*.json")
    for text in ("", "[]", '{"format": 1, "kernels": 3}', '{"format": 9, "kernels": []}', "[" * 5000):
        file.write_text(text)
        assert early.recall(path, device.adapter) == []
    rows = [["a", ["storage"]], ["b", ["nonsense"]], [3, []], ["c"], ["d", ["uniform"] * 99]]
    file.write_text(json.dumps({"format": 1, "kernels": rows}))
    assert early.recall(path, device.adapter) == [("a", ("storage",))]
    compare(answer(path), run_litert(path, X)[0], CLOSE)  # "a" is no kernel, and nobody asks for it
    assert set(early.recall(path, device.adapter)) == used


def test_whatever_is_begun_early_the_error_is_that_of_loading(device: Device, tmp_path: Path) -> None:
    early.begin(tmp_path / "none.tflite", {"device": 1.5, "library": []})
    early.begin(tmp_path / "none.tflite", {"device": "Voodoo"})
    settle()
    with pytest.raises(FormatError, match=r"none\.tflite"):
        Session(tmp_path / "none.tflite", engine="webgpu")


def test_kernels_are_compiled_in_the_background_and_once(device: Device) -> None:
    pipelines = Pipelines(device._gpu)
    wanted = [(PLAIN % number, ()) for number in range(12)]
    pipelines.soon([*wanted, *wanted])
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: pipelines.get(*wanted[n % 12]), range(48)))
    assert len({id(kernel) for kernel in found}) == 12
    settle()
    assert pipelines.get(*wanted[0]) is found[0]


def test_a_kernel_that_nobody_asks_for_may_be_wrong(device: Device) -> None:
    pipelines = Pipelines(device._gpu)
    pipelines.soon([("nonsense", ()), (PLAIN % 1, ())])
    assert pipelines.get(PLAIN % 1, ()) is not None
    for where in ("first", "second"):
        with pytest.raises(KernelError, match=f"{where}: the shader compiler says"):
            pipelines.get("nonsense", (), where)


def test_kept_programs_know_every_file_that_they_depend_on() -> None:
    house = Path(sanderling.__file__).parent
    known = {line.split(" ")[0] for line in shelf.own_files()}
    needed = [*(house / "engines/webgpu").rglob("*.py"), *(house / "ops").glob("*.wgsl")]
    assert len(needed) > 80
    assert {path.relative_to(house).as_posix() for path in needed} <= known
