"""Technique: rewrites that keep the answers (see ``passes/``): folded constants, no-ops and dead code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling import passes
from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.graph.graph import Model


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Settings: ``without``: names of passes to leave out."""
    without = Options("lossless", settings, ["without"]).names("without") or ()
    rewritten, notes = passes.run(model, without=without)
    return rewritten, Applied(notes=tuple(notes))


TECHNIQUE = Technique(
    "lossless", "Removes what the answers do not depend on; the figures stay the same.", apply
)
