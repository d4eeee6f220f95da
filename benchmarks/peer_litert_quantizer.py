"""litert-quantizer as a peer: the same float model and feeds, its own calibration and its own writer."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sanderling.compress.prepare import fold
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model, Signature
from sanderling.graph.types import Array
from sanderling.tflite import read, write

SIGNATURE = "main"


def quantize_static(model: Model, feeds: Sequence[Mapping[str, Array]], out: Path) -> int:
    """Quantizes as its users do: ``static_wi8_ai8``, min-max calibration, inputs and outputs in float.

    It is spared what it cannot read: constants are folded, names made unique, a signature is added.

    Args:
        model: a float model.
        feeds: calibration feeds by ``model.input_names()``.
        out: where the result goes, with its weights inside of the flatbuffer.

    Returns: bytes written.
    """
    from litert_quantizer import quantizer, recipe

    plain = _uniquely_named(compact(fold(model)))
    names = [f"input_{p}" for p in range(len(plain.main.inputs))]
    signature = Signature(
        SIGNATURE,
        tuple(zip(names, plain.main.inputs, strict=True)),
        tuple((f"output_{p}", i) for p, i in enumerate(plain.main.outputs)),
    )
    given = model.input_names()
    renamed = [{n: feed[g] for n, g in zip(names, given, strict=True)} for feed in feeds]
    ports = [
        {"regex": ".*", "operation": port, "algorithm_key": "no_quantize"} for port in ("INPUT", "OUTPUT")
    ]
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = Path(folder) / "float.tflite"
        write(replace(plain, signatures=(signature,)), source)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            work: Any = quantizer.Quantizer(str(source))
            work.load_quantization_recipe([*recipe.static_wi8_ai8(), *ports])
            found = work.calibrate({SIGNATURE: renamed}, num_threads=1)
            result = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
        file = Path(folder) / "quantized.tflite"
        file.write_bytes(result.quantized_model)
        return write(replace(read(file), signatures=()), out)


def _uniquely_named(model: Model) -> Model:
    """Returns: the model with its own names where these are unique, and nothing but its graphs."""
    known: set[str] = set()
    tensors = []
    for index, tensor in enumerate(model.main.tensors):
        name = tensor.name if tensor.name and tensor.name not in known else f"{tensor.name}_{index}"
        known.add(name)
        tensors.append(replace(tensor, name=name))
    return Model((replace(model.main, tensors=tuple(tensors)), *model.graphs[1:]))
