"""What TFLite Micro's ``MicroMutableOpResolver`` calls the registration of each operator.

Source: ``tensorflow/lite/micro/micro_mutable_op_resolver.h``. Most are the schema's name in camel case; a
custom operator is found by the name that the model has for it, which the method gives by itself.
"""

from __future__ import annotations

from sanderling.errors import DeployError
from sanderling.graph.graph import CUSTOM, Model

_BUILTIN = {
    "AVERAGE_POOL_2D": "AveragePool2D", "BATCH_MATMUL": "BatchMatMul", "CONV_2D": "Conv2D",
    "CUMSUM": "CumSum", "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "L2_POOL_2D": "L2Pool2D",
    "MAX_POOL_2D": "MaxPool2D", "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}  # fmt: skip
_CUSTOM = {
    "CIRCULAR_BUFFER": "CircularBuffer", "SignalDelay": "Delay", "SignalEnergy": "Energy",
    "SignalFftAutoScale": "FftAutoScale", "SignalFilterBank": "FilterBank",
    "SignalFilterBankLog": "FilterBankLog",
    "SignalFilterBankSpectralSubtraction": "FilterBankSpectralSubtraction",
    "SignalFilterBankSquareRoot": "FilterBankSquareRoot", "SignalFramer": "Framer", "SignalIrfft": "Irfft",
    "SignalOverlapAdd": "OverlapAdd", "SignalPCAN": "PCAN", "SignalRfft": "Rfft", "SignalStacker": "Stacker",
    "SignalWindow": "Window", "TFLM_DECODE": "Decode", "TFLite_Detection_PostProcess": "DetectionPostprocess",
}  # fmt: skip


def registrations(model: Model) -> dict[str, str]:
    """Returns: the method that registers each operator of a model, by the operator's name; in order, once.

    Raises:
        DeployError: TFLite Micro has no method for a custom operator.
    """
    found = {}
    for kind in sorted({node.kind for graph in model.graphs for node in graph.nodes}):
        found[kind] = f"Add{_method(kind, model)}"
    return found


def _method(kind: str, model: Model) -> str:
    custom = any(n.op == CUSTOM and n.custom_code == kind for g in model.graphs for n in g.nodes)
    if not custom:
        return _BUILTIN.get(kind) or "".join(word.capitalize() for word in kind.split("_"))
    if kind not in _CUSTOM:
        raise DeployError(f"TFLite Micro has no registration for the custom operator {kind}")
    return _CUSTOM[kind]


def variables(model: Model) -> int:
    """Returns: how many resource variables a model has."""
    return len({
        (str(node.attrs.get("container", "")), str(node.attrs.get("shared_name", "")))
        for graph in model.graphs
        for node in graph.nodes
        if node.op == "VAR_HANDLE"
    })  # fmt: skip


def by_channel(model: Model) -> bool:
    """Returns: whether a fully connected layer has a scale for each of its channels."""
    weights = [g.tensors[n.inputs[1]] for g in model.graphs for n in g.nodes if n.op == "FULLY_CONNECTED"]
    return any(tensor.quant is not None and tensor.quant.scale.size > 1 for tensor in weights)
