"""From StableHLO to a ``.tflite`` model, by ``litert-converter``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from sanderling.errors import ConvertError
from sanderling.graph.graph import SERVING


def to_tflite(program: bytes, inputs: Sequence[str], outputs: Sequence[str], origin: str) -> bytes:
    """Converts a program.

    Args:
        program: MLIR bytecode of a module of StableHLO operators whose function is ``main``.
        inputs, outputs: the names that its arguments and results get, each once.
        origin: the framework it comes from: ``JAX``.

    Returns: the bytes of a ``.tflite`` file.

    Raises:
        ConvertError: litert-converter cannot, with its own words.
    """
    from litert_converter.mlir import ir, passmanager
    from litert_converter.mlir._mlir_libs import converter_api_ext as api

    context = ir.Context()
    api.prepare_mlir_context(context)
    told: list[str] = []
    context.attach_diagnostic_handler(partial(_hear, told))
    config = api.ConvertToTFLConfig()
    config.model_origin_framework = origin
    try:
        with context:
            module = ir.Module.parse(program)
            api.set_signature(
                module.operation,
                signature_name=SERVING,
                input_names=list(inputs),
                output_names=list(outputs),
            )
            api.run_convert_to_tfl_passes(module, passmanager.PassManager(), config)
            content: bytes = api.export_flatbuffer_to_bytes(module.operation)
    except Exception as error:
        words = next((line for line in [*told, str(error)] if line.strip()), type(error).__name__)
        tool = f"litert-converter {version('litert-converter')}"
        raise ConvertError(
            f"{tool} cannot convert it: {words.splitlines()[0][:300]}",
            hint="leave out or rewrite the layer that this operator comes from",
        ) from error
    return content


def _hear(told: list[str], diagnostic: Any) -> bool:
    """Keeps what MLIR would print. Returns: that it was taken care of."""
    told.append(str(diagnostic.message))
    return True
