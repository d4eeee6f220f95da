"""MIRROR_PAD as SLICE, REVERSE_V2 and CONCATENATION: see ``replace_mirror_pads``."""

from __future__ import annotations

from sanderling.passes import replace_mirror_pads
from sanderling.passes.rewrite import Pass

PASS = Pass(
    "lower_mirror_pad",
    "SLICE, REVERSE_V2 and CONCATENATION for MIRROR_PAD",
    replace_mirror_pads.apply,
    exact=True,
    grows=True,
    lowers="MIRROR_PAD",
    needs=("CONCATENATION", "REVERSE_V2", "SLICE"),
)
