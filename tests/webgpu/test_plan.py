"""Lowering and fusion as text, the WGSL that comes out, and the arithmetic of both."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.fuse import fuse
from sanderling.engines.webgpu.compiler.lower import lower
from sanderling.engines.webgpu.compiler.plan import Plan, show
from sanderling.engines.webgpu.compiler.program import to_json, workgroups
from sanderling.engines.webgpu.compiler.template import expand
from sanderling.engines.webgpu.driver.device import Device
from sanderling.errors import KernelError
from sanderling.ops.kernel import Limits
from tests.webgpu.making import CLOSE, compare, compiled, residual, run_once

GOLDEN = Path(__file__).with_name("golden")


def golden(name: str, text: str) -> None:
    """Compares with a stored text; ``UPDATE_GOLDEN=1`` stores it anew."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def lowered() -> Plan:
    return lower(residual().main, ["x"], ["y"], Limits())


def test_a_plan_before_and_after_fusion() -> None:
    golden("residual.txt", show(lowered()) + "\n\n" + show(fuse(lowered())) + "\n")


def test_the_program_is_the_same_every_time() -> None:
    program = compiled(residual(), Target())
    value = json.loads(to_json(program))
    golden("residual.wgsl", "\n".join(value.pop("shaders")))
    golden("residual.json", json.dumps(value) + "\n")


def test_fusion_leaves_four_kernels_and_the_relayouts() -> None:
    labels = [call.label for call in fuse(lowered()).calls]
    assert labels == ["reshape", "conv_2d", "conv_2d_split", "reshape", "conv_2d_split", "softmax"]


def test_fusion_keeps_to_the_binding_limit() -> None:
    assert len(fuse(lowered(), max_buffers=3).calls) > len(fuse(lowered()).calls)


def test_fused_and_unfused_give_the_same_answer(device: Device) -> None:
    x = np.random.default_rng(1).standard_normal((1, 9, 9, 3)).astype(np.float32)
    (fused,) = run_once(device, residual(), [x])
    (plain,) = run_once(device, residual(), [x], fused=False)
    compare(fused, plain, CLOSE)


def test_template() -> None:
    text = "#for p in N\n#for q in 2\nv{p}{q}\n#end\n#end\n#if ON\nyes\n#end\n#if !ON\nno\n#end"
    assert expand(text, {"N": 2, "ON": 1}).split() == ["v00", "v01", "v10", "v11", "yes"]
    for wrong in ("#for p in M\n#end", "#for p in 2\n", "#end"):
        with pytest.raises(KernelError):
            expand(wrong, {})


@given(st.integers(1, 2**30), st.sampled_from([32, 64, 256]))
def test_rows_of_threads_too_long_for_one_dimension_are_folded(threads: int, width: int) -> None:
    x, y, z = workgroups((threads,), (width, 1, 1), cooperative=False)
    assert x * y * width >= threads
    assert max(x, y) <= 65535
    assert z == 1
