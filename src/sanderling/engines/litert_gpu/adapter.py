"""Which GPU LiteRT's accelerator would take. Another process finds out: drivers may crash, and they talk."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from sanderling.engines.litert_gpu import known
from sanderling.errors import ModelError, WorkerError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.isolation.client import Worker

_TIMEOUT = 60.0  # seconds; some drivers compile for long when they are used for the first time
_SELECTED = re.compile(r"Selected adapter: (?P<name>.*?)(?:, \w+=.*?adapterType=(?P<kind>[^,]*))?$")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A GPU.

    Attributes:
        name: as its driver says it; "" where LiteRT does not tell.
        kind: LiteRT's word for what it is: ``Discrete GPU``, ``CPU / Software`` …
    """

    name: str
    kind: str

    @property
    def software(self) -> bool:
        """True when the processor does the work."""
        return "CPU" in self.kind or "Software" in self.kind


@cache
def find() -> Adapter | str:
    """Returns: the GPU, or why there is none. Looks once on a machine, see ``known.py``."""
    from importlib.metadata import version

    place = known.place(version("ai-edge-litert"))
    told = known.recall(place)
    if told is not None:
        return told["reason"] or Adapter(told["name"], told["kind"])
    found, lasting = _look()
    if lasting:
        here = ("", "", found) if isinstance(found, str) else (found.name, found.kind, "")
        known.keep(place, **dict(zip(("name", "kind", "reason"), here, strict=True)))
    return found


def _look() -> tuple[Adapter | str, bool]:
    """Returns: what another process finds, and whether it is going to find the same the next time."""
    with Worker(name="process of engine litert_gpu") as worker:
        try:
            name, kind = worker.call(f"{__name__}:probe", timeout=_TIMEOUT, doing="looking for a GPU")
        except ModelError as error:
            return error.what, True
        except WorkerError as error:
            return error.what.partition(" (its last words")[0], not error.passing
    return Adapter(name, kind), True


def selected(lines: list[str]) -> tuple[str, str]:
    """Returns: name and kind of the GPU that LiteRT's log lines say it took; "" for what they do not say."""
    for line in lines:
        match = _SELECTED.search(line)
        if match is not None:
            return match["name"], match["kind"] or ""
    return "", ""


def probe() -> tuple[str, str]:
    """Loads the smallest model there is, in the worker. Returns: the name and kind of the GPU.

    Raises:
        ModelError: LiteRT finds no GPU.
    """
    from sanderling.engines.litert_gpu.runner import GPURunner
    from sanderling.tflite import write

    kind = TensorType((1, 4), DType.FLOAT32)
    tensors = (Tensor("x", kind), Tensor("one", kind, np.ones((1, 4), np.float32)), Tensor("y", kind))
    add = Node("ADD", (0, 1), (2,), {"fused_activation_function": "NONE"}, "AddOptions")
    model = Model((Graph(tensors, (add,), (0,), (2,)),))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.tflite"
        write(model, path)
        runner = GPURunner(path, model)
        runner.close()
    return runner.told["adapter"], runner.told["kind"]
