"""Ranges never overlap while their values live; and the check that says so can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler import memory
from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.plan import Binding, Call, Plan, Storage, Value, View
from sanderling.engines.webgpu.compiler.program import Dispatch, Program, Slot, build
from sanderling.engines.webgpu.compiler.validate import validate
from sanderling.errors import CompileError, DeviceLimit
from sanderling.graph.types import DType, TensorType
from sanderling.ops.kernel import Limits
from sanderling.runtime.loading import read_model
from tests.webgpu.making import compiled, prepared, residual

LARGE = 2**30


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Chains with side branches: every call reads one to three earlier values."""
    sizes = draw(st.lists(st.integers(1, 4000), min_size=2, max_size=25))
    values = [Value(f"v{i}", (size,), Storage("f32")) for i, size in enumerate(sizes)]
    calls = []
    for made in range(1, len(values)):
        read = draw(st.sets(st.integers(0, made - 1), min_size=1, max_size=3))
        reads = tuple((f"x{i}" if k else "x", View(i, values[i].shape)) for k, i in enumerate(sorted(read)))
        shape = values[made].shape
        calls.append(Call("_pointwise", reads, View(made, shape), (1,), (64, 1, 1)))
    kept = draw(st.sets(st.integers(1, len(values) - 1), min_size=1, max_size=3))

    def port(index: int) -> Binding:
        return Binding(f"p{index}", TensorType(values[index].shape, DType.FLOAT32), index)

    return Plan(tuple(values), tuple(calls), (port(0),), tuple(port(i) for i in sorted(kept)))


@settings(max_examples=150, deadline=None)
@given(plans(), st.sampled_from([LARGE, 20_480]))
def test_any_layout_is_proven_right(plan: Plan, limit: int) -> None:
    layout = memory.place(plan, max_binding=LARGE, max_buffer=limit)
    assert max(layout.buffers) <= limit
    assert sum(layout.buffers[: layout.arenas]) >= memory.largest_live_bytes(plan)
    validate(build(plan, layout, Limits()))


@settings(max_examples=100, deadline=None)
@given(plans(), st.data())
def test_two_live_values_in_one_place_are_noticed(plan: Plan, data: st.DataObject) -> None:
    """A planted mistake: a value is moved onto another one that lives at the same time."""
    layout = memory.place(plan, max_binding=LARGE, max_buffer=LARGE)
    alive = memory.lives(plan)
    read = {view.value for call in plan.calls for view in call.views()} | {b.value for b in plan.outputs}
    pairs = [
        (a, b) for a in alive for b in alive
        # a is written first and read while b is there, or after.
        if a != b and a in read and alive[a].first < alive[b].first <= alive[a].last
    ]  # fmt: skip
    if not pairs:
        return
    a, b = data.draw(st.sampled_from(pairs))
    wrong = layout.ranges | {b: replace(layout.ranges[b], offset=layout.ranges[a].offset)}
    buffers = (layout.buffers[0] * 3, *layout.buffers[1:])
    with pytest.raises(CompileError):
        validate(build(plan, replace(layout, ranges=wrong, buffers=buffers), Limits()))


def test_a_value_larger_than_a_binding_is_refused() -> None:
    plan = Plan((Value("big", (1024,), Storage("f32")),), (), (), ())
    port = Binding("big", TensorType((1024,), DType.FLOAT32), 0)
    with pytest.raises(DeviceLimit, match="big takes 4096 bytes, the device binds at most 1024"):
        memory.place(replace(plan, inputs=(port,)), max_binding=1024, max_buffer=LARGE)


@pytest.mark.parametrize(
    "name", ["mlperf_tiny_resnet8_cifar10_fp32", "face_detection_short_range", "deeplabv3_257_mv_gpu"]
)
def test_arenas_of_real_models_are_tight(zoo_dir, name: str) -> None:
    from sanderling.engines.webgpu.compiler.fuse import fuse
    from sanderling.engines.webgpu.compiler.lower import lower
    from sanderling.engines.webgpu.compiler.pool import pool

    model = prepared(read_model(zoo_dir / "tflite" / f"{name}.tflite"))
    plan = pool(fuse(lower(model.main, model.input_names(), model.output_names(), Limits())))
    layout = memory.place(plan, max_binding=LARGE, max_buffer=LARGE)
    assert sum(layout.buffers[: layout.arenas]) <= 1.15 * memory.largest_live_bytes(plan)


def broken(program: Program, **changes: object) -> Program:
    """The program with a change to its second dispatch."""
    dispatches = list(program.dispatches)
    dispatches[1] = replace(dispatches[1], **changes)
    return replace(program, dispatches=tuple(dispatches))


def test_what_validation_refuses() -> None:
    program = compiled(residual(), Target())
    validate(program)
    second: Dispatch = program.dispatches[1]
    shifted = tuple(replace(slot, offset=slot.offset + 4) for slot in second.slots)
    far = tuple(replace(slot, offset=2**40) for slot in second.slots)
    silent = tuple(replace(slot, writes=False) for slot in second.slots)
    stranger = (Slot(999, 0, 0, 256), *second.slots[1:])
    for slots in (shifted, far, silent, stranger):
        with pytest.raises(CompileError):
            validate(broken(program, slots=slots))
    for change in ({"shader": 99}, {"groups": (0, 1, 1)}, {"groups": (70000, 1, 1)}):
        with pytest.raises(CompileError):
            validate(broken(program, **change))
    with pytest.raises(CompileError):
        validate(replace(program, weights=np.zeros(4, np.uint8)))
