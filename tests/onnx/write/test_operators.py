"""Every case of every operator, as it is and in integers, as ONNX in ONNX Runtime, against LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import UnsupportedOperator
from sanderling.onnx.write import export
from sanderling.onnx.write.exporter import STATES, UNPACKING
from sanderling.onnx.write.lacking import LACKING
from sanderling.onnx.write.registry import rules
from sanderling.ops.registry import names
from tests.conformance.exceptions import has_kernel
from tests.conformance.oracle import answer, weight_only_answer
from tests.conformance.tolerances import CLOSE, QUANT_1LSB
from tests.conformance.variants import FLOAT, HALF_WEIGHTS, HYBRID, HYBRID_PER_TENSOR, Variant, every_variant
from tests.onnx.write.exceptions import DIFFERENT, UNWRITTEN, reason
from tests.onnx.write.running import Exported

VARIANTS = [v for v in every_variant() if has_kernel(v.kind, v.op.name, v.id)]
WRITTEN = [v for v in VARIANTS if not reason(UNWRITTEN, v.id)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("variants")


@pytest.mark.parametrize("variant", WRITTEN, ids=lambda v: v.id)
def test_agrees_with_litert(variant: Variant, folder: Path, request: pytest.FixtureRequest) -> None:
    if why := reason(DIFFERENT, variant.id):
        request.applymarker(pytest.mark.xfail(reason=why, raises=AssertionError))
    model, _, fed, wanted = answer(variant, folder)
    if variant.kind in (
        HYBRID.name,
        HYBRID_PER_TENSOR.name,
    ):  # the weights are the real numbers, the sums exact
        wanted = weight_only_answer(variant, folder)
    tolerance = CLOSE if variant.kind in (FLOAT, HALF_WEIGHTS) else QUANT_1LSB
    for got, right in zip(Exported(model).run(fed), wanted, strict=True):
        tolerance.check(np.asarray(got), right)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if reason(UNWRITTEN, v.id)], ids=lambda v: v.id)
def test_what_cannot_be_written_is_named(variant: Variant) -> None:
    model, _ = variant.build()
    with pytest.raises(
        Exception, match=rf"{variant.op.name}.*cannot be written as ONNX|ONNX's operators take no"
    ) as e:
        export(model)
    assert isinstance(e.value, UnsupportedOperator) or variant.op.name == "FAKE_QUANT"


def test_every_operator_has_a_rule_or_a_reason() -> None:
    elsewhere = STATES | UNPACKING - rules().keys()
    assert names() - rules().keys() == elsewhere | LACKING.keys()
