"""Graph → ONNX: TFLite's operators as ONNX's, float and quantized (QDQ)."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.onnx.write.builder import NeedsOpset, text
from sanderling.onnx.write.exporter import Exported, lower
from sanderling.onnx.write.open_batch import lower_open
from sanderling.onnx.write.proto import OPSET, STATES, checked, serialise

__all__ = ["OPSET", "STATES", "export"]


def export(model: Model, *, opset: int | None = None) -> bytes:
    """Writes a model as ONNX.

    Inputs and outputs keep their names, order, layout and dtypes; a batch that the file leaves open stays
    open where the graph allows it. Variables become inputs with a first value and outputs with the next one;
    the entry ``STATES`` of the file's metadata pairs them.

    Args:
        model: the model.
        opset: version of ONNX's operators; None: the lowest from ``OPSET`` on that has what the model needs.

    Returns: the bytes of an ``.onnx`` file.

    Raises:
        UsageError: the opset is none that can be written.
        UnsupportedOperator: names an operator that ONNX cannot express, and why.
        ConvertError: the file would be larger than 2 GB.
        MissingExtra: the package ``onnx`` is not installed.
    """
    made, version = _lowered(model, opset)
    name = model.main.name or model.name
    return serialise(made.graph, version, text(name), text(model.description), made.states)


def _lowered(model: Model, opset: int | None) -> tuple[Exported, int]:
    version = OPSET if opset is None else checked(opset)
    while True:
        try:
            return lower_open(model, version) or lower(model, version, {}), version
        except NeedsOpset as needs:
            if opset is not None:
                raise UnsupportedOperator(
                    f"the model cannot be written with opset {opset}: {needs}",
                    hint=f"use opset {needs.opset}",
                ) from None
            version = needs.opset
