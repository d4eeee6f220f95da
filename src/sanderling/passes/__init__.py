"""Rewrites of a graph that keep its answers, one file each."""

from sanderling.passes.pipeline import LOSSLESS, PLAIN_WEIGHTS, run

__all__ = ["LOSSLESS", "PLAIN_WEIGHTS", "run"]
