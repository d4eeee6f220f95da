"""Plan → Plan: a PAD with zeros moves into the convolutions behind it, which see zeros there anyway."""

from __future__ import annotations

from dataclasses import replace

from sanderling.engines.webgpu.plan import Call, Plan, View
from sanderling.engines.webgpu.wgsl import dims

GATHER = "_gather"
# Bodies with pad_top and pad_left.
ZERO_AROUND = frozenset({"conv_2d", "conv_2d_split", "depthwise_conv_2d", "separable", "winograd_in"})


def fuse_pads(plan: Plan) -> Plan:
    """Returns: the plan in which convolutions read what a PAD reads; a PAD that nobody reads is gone."""
    pads = {call.write.value: call for call in plan.calls if _is_pad(plan, call)}
    calls = [_widened(call, pads) for call in plan.calls]
    read = {view.value for call in calls for view in call.views()} | {b.value for b in plan.outputs}
    kept = [call for call in calls if call.write.value not in pads or call.write.value in read]
    return replace(plan, calls=tuple(kept))


def _is_pad(plan: Plan, call: Call) -> bool:
    """Returns: whether a call puts zeros above, below, left and right of images, and does nothing else."""
    if call.body != GATHER or call.steps or [name for name, _ in call.reads] != ["x"]:
        return False
    u, source = call.uniforms, call.reads[0][1]
    have, want = dims(source.shape), dims(call.write.shape)
    straight = all(u[f"from{j}"] == j and u[f"step{j}"] == 1 for j in range(5) if have[j] > 1 or want[j] > 1)
    around = all(have[j] == want[j] and u[f"start{j}"] == 0 for j in (0, 1, 4))
    same = plan.values[source.value].storage == plan.values[call.write.value].storage
    whole = all(u[f"start{j}"] <= 0 and have[j] - u[f"start{j}"] <= want[j] for j in (2, 3))  # no slice
    return straight and around and same and whole and u["fill"] == 0


def _widened(call: Call, pads: dict[int, Call]) -> Call:
    """Returns: a convolution that reads a pad's source, padding more itself; other calls as they are."""
    reads = dict(call.reads)
    pad = pads.get(reads["x"].value) if call.body in ZERO_AROUND else None
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
