"""Integer weights with float activations: what LiteRT makes of them is what the rounded weights give."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.int4_weights import FOUR_BIT
from sanderling.compress.quantizing.weights import store_weights
from sanderling.compress.quantizing.write_weights import write_weights
from sanderling.graph.edit import compact
from sanderling.graph.types import DType
from sanderling.graph.verify import verify
from sanderling.ops.op import Case, Op
from tests.ops.single import declared_types, every_case, label, model_of, node_of, run_litert, type_of

CASES = [
    pytest.param(op, case, bits, id=f"{op.name}-{label(case)}-{bits}")
    for op, case in every_case()
    if op.name in WEIGHTS and WEIGHTS[op.name] in case.constant
    # A clipped result would hide the scale of what was rounded.
    if case.attrs.get("fused_activation_function") != "RELU6"
    for bits in ((8, 4) if op.name in FOUR_BIT else (8,))
]


@pytest.mark.parametrize("dequantize", [False, True])
@pytest.mark.parametrize("op, case, bits", CASES)
def test_weights_as_integers(op: Op, case: Case, bits: int, dequantize: bool) -> None:
    types = [None if a is None else type_of(a) for a in case.inputs]
    declared = declared_types(op, case)
    assert op.reference is not None
    results = op.reference(node_of(op, case, len(declared)), list(case.inputs), types, declared)
    model = model_of(op, case, [type_of(r) for r in results])
    four = (0,) if bits == 4 else ()
    stored = store_weights(model.main, [0], [], four)
    ((index, rounded),) = stored.items()
    assert rounded.dtype is (DType.INT4 if bits == 4 else DType.INT8)
    made = compact(model.with_main(write_weights(model.main, [0], stored, dequantize=dequantize)))
    verify(made)
    fed = [a for i, a in enumerate(case.inputs) if a is not None and i not in case.constant]
    arrays = [rounded.real() if i == WEIGHTS[op.name] else a for i, a in enumerate(case.inputs)]
    wanted = op.reference(node_of(op, case, len(declared)), arrays, types, declared)
    got = run_litert(made, fed, reference=False)
    # Dynamic quantization rounds the data as well, to 8 bits of its largest value.
    spread = float(np.abs(wanted[0]).max())
    assert np.abs(got[0] - wanted[0]).max() < (1e-5 if dequantize else 0.03) * spread
    assert index in model.main.nodes[0].inputs
