"""Records → ONNX's protobuf."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from sanderling.errors import ConvertError, MissingExtra, UsageError
from sanderling.onnx.read.proto import LIMIT_BYTES, OnnxGraph, OnnxNode, Port

if TYPE_CHECKING:
    import onnx

PRODUCER = "sanderling"
OPSET = 17  # the oldest, and what is written where nothing needs a later one
STATES = "states"  # the entry of metadata_props that maps inputs that hold state to their next values
_SKELETON_BYTES = 2**24  # more than nodes and names of any model take


def checked(opset: int) -> int:
    """Returns: the opset.

    Raises:
        UsageError: it is none that can be written.
    """
    newest: int = _library().defs.onnx_opset_version()
    if not OPSET <= opset <= newest:
        raise UsageError(f"got {opset}, expected a number from {OPSET} to {newest}", where="opset")
    return opset


def _library() -> ModuleType:
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise MissingExtra("writing ONNX models", "onnx") from None


def serialise(graph: OnnxGraph, opset: int, name: str, description: str, states: Mapping[str, str]) -> bytes:
    """Returns: the bytes of an ``.onnx`` file.

    Raises:
        ConvertError: it would be larger than protobuf allows.
        MissingExtra: the package ``onnx`` is not installed.
    """
    from importlib.metadata import version

    onnx = _library()
    size = sum(data.nbytes for data in graph.constants.values())
    if size > LIMIT_BYTES - _SKELETON_BYTES:
        raise ConvertError(
            f"its weights take {size / 2**30:.1f} GB as ONNX, a file of which holds at most 2 GB", where=name
        )
    domains = {node.domain for node in graph.nodes if node.domain}
    model = onnx.helper.make_model(
        _graph(graph, name),
        opset_imports=[
            onnx.helper.make_opsetid("", opset),
            *(onnx.helper.make_opsetid(d, 1) for d in domains),
        ],
        producer_name=PRODUCER,
        producer_version=version(PRODUCER),
        doc_string=description,
    )
    model.ir_version = onnx.helper.find_min_ir_version_for(list(model.opset_import))
    if states:
        onnx.helper.set_model_props(model, {STATES: json.dumps(dict(states))})
    found: bytes = model.SerializeToString()
    return found


def _graph(graph: OnnxGraph, name: str) -> onnx.GraphProto:
    from onnx import helper, numpy_helper

    return helper.make_graph(
        [_node(node) for node in graph.nodes],
        name,
        [_port(port) for port in graph.inputs],
        [_port(port) for port in graph.outputs],
        [numpy_helper.from_array(data, name) for name, data in graph.constants.items()],
    )


def _node(node: OnnxNode) -> onnx.NodeProto:
    from onnx import helper

    attrs = {
        key: _graph(value, key) if isinstance(value, OnnxGraph) else value
        for key, value in node.attrs.items()
    }
    return helper.make_node(
        node.op, node.inputs, node.outputs, node.name, domain=node.domain or None, **attrs
    )


def _port(port: Port) -> onnx.ValueInfoProto:
    from onnx import helper

    sizes = None if port.sizes is None else [None if size == -1 else size for size in port.sizes]
    return helper.make_tensor_value_info(port.name, port.dtype, sizes)
