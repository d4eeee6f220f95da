"""Writes ``docs/operators.md``: which operator runs on which engine, on which integers, and why not.

The integer columns are measured: every operator's first case is quantized by its ``QuantRule``, run in LiteRT
and compared with our own integer kernel. Run it again when an operator is added or ai-edge-litert is updated:

    .venv/bin/python tools/make_support_tables.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from sanderling.engines.litert.operators import CUSTOM_KERNELS, supported  # noqa: E402
from sanderling.engines.reference.control import CONTROL  # noqa: E402
from sanderling.engines.webgpu.graphs.complex_parts import COMPLEX  # noqa: E402
from sanderling.errors import InvalidGraph  # noqa: E402
from sanderling.graph.graph import Node, Tensor  # noqa: E402
from sanderling.graph.types import Array, DType, TensorType  # noqa: E402
from sanderling.onnx.write.exporter import STATES, UNPACKING  # noqa: E402
from sanderling.onnx.write.registry import rules  # noqa: E402
from sanderling.ops._stored import compute  # noqa: E402
from sanderling.ops.declined import why_not  # noqa: E402
from sanderling.ops.op import Case, Op  # noqa: E402
from sanderling.ops.registry import find, names  # noqa: E402
from sanderling.tflite.schema import schema  # noqa: E402
from tests.ops import quantized, single  # noqa: E402

TARGET = ROOT / "docs" / "operators.md"
SCHEMES = (quantized.INT8, quantized.UINT8, quantized.INT16)
EXACT, NEAR, APART, NONE = "same", "±1", "differs", "–"
HEAD = """# Operators

Made by `tools/make_support_tables.py`; do not edit. Every operator has a file in `src/sanderling/ops/`.

- **int8, uint8, int16**: whether LiteRT's kernels take stored integers, and how our NumPy kernels compare
  with them on the operator's first case: `same` bits, `±1` step at most, `–` no kernel. An empty cell has
  nothing to quantize, or state that a single call does not show.
- **reference**: the NumPy engine computes it. *integers* says that it follows TFLite's integer arithmetic;
  *moves* that it moves stored integers as they are; without a word it goes through real numbers.
- **webgpu**: there is a GPU kernel, or *parts*: operators that have one take its place. Which shapes and
  types it takes, `sanderling analyze` says for each node.
- **torch**: models can be trained through it; *values* says that it gives indices, truth values or sizes,
  through which nothing can be learned. Without it, a technique that trains leaves frozen what comes before.
- **onnx**: it can be written as ONNX (`docs/guide/onnx.md`); *state* becomes inputs and outputs.
- **note**: why static int8 quantization leaves the operator float.

LiteRT itself runs every operator of the first table in float.
"""


def main() -> None:
    """Writes the page."""
    TARGET.write_text(page(), encoding="utf-8")


def page() -> str:
    """Returns: the page as Markdown."""
    return "\n".join([HEAD, *_operators(), "", *_custom(), "", *_absent(), ""])


def _operators() -> Iterator[str]:
    yield "| operator | int8 | uint8 | int16 | reference | webgpu | torch | onnx | note |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in sorted(names()):
        op = find(name)
        if op is not None:
            cells = [f"`{name}`", *(integers(op, scheme) for scheme in SCHEMES), _reference(op)]
            yield f"| {' | '.join([*cells, _webgpu(op), _torch(op), _onnx(name), op.quant.reason])} |"


def _webgpu(op: Op) -> str:
    replaced = op.name in (*COMPLEX, "STABLEHLO_COMPOSITE")
    return "yes" if op.gpu else "parts" if replaced else NONE


def _torch(op: Op) -> str:
    if op.torch is None or op.cases is None:
        return NONE
    kinds = [kind for case in op.cases(np.random.default_rng(single.SEED)) for kind in _results(op, case)]
    return "yes" if any(kind.dtype.is_float or kind.dtype is DType.COMPLEX64 for kind in kinds) else "values"


def _results(op: Op, case: Case) -> list[TensorType]:
    operands = single.operands_of(case, constant=range(len(case.inputs)))
    declared = [Tensor("", kind) for kind in single.declared_types(op, case)]
    return op.infer(single.node_of(op, case, len(declared)), operands, declared)


def _onnx(name: str) -> str:
    return "state" if name in STATES else "yes" if name in rules() or name in UNPACKING else NONE


def _reference(op: Op) -> str:
    if op.name in CONTROL:
        return "yes"
    if op.reference is None and op.integer is None:
        return NONE
    return "yes, integers" if op.integer else "yes, moves" if op.moves_data else "yes"


def integers(op: Op, scheme: quantized.Scheme) -> str:
    """Returns: how the operator's first case compares in LiteRT and here, quantized; "" without one."""
    case = _case(op)
    if case is None or op.reference is None:
        return ""
    types = [None if array is None else single.type_of(array) for array in case.inputs]
    declared = single.declared_types(op, case)
    node = single.node_of(op, case, len(declared))
    wanted = op.reference(node, list(case.inputs), types, declared)
    attrs = {"pot_scale_int16": False} if op.name in ("ADD", "SUB") else None
    made = quantized.quantize_case(op, case, wanted, scheme, attrs)
    theirs = _litert(made)
    if theirs is None:
        return NONE
    try:
        cell = _compared(_ours(op, made), theirs)
    except InvalidGraph:
        cell = APART
    # LiteRT reads dtypes that a kernel was not made for, without a check.
    return NONE if cell == APART else cell


def _case(op: Op) -> Case | None:
    for case in op.cases(np.random.default_rng(single.SEED)) if op.cases else ():
        taken = [a for i, a in enumerate(case.inputs) if i not in op.quant.passthrough]
        if not case.variables and any(quantized.is_real(array) for array in taken):
            return case
    return None


def _litert(made: quantized.QuantizedCase) -> list[Array] | None:
    """Returns: what LiteRT's reference kernels give, or its optimized ones where those refuse."""
    # LiteRT's reference kernel of an int8 or int16 SUM gives wrong sums, its optimized one is right.
    for reference in (True, False):
        if reference and made.model.main.nodes[0].op == "SUM":
            continue
        try:
            return single.run_litert(made.model, made.fed, reference=reference)
        except (RuntimeError, ValueError):
            continue
    return None


def _ours(op: Op, made: quantized.QuantizedCase) -> list[Array]:
    graph, node, fed = made.model.main, made.model.main.nodes[0], iter(made.fed)
    operands = graph.operands(node)
    arrays = [None if t is None else t.data if t.is_constant else next(fed) for t in operands]
    types = [None if t is None else t.type for t in operands]
    return compute(op, node, arrays, types, [t.type for t in graph.results(node)])


def _compared(ours: list[Array], theirs: list[Array]) -> str:
    steps = [
        int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max(initial=0))
        for a, b in zip(ours, theirs, strict=True)
    ]
    apart = max(steps, default=0)
    return EXACT if apart == 0 else NEAR if apart == 1 else APART


def _custom() -> Iterator[str]:
    yield "## Custom operators that LiteRT brings along"
    yield ""
    yield "They run in LiteRT and nowhere else here, unless a pass replaces them (`docs/guide/passes.md`)."
    yield ""
    for name, kernel in sorted(CUSTOM_KERNELS.items()):
        yield f"- `{name}`{': in XNNPACK only' if kernel.xnnpack else ''}"


def _absent() -> Iterator[str]:
    yield "## Operators of the schema without a file"
    yield ""
    yield "| operator | LiteRT | why not here |"
    yield "|---|---|---|"
    for name in sorted(set(schema().enums["BuiltinOperator"]) - names() - {"CUSTOM"}):
        runs = "yes" if supported(Node(name, (), ())) else NONE
        yield f"| `{name}` | {runs} | {why_not(name)} |"


if __name__ == "__main__":
    main()
