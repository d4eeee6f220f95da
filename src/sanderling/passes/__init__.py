"""Rewrites of a graph that keep its answers, one file each."""

from sanderling.passes.pipeline import FASTER, LOSSLESS, PLAIN_WEIGHTS, STATIC, run

__all__ = ["FASTER", "LOSSLESS", "PLAIN_WEIGHTS", "STATIC", "run"]
