"""Streams of inputs through replicas: in order, held up by who does not take, over a process's death."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import InputMismatch, RunError, UsageError
from sanderling.runtime.parallel.chunks import chunk_size, in_chunks
from sanderling.runtime.parallel.explore import Exploration
from sanderling.runtime.parallel.plan import Plan, candidates
from sanderling.runtime.parallel.replicas import InProcess
from sanderling.runtime.parallel.spread import spread
from sanderling.runtime.session import Session
from sanderling.tflite import write
from tests.models import Net


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("parallel") / "net.tflite"
    write(Net((1, 8, 8, 3)).conv(8).conv(8).reshape(1, 512).dense(6).model(), file)
    return file


def inputs(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((1, 8, 8, 3)).astype(np.float32) for _ in range(count)]


def test_results_come_in_the_order_of_the_work() -> None:
    def slow(n: int) -> int:
        time.sleep(0.002 * (n % 5))
        return n

    assert list(spread([slow] * 3, range(40))) == list(range(40))


def test_what_nobody_takes_holds_the_stream_up() -> None:
    read = []

    def stream() -> Iterator[int]:
        for n in range(1000):
            read.append(n)
            yield n

    answers = spread([lambda n: n] * 2, stream(), ahead=3)
    assert next(answers) == 0
    time.sleep(0.05)
    assert len(read) <= 6
    answers.close()  # type: ignore[attr-defined]


def test_a_failure_comes_in_its_turn() -> None:
    def fails(n: int) -> int:
        if n == 3:
            raise RunError("three")
        return n

    answers = spread([fails] * 2, range(100))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RunError, match="three"):
        next(answers)


def test_pieces_have_what_is_worth_handing_over() -> None:
    assert chunk_size(1.0) == 1
    assert chunk_size(1e-4) == 20
    assert chunk_size(1e-9) == 256
    assert list(in_chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_plans_are_for_the_cores_there_are() -> None:
    assert candidates(1) == [Plan(1, 1)]
    assert Plan(2, 1) in candidates(2)
    assert Plan(2, 2) in candidates(4)
    assert all(plan.replicas * plan.threads <= 6 for plan in candidates(6))


class Slow:
    """A lane that takes a while for every piece."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.closed = seconds, False

    def __call__(self, chunk: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        time.sleep(self.seconds * len(chunk))
        return [list(each) for each in chunk]

    def close(self) -> None:
        self.closed = True


def numbered() -> Iterator[list[np.ndarray]]:
    return ([np.array(n)] for n in itertools.count())


def test_the_fastest_plan_is_taken_and_the_others_are_closed() -> None:
    opened: dict[Plan, list[Slow]] = {}

    def lanes(plan: Plan) -> list[Slow]:
        opened[plan] = [Slow(0.004) for _ in range(plan.replicas)]
        return opened[plan]

    look = Exploration([Plan(1, 1), Plan(1, 2), Plan(2, 1), Plan(2, 1, "processes")], lanes)  # type: ignore[arg-type]
    stream = numbered()
    answers = [int(outputs[0]) for outputs in look.answers(stream)]
    assert answers == list(range(len(answers)))  # each item once, in order, whichever plan had it
    assert int(next(stream)[0]) == len(answers)
    assert look.plan == Plan(2, 1)
    assert look.lanes == opened[look.plan]
    assert not any(lane.closed for lane in look.lanes)
    assert all(lane.closed for other, found in opened.items() if other != look.plan for lane in found)
    rates = {each.plan: each.per_second for each in look.measured}
    assert rates[Plan(2, 1)] > 1.5 * rates[Plan(1, 1)]
    assert Plan(2, 1, "processes") not in opened  # threads did not hold each other up


def test_more_replicas_that_gain_nothing_are_not_taken() -> None:
    lock = threading.Lock()

    class Serial(Slow):
        def __call__(self, chunk: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
            with lock:
                return super().__call__(chunk)

    def lanes(plan: Plan) -> list[Slow]:
        kind = Slow if plan.where == "processes" else Serial
        return [kind(0.01) for _ in range(plan.replicas)]

    look = Exploration([Plan(1, 1), Plan(2, 1)], lanes)  # type: ignore[arg-type]
    list(look.answers(numbered()))
    assert (look.plan, len(look.lanes)) == (Plan(1, 1), 1)
    look = Exploration([Plan(1, 1), Plan(2, 1), Plan(2, 1, "processes")], lanes)  # type: ignore[arg-type]
    list(look.answers(numbered()))
    assert look.plan == Plan(2, 1, "processes")  # they are tried where threads hold each other up


@pytest.mark.parametrize("count", [1, 7, 20, 60])
def test_a_stream_that_ends_early_is_answered_whole(count: int) -> None:
    look = Exploration([Plan(1, 1), Plan(2, 1)], lambda plan: [Slow(0.003) for _ in range(plan.replicas)])  # type: ignore[misc]
    answers = list(look.answers(itertools.islice(numbered(), count)))
    assert [int(outputs[0]) for outputs in answers] == list(range(count))[: len(answers)]
    assert len(look.lanes) == look.plan.replicas


@pytest.mark.parametrize(
    "replicas, where", [(1, "threads"), (2, "threads"), (2, "processes"), ("auto", "auto")]
)
def test_a_session_maps_as_it_answers(model: Path, replicas: int | str, where: str) -> None:
    with Session(model, engine="litert") as session:
        given = inputs(40)
        mapped = session.map(iter(given), replicas, where=where)
        for one, many in zip([session(x) for x in given], mapped, strict=True):
            assert np.array_equal(one, many)
        assert mapped.plan is not None
        assert str(mapped.plan) in mapped.reason
        if replicas != "auto":
            assert (mapped.plan.replicas, mapped.measured) == (replicas, [])


@pytest.mark.parametrize("stages", [2, ("litert", "reference")])
def test_a_session_maps_in_stages(model: Path, stages: int | tuple[str, ...]) -> None:
    with Session(model, engine="litert") as session:
        given = inputs(10)
        right = [session(x) for x in given]
        mapped = session.map(iter(given), stages=stages)
        for one, many in zip(right, mapped, strict=True):
            assert np.allclose(one, many, atol=1e-5)
        assert "pipeline of 2 stages" in mapped.reason


def test_an_endless_stream_is_read_a_little_ahead(model: Path) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        (x,) = inputs(1)
        while True:
            taken += 1
            yield x

    with Session(model, engine="litert") as session, session.map(endless(), 2) as answers:
        for _ in range(3):
            next(answers)
    assert taken < 100


def test_no_inputs_give_no_answers(model: Path) -> None:
    with Session(model, engine="litert") as session:
        assert list(session.map([])) == []


def test_an_input_that_does_not_fit_is_said_in_its_turn(model: Path) -> None:
    with Session(model, engine="litert") as session:
        answers = session.map([*inputs(2), np.zeros((1, 2), np.float32)], 2)
        with pytest.raises(InputMismatch, match="has shape"):
            list(answers)


def test_the_death_of_a_process_costs_a_retry(model: Path) -> None:
    told: list[str] = []
    lane = InProcess(model, "litert", {"threads": 1, "precision": "auto", "options": {}}, told.append)
    (x,) = inputs(1)
    first = lane([[x]])[0][0]
    assert lane.pid is not None
    os.kill(lane.pid, signal.SIGKILL)
    time.sleep(0.1)
    again = lane([[x]])[0][0]
    lane.close()
    assert np.array_equal(first, again)


def test_a_process_killed_in_the_middle_loses_and_repeats_nothing(model: Path) -> None:
    with Session(model, engine="litert") as session:
        given = inputs(8)
        right = [session(x) for x in given]
        mapped = session.map((given[n % 8] for n in range(4000)), 2, where="processes")
        answers = []
        for number, answer in enumerate(mapped):
            answers.append(answer)
            if number == 1000:
                _kill_a_replica()
        assert len(answers) == 4000
        assert all(np.array_equal(answer, right[n % 8]) for n, answer in enumerate(answers))


def _kill_a_replica() -> None:
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
    workers = [pid for pid, line in lines.items() if b"sanderling.isolation.worker" in line]
    assert workers
    os.kill(workers[0], signal.SIGKILL)


def test_what_cannot_be_meant_is_said(model: Path) -> None:
    with Session(model, engine="litert") as session:
        with pytest.raises(UsageError, match="expected a number from 1 on"):
            session.map([], 0)
        with pytest.raises(UsageError, match="there is no 'clouds'"):
            session.map([], 2, where="clouds")
        with pytest.raises(UsageError, match="expected a number from 2 on"):
            session.map([], stages=1)


def test_a_model_that_keeps_a_state_is_not_shared_out(tmp_path: Path) -> None:
    from tests.engines.models import running_sum

    file = tmp_path / "sum.tflite"
    write(running_sum(), file)
    with Session(file, engine="litert") as session:
        with pytest.raises(RunError, match="keeps a state"):
            session.map([], 2)
        assert session.map([]).reason == "it is being measured, or nothing was asked for yet"
