"""How near a whole model's answers must be to LiteRT's (DESIGN, section 9), whoever computed them.

LiteRT's own kernel sets differ from each other, so they are the yardstick. A float output may be twice as
far from the builtin kernels as XNNPACK is, or 1e-4 of its scale. What integers led to follows XNNPACK: it may
be as far from it as LiteRT's other kernels are on any of the inputs, or one step; a float that is no
dequantized integer, 1/256 of its scale.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np

from sanderling.engines.registry import find
from sanderling.engines.trust import distance
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array
from sanderling.passes.pipeline import run
from sanderling.tflite import write
from tests.models import computes_with_integers

FLOAT, STEP = 1e-4, 1 / 256
Feed = Sequence[Array]


def litert(path: Path, model: Model, feeds: Sequence[Feed], kernels: str) -> list[list[Array]]:
    """Returns: LiteRT's answers with one kernel set; what only XNNPACK has is spelled out for others."""
    with tempfile.TemporaryDirectory() as folder:
        if kernels != "default" and any(node.op == "CUSTOM" for node in model.main.nodes):
            model, path = run(model, ("replace_transpose_conv_bias",))[0], Path(folder) / path.name
            write(model, path)
        runner = find("litert").load(path, model, options={"kernels": kernels})
        try:
            return [runner.run(feed) for feed in feeds]
        finally:
            runner.close()


def check(path: Path, model: Model, feeds: Sequence[Feed], answers: Sequence[Sequence[Array]]) -> float:
    """Compares the answers on some inputs with LiteRT's.

    Returns: the largest distance, in units of what was allowed.

    Raises:
        AssertionError: an answer is too far away; names the output.
    """
    fast = litert(path, model, feeds, "default")
    others = [litert(path, model, feeds, kernels) for kernels in ("builtin", "reference")]
    worst = 0.0
    for number, index in enumerate(model.main.outputs):
        mine, xnnpack, builtin, reference = (
            [answer[number] for answer in every] for every in (answers, fast, *others)
        )
        tensor = model.main.tensors[index]
        if computes_with_integers(model.main):
            apart = [
                _apart(a, b, tensor) for other in (builtin, reference) for a, b in _pairs(other, xnnpack)
            ]
            allowed = [max(_step(model.main, index, xnnpack), *apart)] * len(mine)
            wanted = xnnpack
        else:
            least = FLOAT if tensor.dtype.is_float else 0.0
            allowed = [max(least, 2 * _apart(a, b, tensor)) for a, b in _pairs(xnnpack, builtin)]
            wanted = builtin
        for a, b, most in zip(mine, wanted, allowed, strict=True):
            got = distance(a, b, tensor.type)
            assert got <= most, f"{tensor.name} is {got:.3g} from LiteRT's answer, allowed {most:.3g}"
            worst = max(worst, got / most if most else 0.0)
    return worst


def _pairs(a: list[Array], b: list[Array]) -> list[tuple[Array, Array]]:
    return list(zip(a, b, strict=True))


def _step(graph: Graph, index: int, answers: list[Array]) -> float:
    """Returns: one step of an output: of the integers that it is, or that it was until its last operator."""
    if not graph.tensors[index].dtype.is_float:
        return 1.0
    last = next((node for node in graph.nodes if index in node.outputs), None)
    quant = graph.tensors[last.inputs[0]].quant if last is not None and last.op == "DEQUANTIZE" else None
    least = max(float(np.abs(answer).max(initial=1e-6)) for answer in answers)
    return max(STEP, 1.001 * float(quant.scale.max()) / least) if quant is not None else STEP


def _apart(a: Array, b: Array, tensor: Tensor) -> float:
    """Returns: how far LiteRT is from itself; nothing is allowed for where it is infinitely far."""
    found = distance(a, b, tensor.type)
    return found if isfinite(found) else 0.0
