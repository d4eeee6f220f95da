"""Compiles an ONNX model for the Hexagon, and prints as JSON what runs where. Not part of the bundle.

python compile.py MODEL.onnx CHIP [CONTEXT.onnx]

What QNN says of operators that it does not take goes to the standard error.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import onnxruntime as ort
import onnxruntime_qnn as qnn

QNN = "QNNExecutionProvider"


def main(model: str, chip: str, context: str = "") -> int:
    """Returns: the exit code."""
    ort.register_execution_provider_library(QNN, qnn.get_library_path())
    options = ort.SessionOptions()
    options.log_severity_level = 2 if context else 0
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if context:
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_file_path", context)
        options.add_session_config_entry("ep.context_embed_mode", "0")
    devices = [each for each in ort.get_ep_devices() if each.ep_name == QNN]
    options.add_provider_for_devices(devices, {"backend_path": qnn.get_qnn_htp_path(), "soc_model": chip})
    session = ort.InferenceSession(model, options, enable_fallback=0)
    assigned = [
        (part.ep_name, node.op_type, node.name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
    versions = {name: version(name) for name in ("onnxruntime", "onnxruntime-qnn")}
    print(json.dumps({"assigned": assigned, "versions": versions}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
