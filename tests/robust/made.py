"""Everything that can be wrong with what a user gives, in one folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from sanderling import tflite
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import classifier, save

USER_CODE = """
import numpy as np

def raising(*sample): raise ValueError("no\\nway")
def leaving(*sample): raise SystemExit(3)
def misshapen(*sample): return np.zeros((3, 3), np.float32)
def nothing(*sample): return None
def nan(*sample): return np.full((1, 12, 12, 1), np.nan, np.float32)
def metric_raising(reference, candidate, label): raise KeyError("x")
def metric_leaving(reference, candidate, label): raise SystemExit(3)
def metric_nan(reference, candidate, label): return float("nan")
def metric_text(reference, candidate, label): return "good"
def metric_two(reference, candidate): return 0.0
def metric_upside_down(reference, candidate, label): return 1.0
"""


def _tensor(name: str, *shape: int, data: np.ndarray | None = None) -> Tensor:
    return Tensor(name, TensorType(shape, DType.FLOAT32), data)


def _adding(shape: tuple[int, ...], one: np.ndarray, *, inputs: bool = True) -> Model:
    """A model that adds a constant."""
    tensors = (_tensor("input", *shape), _tensor("one", *one.shape, data=one), _tensor("out", *shape))
    operands = (0, 1) if inputs else (1, 1)
    node = Node("ADD", operands, (2,), {"fused_activation_function": "NONE"}, "AddOptions")
    return Model((Graph(tensors, (node,), (0,) if inputs else (), (2,), "main"),))


def _free(model: Model, signature: tuple[int, ...]) -> Model:
    """The same model for inputs of any size."""
    graph = model.main
    tensors = [replace(t, shape_signature=signature) if t.data is None else t for t in graph.tensors]
    return model.with_main(replace(graph, tensors=tuple(tensors)))


def make_models(folder: Path) -> None:
    """Writes models: sound ones, strange ones and files that are none."""
    whole = save(classifier(), folder / "net.tflite").read_bytes()
    save(classifier(seed=3), folder / "other.tflite")
    save(classifier(classes=7), folder / "seven.tflite")
    (folder / "empty.tflite").write_bytes(b"")
    (folder / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    (folder / "head.tflite").write_bytes(whole[:7])
    (folder / "picture.tflite").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    newer = bytearray(whole)
    root = int.from_bytes(whole[:4], "little")
    vtable = root - int.from_bytes(whole[root : root + 4], "little", signed=True)
    newer[root + int.from_bytes(whole[vtable + 4 : vtable + 6], "little")] = 4
    (folder / "newer.tflite").write_bytes(newer)
    custom = Node("CUSTOM", (0,), (1,), {}, "", "Landmarks2Nowhere")
    graph = Graph((_tensor("input", 1, 4), _tensor("out", 1, 4)), (custom,), (0,), (1,), "main")
    tflite.write(Model((graph,)), folder / "custom.tflite")
    tflite.write(_adding((1, 0), np.ones((1, 1), np.float32)), folder / "zero.tflite")
    tflite.write(_adding((1, 4), np.ones((1, 4), np.float32), inputs=False), folder / "noinput.tflite")
    free = _free(_adding((1, 1, 1, 3), np.ones(3, np.float32)), (-1, -1, -1, 3))
    tflite.write(free, folder / "dynamic.tflite")


def make_samples(folder: Path) -> None:
    """Writes samples: usable ones, unusable ones, and one bad one among many."""
    from PIL import Image

    x = np.random.default_rng(0).random((40, 12, 12, 1), dtype=np.float32)
    bad = x.copy()
    bad[17, 3, 3] = np.nan
    for name, array in {
        "x": x, "complex": x.astype(np.complex64), "text": np.array(["a", "b"]), "none": x[:0],
        "scalar": np.float32(3), "nan": bad, "flat": x.reshape(40, 144)[:, :30],
    }.items():  # fmt: skip
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "objects.npy", np.array([{}, 1], object), allow_pickle=True)
    np.savez(folder / "several.npz", a=x, b=x)
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:3000])
    (folder / "junk.npy").write_bytes(b"junkjunk")
    (folder / "junk.npz").write_bytes(b"PK\x03\x04junk")
    for name in ("pictures", "damaged", "texts", "nothing"):
        (folder / name).mkdir()
    (folder / "texts" / "a.txt").write_text("hello")
    for number in range(20):
        picture = Image.fromarray((x[number, :, :, 0] * 255).astype(np.uint8))
        picture.save(folder / "pictures" / f"{number:02}.jpg")
        whole = (folder / "pictures" / f"{number:02}.jpg").read_bytes()
        (folder / "damaged" / f"{number:02}.jpg").write_bytes(whole[:180] if number == 11 else whole)
    (folder / "short.csv").write_text("0\n1\n2\n")
    (folder / "half.csv").write_text("file,label\n" + "".join(f"{i:02}.jpg,{i % 5}\n" for i in range(10)))
    (folder / "empty.csv").write_text("")
    (folder / "binary.csv").write_bytes(bytes(range(256)))


def make_code(folder: Path) -> None:
    """Writes a user's functions and recipes."""
    (folder / "user.py").write_text(USER_CODE)
    (folder / "syntax.py").write_text("def f(:\n")
    (folder / "dividing.py").write_text("1 / 0\n")
    (folder / "leaving.py").write_text("raise SystemExit(7)\n")
    step = {"technique": "magic", "settings": {}}
    (folder / "magic.json").write_text(json.dumps({"recipe": {"name": "x", "steps": [step]}}))
    (folder / "cut.json").write_text("[1, 2")
    (folder / "list.json").write_text("[1, 2]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "file").write_text("not a folder")
