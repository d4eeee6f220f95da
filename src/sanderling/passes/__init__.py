"""Rewrites of a graph that keep its answers, one file each."""

from sanderling.passes.lower_for import lower_for
from sanderling.passes.pipeline import CANONICAL, FASTER, LOSSLESS, PLAIN_WEIGHTS, STATIC, counted, run
from sanderling.passes.registry import find, names

__all__ = [
    "CANONICAL",
    "FASTER",
    "LOSSLESS",
    "PLAIN_WEIGHTS",
    "STATIC",
    "counted",
    "find",
    "lower_for",
    "names",
    "run",
]
