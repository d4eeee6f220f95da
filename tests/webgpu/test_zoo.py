"""Every real model with ``engine="webgpu"``: all of it on the GPU, its answers as near to LiteRT's as
they must be, its arenas hardly larger than what lives at once.

Integer models are run on three inputs (see ``nearness``); float ones on one, three where a GPU is expected.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.runner import WebGPURunner
from sanderling.runtime.loading import read_model
from sanderling.runtime.session import Session
from tests.models import computes_with_integers, noise
from tests.webgpu import nearness

FOLDER = Path(os.environ.get("SANDERLING_ZOO") or Path(__file__).parents[2] / "../shared/zoo") / "tflite"
FILES = sorted(FOLDER.glob("*.tflite"))
THOROUGH = os.environ.get("EXPECT_GPU") == "1"
ALIGNMENT = 256
pytestmark = pytest.mark.skipif(not FILES, reason=f"no real models at {FOLDER}: set SANDERLING_ZOO")


def live_bytes(program: Program) -> int:
    """Returns: bytes of all computed values at the worst moment, found from the dispatches alone."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    sizes: dict[int, int] = {}
    moments = [[port.slot for port in program.inputs]]
    moments += [[slot for slot in d.slots if not slot.constant] for d in program.dispatches]
    moments += [[port.slot for port in program.outputs]]
    for moment, slots in enumerate(moments):
        for slot in slots:
            first.setdefault(slot.value, moment)
            last[slot.value] = moment
            sizes[slot.value] = -(-slot.size // ALIGNMENT) * ALIGNMENT
    return max(
        sum(size for value, size in sizes.items() if first[value] <= moment <= last[value])
        for moment in range(len(moments))
    )


def answers_of(session: Session, feed: list[np.ndarray]) -> list[np.ndarray]:
    found = session({port.name: array for port, array in zip(session.inputs, feed, strict=True)})
    if isinstance(found, dict):
        return [np.asarray(found[port.name]) for port in session.outputs]
    return [np.asarray(found)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_real_model(device: object, path: Path) -> None:
    model = read_model(path)
    count = 3 if THOROUGH or computes_with_integers(model.main) else 1
    feeds = [noise(model, seed) for seed in range(count)]
    with Session(path, engine="webgpu") as session:
        answers = [answers_of(session, feed) for feed in feeds]  # a warning of a wrong answer is an error
        places = [(row.operator, row.engine, row.reason) for row in session.placement]
        runner = session._runner
        assert isinstance(runner, WebGPURunner)
        programs = [segment.executor.program for segment in runner.loaded.gpu]
    assert [place for place in places if place[1] == "litert"] == []
    assert sum(engine == "webgpu" for _, engine, _ in places) == sum(
        len(piece.nodes) for piece in runner.plan.pieces
    )
    nearness.check(path, model, feeds, answers)
    for program in programs:
        assert program.arena_bytes <= 1.15 * live_bytes(program)
