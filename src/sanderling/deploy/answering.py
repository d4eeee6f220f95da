"""Answers of a loaded model to several examples, by name, as the model stores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sanderling.engines.engine import Runner
from sanderling.graph.types import Array


def answered(runner: Runner, feeds: Iterable[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """Runs each example from the initial state, and closes the runner.

    Args:
        feeds: the inputs of each by name, as stored.

    Returns: the outputs of each by name, as stored.
    """
    found = []
    try:
        for feed in feeds:
            runner.reset()
            arrays = runner.run([feed[port.name] for port in runner.inputs])
            found.append(dict(zip([port.name for port in runner.outputs], arrays, strict=True)))
    finally:
        runner.close()
    return found
