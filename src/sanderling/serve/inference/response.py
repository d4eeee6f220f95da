"""From a model's outputs to the bytes of an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.engines.engine import Port
from sanderling.graph.types import Array
from sanderling.runtime.ports import dequantize
from sanderling.serve.inference.datatypes import BYTES, name_of, to_bytes, to_json
from sanderling.serve.inference.refusal import Refusal
from sanderling.serve.inference.request import Asked

VERSION = "1"


def write(name: str, asked: Asked, outputs: Sequence[Array], ports: Sequence[Port]) -> tuple[bytes, int]:
    """Writes an answer.

    Args:
        name: of the model.
        asked: what is answered.
        outputs, ports: the model's.

    Returns: the body, and how many bytes of it are JSON; 0 where all are.

    Raises:
        Refusal: an output cannot be written as was asked.
    """
    told: dict[str, Any] = {"model_name": name, "model_version": VERSION}
    if asked.id is not None:
        told["id"] = asked.id
    listed: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for wanted in asked.wanted:
        port, array = ports[wanted.position], outputs[wanted.position]
        datatype = name_of(port.type.dtype)
        if wanted.classes:
            array, datatype = _best(array, port, wanted.classes), BYTES
        entry: dict[str, Any] = {"name": port.name, "datatype": datatype, "shape": list(array.shape)}
        if wanted.binary:
            data = to_bytes(array)
            entry["parameters"] = {"binary_data_size": len(data)}
            pieces.append(data)
        else:
            entry["data"] = to_json(array, port.name)
        listed.append(entry)
    told["outputs"] = listed
    head = json.dumps(told, separators=(",", ":")).encode()
    return (b"".join([head, *pieces]), len(head)) if pieces else (head, 0)


def _best(array: Array, port: Port, count: int) -> Array:
    """Returns: ``value:class`` of the best classes of each row, [N, classes], the best first.

    Source: Triton's classification extension.
    """
    if array.ndim < 1 or array.dtype.kind not in "iuf":
        raise Refusal(400, f"output {port.name!r} holds no scores of classes")
    rows = dequantize(array, port).reshape(array.shape[0] if array.ndim > 1 else 1, -1)
    count = min(count, rows.shape[1])
    order = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    best = np.empty(order.shape, object)
    for row, classes in enumerate(order):
        best[row] = [f"{float(rows[row, each]):f}:{each}".encode() for each in classes]
    return best if array.ndim > 1 else best[0]
