"""SavedModels, by TensorFlow's own converter: nothing else reads them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion, Converter, Wishes
from sanderling.convert.finish import finish, named
from sanderling.convert.lowered import LOWER_SECONDS, RUN_SECONDS
from sanderling.errors import MissingExtra
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.tflite.read import parse

_TENSORFLOW = "sanderling.convert.tensorflow"


def reads(path: Path) -> bool:
    """Returns: whether a folder is a SavedModel."""
    return (path / "saved_model.pb").is_file()


def takes(_: object) -> bool:
    """Returns: False: a SavedModel is a folder."""
    return False


def convert(source: object, wishes: Wishes) -> Conversion:
    """Converts a SavedModel, in a process of its own.

    Raises:
        ConvertError, FormatError: it cannot be read or converted.
        MissingExtra: TensorFlow is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtra("reading SavedModels", "tensorflow")
    return by_tensorflow("load_saved_model", Path(str(source)), wishes, signature=wishes.function)


def by_tensorflow(load: str, path: Path, wishes: Wishes, **more: Any) -> Conversion:
    """Converts what a function of ``tensorflow.py`` loads, and keeps its worker for the comparison."""
    worker = Worker(name="TensorFlow")
    shapes = {name: list(sizes) for name, sizes in wishes.shapes.items()}
    found = worker.call(
        f"{_TENSORFLOW}:{load}", path=str(path.resolve()), shapes=shapes, timeout=LOWER_SECONDS,
        doing=f"converting {path.name}", **more,
    )  # fmt: skip
    model = parse(memoryview(np.asarray(found["content"]).tobytes()))
    inputs, outputs = model.input_names(), model.output_names()
    kinds = [model.main.tensors[index].dtype.numpy for index in model.main.outputs]
    model = finish(named(model, inputs, outputs))

    def reference(arrays: Sequence[Array]) -> list[Array]:
        feed = dict(zip(inputs, arrays, strict=True))
        answer = worker.call(f"{_TENSORFLOW}:run", feed=feed, timeout=RUN_SECONDS, doing="running the source")
        return [
            np.asarray(answer[name]).astype(kind, copy=False)
            for name, kind in zip(outputs, kinds, strict=True)
        ]

    return Conversion(model, reference, f"TensorFlow {found['version']} and its converter")


CONVERTER = Converter(
    "saved_model",
    "a SavedModel folder",
    "tensorflow",
    reads,
    takes,
    convert,
    ("tensorflow", "tensorflow-cpu"),
)
