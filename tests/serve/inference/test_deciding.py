"""Whether rows are put together: only where answers stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.engines.engine import Runner
from sanderling.errors import RunError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.parallel.plan import Plan
from sanderling.serve.inference.deciding import Wish, _judged, _sizes, _Tried, decide
from sanderling.serve.inference.lanes import ModelLane, Sizes, apart
from tests.models import Net, save
from tests.serve.inference.serving import row


def made(path: Path, wish: Wish, folder: Path):  # type: ignore[no-untyped-def]
    with sd.Session(path, "litert") as session:
        return decide(session.source(), wish, folder)


WEIGHT_BOUND = {1: 4.0, 2: 4.1, 4: 4.4, 8: 5.0, 16: 7.0, 32: 14.0}  # ms: reading weights takes the time
COMPUTE_BOUND = {1: 4.0, 2: 7.9, 4: 15.8, 8: 31.0}


def tried(milliseconds: dict[int, float], replicas: int = 1) -> _Tried:
    return _Tried(Plan(replicas, 1), {size: each / 1e3 for size, each in milliseconds.items()})


def test_what_pays_is_told_by_the_times_of_calls() -> None:
    wide, busy = tried(WEIGHT_BOUND), tried(COMPUTE_BOUND)
    assert _judged(wide, wide, None, "", 0.02) == (
        True, "16 rows in one call are 9.14× as fast as one by one",
    )  # fmt: skip
    assert _judged(busy, busy, None, "", 0.02)[0] is False
    assert _judged(busy, busy, 8, "", 0.02)[0] is True  # as asked
    assert _judged(wide, wide, 1, "", 0.02) == (False, "as asked")
    assert _judged(wide, wide, None, "it cannot be", 0.02) == (False, "it cannot be")
    assert _judged(tried({1: 4.0}), wide, None, "", 0.005)[1] == "a call of 2 rows takes longer than 5 ms"
    # Two replicas one by one may be as fast as one that puts rows together.
    assert _judged(tried({1: 4.0, 2: 4.0}), tried({1: 4.0}, replicas=2), None, "", 0.02)[0] is False


def test_the_smallest_size_that_is_nearly_the_best_is_the_largest_used() -> None:
    assert _sizes(tried(WEIGHT_BOUND), None).largest == 16
    assert _sizes(tried({1: 4.0, 2: 4.0, 4: 7.9}), None).largest == 2
    assert [*_sizes(tried(WEIGHT_BOUND), 4).seconds] == [1, 2, 4]
    best = _sizes(tried(WEIGHT_BOUND), None).best
    assert [best(n) for n in (1, 2, 3, 5, 9, 16, 90)] == [1, 2, 4, 8, 8, 16, 16]


def test_rows_that_depend_on_each_other_are_never_put_together(tmp_path: Path) -> None:
    """A sum along the batch has the right shape, and wrong values."""
    net = Net((1, 16)).dense(8)
    axis = net.constant(np.array(0, np.int32), "axis")
    net.op("CUMSUM", (1, 8), (axis,), "CumsumOptions", exclusive=False, reverse=False)
    decision, lanes = made(save(net.model(), tmp_path / "sum.tflite"), Wish(8, None, 1, 1), tmp_path)
    assert decision.largest == 1
    assert decision.sizes is None
    assert "differs from those of single calls" in decision.reason
    lanes[0].close()


def test_a_batch_beyond_the_bound_is_not_made(tmp_path: Path) -> None:
    net = Net((1, 64, 64, 8)).conv(16).conv(16)
    path = save(net.model(), tmp_path / "conv.tflite")
    decision, lanes = made(path, Wish(None, 1e-6, 1, 1), tmp_path)
    assert decision.largest == 1
    assert "takes longer than 0.001 ms" in decision.reason
    lanes[0].close()


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_size_that_is_asked_for(dense: Path, batch: int, tmp_path: Path) -> None:
    decision, lanes = made(dense, Wish(batch, None, 1, 1), tmp_path)
    assert decision.largest == batch
    lanes[0].close()


class Leaky(Runner):
    """A model whose rows leak into each other on some inputs only."""

    def run(self, inputs):  # type: ignore[no-untyped-def]
        x = inputs[0]
        return [x + (x.max() > 5) * len(x)]

    def close(self) -> None:
        pass


def test_real_data_is_compared_as_well() -> None:
    lane = ModelLane(Leaky(), Sizes({1: 1.0, 4: 1.0}), compared=3)
    quiet = [[np.ones((1, 2), np.float32)] for _ in range(4)]
    loud = [[np.full((1, 2), 9, np.float32)] for _ in range(4)]
    lane(quiet)
    assert not lane.differs
    answers = lane(loud)
    assert "is off by" in lane.differs
    assert [float(a[0][0, 0]) for a in answers] == [10.0] * 4  # those of single calls
    assert [float(a[0][0, 0]) for a in lane(loud)] == [10.0] * 4


@pytest.mark.parametrize("sizes", [{1: 1.0}, {1: 1.0, 4: 1.5}, {1: 1.0, 2: 1.1, 8: 2.0}])
def test_groups_of_any_rows_are_split_and_filled(
    dense: Path, sizes: dict[int, float], tmp_path: Path
) -> None:
    _, lanes = made(dense, Wish(16, None, 1, 1), tmp_path)
    lane = ModelLane(lanes[0]._runner, Sizes(sizes))
    with sd.Session(dense, "litert") as session:
        for counts in ([1], [5], [1, 1, 1], [3, 1, 9], [2, 17]):
            group = [
                [np.concatenate([row(10 * n + k) for k in range(count)])] for n, count in enumerate(counts)
            ]
            for inputs, answer in zip(group, lane(group), strict=True):
                alone = np.concatenate([session(inputs[0][k : k + 1]) for k in range(len(inputs[0]))])
                assert not apart(answer, [alone])
    lanes[0].close()


class Picky(Runner):
    def run(self, inputs):  # type: ignore[no-untyped-def]
        if inputs[0].min() < 0:
            raise RunError("negative")
        return [inputs[0]]

    def close(self) -> None:
        pass


def test_one_bad_request_does_not_fail_its_neighbours() -> None:
    lane = ModelLane(Picky(), Sizes({1: 1.0, 4: 1.0}))
    group = [[np.full((1, 1), v, np.float32)] for v in (1, -1, 2)]
    found = lane(group)
    assert [isinstance(each, RunError) for each in found] == [False, True, False]


@pytest.mark.parametrize("shape", [(3, 8), (2,), ()])
def test_models_without_rows_take_their_own_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    kind = TensorType(shape, DType.FLOAT32)
    graph = Graph((Tensor("x", kind), Tensor("y", kind)), (Node("RELU", (0,), (1,)),), (0,), (1,), "main")
    decision, lanes = made(save(Model((graph,)), tmp_path / "own.tflite"), Wish(), tmp_path)
    assert decision.sizes is None
    assert "counts no rows" in decision.reason
    x = np.full(shape, -1, np.float32)
    assert lanes[0]([[x]])[0][0].shape == shape  # type: ignore[union-attr]
    for lane in lanes:
        lane.close()
