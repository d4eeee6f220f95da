"""Plan → Plan: a PAD with zeros moves into what reads it.

Convolutions see zeros around an image anyway; and behind its last channel steps do, which is how a residual
with fewer channels is added.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.engines.webgpu.compiler.plan import Call, Plan, StepRead, View
from sanderling.engines.webgpu.compiler.wgsl import dims

GATHER = "_gather"


def fuse_pads(plan: Plan) -> Plan:
    """Returns: the plan in which kernels read what a PAD reads; a PAD that nobody reads is gone."""
    pads = {call.write.value: call for call in plan.calls if _fills_with_zeros(plan, call)}
    around = {value: call for value, call in pads.items() if _is_around(call)}
    behind = {value: call for value, call in pads.items() if _is_behind(call)}
    calls = [_shorter(_widened(call, around), behind) for call in plan.calls]
    read = {view.value for call in calls for view in call.views()} | {b.value for b in plan.outputs}
    kept = [call for call in calls if call.write.value not in pads or call.write.value in read]
    return replace(plan, calls=tuple(kept))


def _fills_with_zeros(plan: Plan, call: Call) -> bool:
    """Returns: whether a call puts zeros around its operand and does nothing else."""
    if call.body != GATHER or call.steps or [name for name, _ in call.reads] != ["x"]:
        return False
    u, source = call.uniforms, call.reads[0][1]
    have, want = dims(source.shape), dims(call.write.shape)
    straight = all(u[f"from{j}"] == j and u[f"step{j}"] == 1 for j in range(5) if have[j] > 1 or want[j] > 1)
    whole = all(u[f"start{j}"] <= 0 and have[j] - u[f"start{j}"] <= want[j] for j in range(5))  # no slice
    same = plan.values[source.value].storage == plan.values[call.write.value].storage
    return straight and whole and same and u["fill"] == 0


def _is_around(call: Call) -> bool:
    """Returns: whether the zeros are above, below, left and right of images only."""
    have, want = dims(call.reads[0][1].shape), dims(call.write.shape)
    return all(have[j] == want[j] for j in (0, 1, 4))


def _is_behind(call: Call) -> bool:
    """Returns: whether the zeros are behind the last channel only, and the channels fill whole vec4."""
    have, want = dims(call.reads[0][1].shape), dims(call.write.shape)
    return have[:4] == want[:4] and call.uniforms["start4"] == 0 and have[4] % 4 == 0


def _shorter(call: Call, pads: dict[int, Call]) -> Call:
    """Returns: a call whose steps read a pad's source, if they read the pad as it is."""

    def operand(read: StepRead) -> StepRead:
        pad = pads.get(read.value) if isinstance(read, View) else None
        if pad is None or not isinstance(read, View):
            return read
        alike = read.shape == pad.write.shape == call.write.shape
        return pad.reads[0][1] if alike and len(read.shape) == len(pad.reads[0][1].shape) else read

    steps = tuple(
        replace(step, operands=tuple((name, operand(read)) for name, read in step.operands))
        for step in call.steps
    )
    return replace(call, steps=steps) if steps != call.steps else call


def _widened(call: Call, pads: dict[int, Call]) -> Call:
    """Returns: a convolution that reads a pad's source, padding more itself; other calls as they are."""
    reads = dict(call.reads)
    pad = pads.get(reads["x"].value) if call.zero_around else None
    if pad is None or dims(reads["x"].shape) != dims(pad.write.shape):
        return call
    source = pad.reads[0][1]
    n, h, w, c = dims(source.shape)[1:]
    reads["x"] = View(source.value, (n, h, w, c))
    moved = {
        "pad_top": call.uniforms["pad_top"] - pad.uniforms["start2"],
        "pad_left": call.uniforms["pad_left"] - pad.uniforms["start3"],
    }
    return replace(
        call, reads=tuple(reads.items()), uniforms={**call.uniforms, **moved},
        nodes=tuple(sorted({*pad.nodes, *call.nodes})),
    )  # fmt: skip
