"""What a candidate may be, for the place where it will run: operators, runtime, inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sanderling.analysis.floats import float_operators, told
from sanderling.engines import registry
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.search import rungs
from sanderling.tflite.releases import Runtime, too_new

_SHOWN = 6  # operators that are told by name
# Rungs whose candidates take and give what the original does, whatever is asked for.
_SAME_ENDS = (rungs.FLOAT16, rungs.DYNAMIC, rungs.WEIGHTS, rungs.INT4)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The operators that there are where a model will run.

    Attributes:
        names: the operators, whatever their types.
        engine: instead of ``names``: the engine whose kernels are meant, types and operands included.
    """

    names: frozenset[str] = frozenset()
    engine: str = ""

    def refusal(self, model: Model) -> str:
        """Returns: which operators of a model there are not, "" where there are all."""
        if self.engine:
            verdicts = registry.find(self.engine).supports(model)
            reasons = list(dict.fromkeys(verdict.reason for verdict in verdicts if not verdict))
            return reasons[0] + _more(len(reasons) - 1) if reasons else ""
        kinds = {node.kind for graph in model.graphs for node in graph.nodes}
        extra = sorted(kinds - self.names)
        return f"needs {', '.join(extra)}, which --allow-ops does not allow" if extra else ""

    def told(self) -> str:
        """Returns: what it asks of a model."""
        if self.engine:
            return f"be made of what {self.engine} has kernels for"
        return (
            f"be made of {', '.join(sorted(self.names))}"
            if len(self.names) <= _SHOWN
            else (f"be made of the {len(self.names)} operators that are allowed")
        )

    def to_json(self) -> object:
        """Returns: the engine's name, or the operators in order."""
        return self.engine or sorted(self.names)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a deployment.

    Attributes:
        allowed: the only operators that there are, None for all.
        oldest_runtime: the oldest release that must run it, None for any.
        io: ``float``, ``int8`` or ``keep``: what inputs and outputs are to be.
        integers: the engine that runs it there, where whole integers only run there; "" for anywhere else.
    """

    allowed: Allowed | None = None
    oldest_runtime: Runtime | None = None
    io: str = "float"
    integers: str = ""

    def refusal(self, model: Model) -> str:
        """Returns: why a model cannot run there, "" where it can."""
        if self.integers and (why := self._no_integers(model)):
            return why
        if self.allowed is not None and (why := self.allowed.refusal(model)):
            return why
        if self.oldest_runtime is not None and (newer := too_new(model, self.oldest_runtime)):
            return f"{newer[0]}{_more(len(newer) - 1)}, --oldest-runtime is {self.oldest_runtime}"
        return ""

    def _no_integers(self, model: Model) -> str:
        kinds = [node.kind for node in float_operators(model)]
        if kinds:
            return f"{told(kinds)} in float, and only integers run there"
        return Allowed(engine=self.integers).refusal(model)

    def wrong_ends(self, model: Model) -> str:
        """Returns: which input or output is not what was asked for, "" where all are. What counts, names or
        chooses (token ids, classes, masks) is no real number, and stays."""
        if self.io != "int8":
            return ""
        graph = model.main
        for index in (*graph.inputs, *graph.outputs):
            tensor = graph.tensors[index]
            if tensor.dtype.is_float or (tensor.type.is_quantized and tensor.dtype is not DType.INT8):
                return f"{tensor.name} is {tensor.dtype.value}, --io asks for int8"
        return ""

    def broken_by(self, model: Model) -> str:
        """Returns: the first limit that a model breaks, "" where it keeps all of them."""
        return self.refusal(model) or self.wrong_ends(model)

    def pointless(self, rung: str, model: Model) -> str:
        """Returns: why no candidate of a rung could keep the limits, "" where one may.

        Args:
            rung: its name.
            model: what candidates are made from.
        """
        if self.integers:  # its ladder proposes nothing else
            return ""
        if rung in _SAME_ENDS and (wrong := self.wrong_ends(model)):
            return f"its candidates take and give what the original does: {wrong}"
        brought = self._brought(rung, model)
        why = self.refusal(_using(brought)) if brought else ""
        return f"no candidate of it could keep the limits: {why}" if why else ""

    def _brought(self, rung: str, model: Model) -> dict[str, TensorType]:
        """Returns: conversions that every candidate of a rung has, with the type on their stored side."""
        if rung == rungs.FLOAT16:
            return {"DEQUANTIZE": TensorType((1, 8), DType.FLOAT16)}
        if rung == rungs.WEIGHTS:
            scales = Quant(np.ones(8, np.float32), np.zeros(8, np.int64), axis=1)
            return {"DEQUANTIZE": TensorType((1, 8), DType.INT8, scales)}
        if rung not in (rungs.STATIC, rungs.LEARNED, rungs.MIXED):
            return {}
        within = rung == rungs.MIXED  # from floats to integers and back, whatever the ends are
        ends = {"QUANTIZE": model.main.inputs, "DEQUANTIZE": model.main.outputs}
        stored = TensorType((1, 8), DType.INT8, Quant.of(1 / 128))
        return {
            name: stored
            for name, ports in ends.items()
            if within or (self.io != "int8" and any(model.main.tensors[i].dtype.is_float for i in ports))
        }

    def told(self) -> str:
        """Returns: what a winner must do: ``run on TensorFlow Lite 2.14; take and give int8``; "" for any."""
        parts = [
            f"run in {self.integers}, in integers only" if self.integers else "",
            f"run on {self.oldest_runtime}" if self.oldest_runtime else "",
            self.allowed.told() if self.allowed else "",
            "take and give int8" if self.io == "int8" else "",
        ]
        return "; ".join(part for part in parts if part)

    def to_json(self) -> dict[str, object]:
        """Returns: JSON values."""
        return {
            "allow_ops": None if self.allowed is None else self.allowed.to_json(),
            "oldest_runtime": None if self.oldest_runtime is None else str(self.oldest_runtime),
            "io": self.io,
            "integers": self.integers,
        }


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def _using(conversions: Mapping[str, TensorType]) -> Model:
    """Returns: a model of nothing but conversions between floats and integers."""
    plain = TensorType((1, 8), DType.FLOAT32)
    tensors: list[Tensor] = []
    nodes: list[Node] = []
    for name, stored in conversions.items():
        ends = (plain, stored) if name == "QUANTIZE" else (stored, plain)
        first = len(tensors)
        tensors += [Tensor(f"{name}_{i}", kind) for i, kind in enumerate(ends)]
        nodes.append(Node(name, (first,), (first + 1,)))
    inputs, outputs = tuple(n.inputs[0] for n in nodes), tuple(n.outputs[0] for n in nodes)
    return Model((Graph(tuple(tensors), tuple(nodes), inputs, outputs),))
