"""What a candidate may be, for the place where it will run: operators, runtime, inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.graph.graph import Model
from sanderling.search import ladder
from sanderling.tflite.releases import Release, told, too_new

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
# Rungs whose candidates take and give floats, whatever is asked for.
_FLOAT_ENDS = (ladder.FLOAT16, ladder.DYNAMIC, ladder.WEIGHTS, ladder.INT4)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a deployment.

    Attributes:
        allow_ops: the only operators that there are, None for all.
        oldest_runtime: the oldest release of TensorFlow Lite that must run it, None for any.
        io: ``float``, ``int8`` or ``keep``: what inputs and outputs are to be.
    """

    allow_ops: tuple[str, ...] | None = None
    oldest_runtime: Release | None = None
    io: str = "float"

    def refusal(self, model: Model) -> str:
        """Returns: why a model cannot run there, "" where it can."""
        if self.allow_ops is not None:
            kinds = {node.kind for graph in model.graphs for node in graph.nodes}
            extra = sorted(kinds - set(self.allow_ops))
            if extra:
                return f"needs {', '.join(extra)}, which --allow-ops does not allow"
        if self.oldest_runtime is not None:
            newer = too_new(model, self.oldest_runtime)
            if newer:
                more = f" (and {len(newer) - 1} more)" if len(newer) > 1 else ""
                return f"{newer[0]}{more}, --oldest-runtime is {told(self.oldest_runtime)}"
        return ""

    def wrong_ends(self, model: Model) -> str:
        """Returns: which input or output is not what was asked for, "" where all are."""
        if self.io != "int8":
            return ""
        graph = model.main
        for index in (*graph.inputs, *graph.outputs):
            tensor = graph.tensors[index]
            if tensor.dtype.is_float:
                return f"{tensor.name} is {tensor.dtype.value}, --io asks for int8"
        return ""

    def pointless(self, rung: str) -> str:
        """Returns: why no candidate of a rung could keep the limits, "" where one may."""
        if self.io == "int8" and rung in _FLOAT_ENDS:
            return "its candidates take and give floats, --io asks for int8"
        if self.allow_ops is None:
            return ""
        added: tuple[str, ...] = ()
        if rung in (ladder.STATIC, ladder.MIXED):
            added = _CONVERSIONS if self.io == "float" or rung == ladder.MIXED else ()
        elif rung in (ladder.FLOAT16, ladder.WEIGHTS):
            added = _CONVERSIONS[1:]
        missing = [name for name in added if name not in self.allow_ops]
        return (
            f"its candidates need {' and '.join(missing)}, which --allow-ops does not allow"
            if missing
            else ""
        )
