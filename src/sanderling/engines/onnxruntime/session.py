"""Makes a session of ONNX Runtime's, and makes sure that it is what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sanderling.engines.litert.log import captured
from sanderling.engines.onnxruntime import library
from sanderling.errors import ModelError


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider, set up in one way.

    Attributes:
        name: ONNX Runtime's.
        options: the provider's own.
        exact: it computes float tensors in float32.
        fixed: it takes no open sizes.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True
    fixed: bool = False


def start(content: bytes, provider: Provider, threads: int) -> Any:
    """Returns: an ``InferenceSession`` for an ``.onnx`` file that lies in memory.

    Raises:
        ModelError: ONNX Runtime refuses the model, or would go on without the provider.
    """
    options = _settings(threads)
    wanted: list[tuple[str, dict[str, str]]] | None = [(provider.name, dict(provider.options))]
    if provider.name == library.QNN and library.qnn_devices():
        backend = {"backend_path": library.qnn_backend()}
        options.add_provider_for_devices(list(library.qnn_devices()), backend)
        wanted = None
    try:
        with captured():  # drivers write there what is told by the error, too
            session = library.load().InferenceSession(content, options, wanted, enable_fallback=0)
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot load the model: {library.cause(error)}") from error
    # Where a provider does not start it goes on with the CPU, and says so to nobody.
    if provider.name not in session.get_providers():
        raise ModelError(
            f"ONNX Runtime lists {provider.name}, but it does not start here",
            hint="its driver or a library that it needs may be missing",
        )
    assigned = assignment(session)
    if assigned and provider.name not in assigned:
        raise ModelError(f"{provider.name} takes none of the model's operators")
    return session


def assignment(session: Any) -> dict[str, int]:
    """Returns: execution provider → how many operators of the ONNX graph it runs; {} where it keeps quiet."""
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return dict(counts)


def _settings(threads: int) -> Any:
    """Returns: options for the lowest latency of one call at a time."""
    ort = library.load()
    options = ort.SessionOptions()
    options.log_severity_level = library.ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    entries = {
        # Between the operators of a call threads wait by spinning, without which a call takes up to 1.4
        # times as long. Afterwards they stop at once: left alone they keep their cores busy for another
        # 40 ms, which would slow down whatever is timed next.
        "session.intra_op.allow_spinning": "1",
        "session.force_spinning_stop": "1",
        # By default activations beside stored weights are rounded to 8 bits on the way.
        "session.qdq_matmulnbits_accuracy_level": "1",
        "session.record_ep_graph_assignment_info": "1",
    }
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return options
