"""One operator's answer on a GPU beside LiteRT's: right, wrong, or left to the CPU, and how far away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sanderling.engines.trust import distance
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.engines.webgpu.pieces.verdicts import verdict
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from tests.conformance.oracle import ask, ask_weight_only
from tests.conformance.tolerances import CLOSE, HALF, QUANT_1LSB
from tests.conformance.variants import HYBRID_OPERATORS, Variant
from tests.webgpu.making import names, prepared, run_once, targets

LARGEST_HALF = 65504.0
FLOATS, STEPS = "of its scale", "steps"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one case.

    Attributes:
        operator, case, kind: which: ``kind`` is float, int8, hybrid …
        status: passed, failed or declined.
        reason: why it was declined or how it failed.
        error: the largest distance from LiteRT's answer.
        unit: of ``error``.
    """

    operator: str
    case: str
    kind: str
    status: str
    reason: str = ""
    error: float = 0.0
    unit: str = FLOATS


def judged(
    device: Device, variant: Variant, folder: Path, *, half: bool, many_cores: bool = False, number: int = 0
) -> Row:
    """Runs one operator's model on the GPU and in LiteRT.

    Args:
        folder: for files.
        half: floats are stored in 16 bits.
        many_cores: it is compiled as if the adapter were a GPU of many cores.
        number: which of the operator's ways to compute it is taken, the first being 0; they go round.

    Raises:
        NoKernelError: LiteRT does not run it.
    """
    model, _, fed, wanted = ask(variant, folder)
    if variant.kind in HYBRID_OPERATORS:
        wanted = ask_weight_only(variant, folder)
    model, target, choose = prepared(model), targets(device, half=half)[many_cores], {}
    graph = lift(model).model.main
    for position, node in enumerate(graph.nodes):
        able = verdict(graph, node, target.kernels, 2**30)
        if not able:
            return Row(variant.op.name, variant.case.name, variant.kind, "declined", able.reason)
        ways = names(model, target, position)
        choose[position] = ways[number % len(ways)]
    got = run_once(device, model, fed, target=target, choose=choose)
    errors = list(compared(model, got, wanted, half=half))
    error, unit, bound = max(errors, key=lambda e: e[0] / max(e[2], 1e-12), default=(0.0, FLOATS, 0.0))
    status = "passed" if all(e <= most for e, _, most in errors) else "failed"
    told = "" if status == "passed" else f"allowed {bound:g}, {', '.join(choose.values())}"
    return Row(variant.op.name, variant.case.name, variant.kind, status, told, error, unit)


def compared(
    model: Model, got: Sequence[Array], wanted: Sequence[Array], *, half: bool
) -> Iterator[tuple[float, str, float]]:
    """Yields: for every output, the largest distance, its unit, and the most that is allowed."""
    for index, mine, theirs in zip(model.main.outputs, got, wanted, strict=True):
        kind = model.main.tensors[index].type
        if theirs.dtype.kind == "f":
            if half:  # what 16 bits do not hold becomes the largest number that they do
                theirs = theirs.clip(-LARGEST_HALF, LARGEST_HALF)
            yield distance(mine, theirs, kind), FLOATS, (HALF if half else CLOSE).relative
        else:
            yield distance(mine, theirs, kind), STEPS, float(QUANT_1LSB.steps if kind.is_quantized else 0)
