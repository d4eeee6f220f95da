"""A ``.pt2`` file is looked through before PyTorch sees it: nothing is unpickled, evaluated or imported."""

from __future__ import annotations

import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sanderling.convert.torch import reads, refuse_pickles
from sanderling.convert.torch.archive import read_program
from sanderling.errors import ConvertError, FormatError, SanderlingError

PROGRAM, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
Change = Callable[[Any], Any]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, *, y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": self.layer(x) + y.reshape(x.shape[0], 2)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "net.pt2"
    batch = torch.export.Dim("batch", max=16)
    shapes = {"x": {0: batch}, "y": {0: batch}}
    program = torch.export.export(Net(), (torch.ones(3, 3),), {"y": torch.ones(3, 2)}, dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def changed(
    sound: Path, folder: Path, changes: dict[str, Change], extra: dict[str, bytes] | None = None
) -> Path:
    """Returns: a copy in which JSON entries went through a function each; None leaves an entry out."""
    path = folder / "changed.pt2"
    with zipfile.ZipFile(sound) as archive, zipfile.ZipFile(path, "w") as out:
        for info in archive.infolist():
            name, data = info.filename.partition("/")[2], archive.read(info)
            if name in changes:
                value = changes[name](json.loads(data) if name.endswith("json") else data)
                if value is None:
                    continue
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
            out.writestr(info.filename, data)
        for name, data in (extra or {}).items():
            out.writestr(f"net/{name}", data)
    return path


def deep(*keys: Any, value: Any) -> Change:
    """Returns: a change of one value, found by keys and positions."""

    def change(found: Any) -> Any:
        inner = found
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        return found

    return change


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


GRAPH = ("graph_module", "graph")
SPECS = ("graph_module", "module_call_graph", 0, "signature")
SIZE = (*GRAPH, "tensor_values", "x", "sizes", 0, "as_expr", "expr_str")
FACTORY = {"default_factory_module": "os", "default_factory_name": "mkdir", "dict_context": []}
ENUM = json.dumps([1, {"type": "builtins.dict", "context": json.dumps([{"__enum__": 1, "fqn": "this:x"}])}])
DICT = json.dumps([1, {"type": "collections.defaultdict", "context": FACTORY, "children_spec": []}])
ARGUMENT = json.dumps([1, {"type": "builtins.dict", "context": '["a=print(1)"]', "children_spec": []}])


@pytest.mark.parametrize(
    "change, told",
    [
        (
            deep(*GRAPH, "nodes", 0, "target", value="torch.os.system"),
            "calls 'torch.os.system', which is no op",
        ),
        (
            deep(*GRAPH, "nodes", 0, "target", value="torch.ops.aten.from_file.default"),
            "which is no operator",
        ),
        (deep(*GRAPH, "nodes", 0, "target", value="_operator.methodcaller"), "which is no operator"),
        (
            deep(*GRAPH, "nodes", 0, "target", value="torch.ops.mine.op.default"),
            "only PyTorch's own operators",
        ),
        (deep(*GRAPH, "nodes", 0, "target", value=7), "which is no operator"),
        (deep(*GRAPH, "nodes", 0, "name", value="x = 1\nimport os"), "names a value"),
        (deep(*GRAPH, "nodes", 0, "name", value="lambda"), "names a value"),
        (deep(*SIZE, value="__import__('os').mkdir('x')"), "which is no arithmetic of sizes"),
        (deep(*SIZE, value="(1).__class__"), "which is no arithmetic of sizes"),
        (deep(*SIZE, value="Pow(Integer(9), Pow(9, 9))"), "which is no arithmetic of sizes"),
        (deep(*SIZE, value="9**9**9**9"), "which is no arithmetic of sizes"),
        (deep(*SIZE, value="Symbol('s1 __import__')"), "which is no arithmetic of sizes"),
        (deep(*SIZE, value="("), "which is no arithmetic of sizes"),
        (deep(*SPECS, "in_spec", value=DICT), "a container of type 'collections.defaultdict'"),
        (deep(*SPECS, "out_spec", value=ENUM), "nested in no known way"),
        (deep(*SPECS, "in_spec", value=ARGUMENT), "names a"),
        (deep(*SPECS, "in_spec", value="["), "nested in no known way"),
        (
            deep("graph_module", "graph", "custom_obj_values", value={"a b": 1}),
            "names a value|class of its own|",
        ),
    ],
)
def test_programs_that_would_run_code(sound: Path, tmp_path: Path, change: Change, told: str) -> None:
    with pytest.raises(SanderlingError, match=told) as caught:
        read_program(changed(sound, tmp_path, {PROGRAM: change}))
    assert str(caught.value).count("\n") == 0


def test_pickles_are_refused_or_left_out(sound: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    trap = pickle.dumps(Trap(mark))
    pickled = deep("config", "layer.weight", "use_pickle", value=True)
    with pytest.raises(ConvertError, match=r"holds 'layer.weight' as a pickle, and these are never opened"):
        read_program(changed(sound, tmp_path, {WEIGHTS: pickled, "data/weights/weight_0": lambda _: trap}))
    opaque = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": None}
    constants = {CONSTANTS: lambda _: {"config": {"k": opaque}}}
    with pytest.raises(ConvertError, match="holds 'k' as a pickle"):
        read_program(changed(sound, tmp_path, constants, {"data/constants/opaque_obj_0": trap}))
    beside = {"data/weights/model.pt": trap, "data/constants/model.pt": trap}
    inputs: dict[str, Change] = {"data/sample_inputs/model.pt": lambda _: trap}
    guards: dict[str, Change] = {
        PROGRAM: deep("guards_code", value=[f"__import__('os').mkdir({str(mark)!r})"])
    }
    program = read_program(changed(sound, tmp_path, inputs | guards, beside))
    x = torch.ones(2, 3)
    wanted = torch.export.load(sound).module()(x, y=torch.ones(2, 2))["sum"]
    assert torch.equal(program.module()(x, y=torch.ones(2, 2))["sum"], wanted)
    assert not mark.exists()


@pytest.mark.parametrize(
    "changes, extra, told",
    [
        ({}, {"data/aotinductor/model/a.so": b""}, "holds machine code"),
        ({PROGRAM: lambda _: None}, {}, "holds no program, expected one program 'model'"),
        ({PROGRAM: lambda _: b"{"}, {}, "is no readable .pt2 archive"),
        ({PROGRAM: lambda _: b"[" * 100_000}, {}, "nested too deeply"),
        ({PROGRAM: lambda _: b"[]"}, {}, "holds no object"),
        ({WEIGHTS: lambda _: None}, {}, "weights_config.json is missing"),
        ({WEIGHTS: lambda _: {"config": 3}}, {}, "lists nothing"),
        ({"data/weights/weight_0": lambda _: None}, {}, "the bytes of 'layer.weight' are missing"),
        ({"data/weights/weight_0": lambda _: b""}, {}, "the bytes of 'layer.weight' are missing"),
        ({"data/weights/weight_0": lambda data: data[:8]}, {}, "cannot read the program"),
        ({WEIGHTS: deep("config", "layer.weight", "tensor_meta", "sizes", value=[{"as_int": 10**12}])}, {},
         "cannot read the program"),
        ({WEIGHTS: deep("config", "layer.weight", "path_name", value="../../weight_0")}, {}, "as a pickle"),
        ({"archive_format": lambda _: b"zip"}, {}, "is a zip file, but no archive of torch.export"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(
    sound: Path, tmp_path: Path, changes: dict[str, Change], extra: dict[str, bytes], told: str
) -> None:
    with pytest.raises(SanderlingError, match=told):
        read_program(changed(sound, tmp_path, changes, extra))


def test_compressed_archives_cannot_swell(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.pt2"
    with zipfile.ZipFile(sound) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for info in archive.infolist():
            out.writestr(info.filename, archive.read(info))
    with pytest.raises(FormatError, match="compressed"):
        read_program(path)


def test_damaged_files_end_in_a_sentence(sound: Path, tmp_path: Path) -> None:
    data, rng, path = sound.read_bytes(), random.Random(3), tmp_path / "damaged.pt2"
    for _ in range(60):
        torn = bytearray(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        for _ in range(rng.randint(1, 8)):
            torn[rng.randrange(len(torn))] = rng.randrange(256)
        path.write_bytes(torn)
        try:
            refuse_pickles(path)
            read_program(path)
        except SanderlingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some of these files are still sound


def test_other_files_of_pytorch_are_named_for_what_they_are(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Trap(mark)))
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt2")
    for name in ("old.pt", "weights.pth", "module.pt2"):
        assert reads(tmp_path / name)
        with pytest.raises(ConvertError, match=r"is a pickle .* never opened"):
            refuse_pickles(tmp_path / name)
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "script.pt")
    with pytest.raises(ConvertError, match="is TorchScript, whose code runs when it is loaded; save it with"):
        refuse_pickles(tmp_path / "script.pt")
    (tmp_path / "empty.pt2").touch()
    with pytest.raises(FormatError, match="the file is empty"):
        refuse_pickles(tmp_path / "empty.pt2")
    (tmp_path / "text.pt2").write_text("hello " * 50)
    with pytest.raises(FormatError, match=r"is no .pt2 archive"):
        refuse_pickles(tmp_path / "text.pt2")
    assert not mark.exists()
