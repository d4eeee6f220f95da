"""How a model is served: how many replicas, and whether rows are put together. Measured at the start."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from sanderling.engines.engine import Port, Runner
from sanderling.errors import SanderlingError
from sanderling.graph.types import Array
from sanderling.runtime.batched import with_rows
from sanderling.runtime.loading import read_model
from sanderling.runtime.opening import Read, open_runner
from sanderling.runtime.parallel.mapping import Source
from sanderling.runtime.parallel.plan import Plan
from sanderling.serve.inference.lanes import Inputs, ModelLane, Sizes, apart

SHORTEST = 5e-3  # seconds that a request may be held for others, if nobody says so
_CALLS = 4  # and at least the time of so many single calls
WORTH = 1.1  # rows a second: with less gained, rows are not put together
_DEARER = 1.05  # a plan with more replicas or threads must gain this much
_NEARLY = 0.97  # of the best: the smallest size so good is the largest used
_BEHIND = 2  # sizes in a row without a gain: larger ones are not tried
_LADDER = (2, 4, 8, 16, 32, 64)
_CHECKED = (2, 4)  # of the ladder: some engines compile each size
_LONGEST = 10.0  # seconds of climbing; the larger sizes are then left out
_TURNS = 7  # of the way that seems to be best and single calls
_ROUNDS, _SECONDS = 3, 0.04
_COMPARED = 4  # calls of several rows on real data that are compared with single ones


@dataclass(frozen=True, slots=True)
class Decision:
    """How a model is served.

    Attributes:
        plan: replicas and threads.
        delay: seconds that a request may be held for others, and that a call of several rows may take.
        sizes: rows of one call → its seconds; None where requests must have the model's own shape.
        reason: why rows are put together, or why not.
        seconds: of a call of one row.
        rates: plan → rows a second, one by one and put together.
    """

    plan: Plan
    delay: float
    sizes: Sizes | None
    reason: str
    seconds: float
    rates: dict[str, tuple[float, float]]

    @property
    def largest(self) -> int:
        """The most rows of one call."""
        return 1 if self.sizes is None else self.sizes.largest


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user says.

    Attributes:
        batch: the most rows of one call; None has it measured, 1 is off.
        delay: seconds; None for a time that fits the model.
        replicas, threads: None has them measured.
    """

    batch: int | None = None
    delay: float | None = None
    replicas: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class _Tried:
    """A plan, measured: rows of one call → its seconds, while all replicas are busy."""

    plan: Plan
    seconds: dict[int, float]

    @property
    def alone(self) -> float:
        """Rows a second, one by one."""
        return self.plan.replicas / self.seconds[1]

    @property
    def best(self) -> float:
        """Rows a second with the best size."""
        return max(self.plan.replicas * size / each for size, each in self.seconds.items())


def decide(source: Source, wish: Wish, folder: Path) -> tuple[Decision, list[ModelLane]]:
    """Measures how a model is served best.

    Args:
        source: the model, which keeps no state.
        wish: what a user says.
        folder: for the model with open leading dimensions; it must live as long as the lanes.

    Returns: the decision, and the replicas.
    """
    wide, against = _opened(source, folder)
    if wide is not None:
        against = _verified(source, wide)
        wide = None if against else wide
    used = None if wish.batch == 1 else wide
    tried = [_try(source, used, plan, wish) for plan in _plans(source, wish)]
    together = _fastest(tried, lambda each: each.best)
    single = _fastest(tried, lambda each: each.alone)
    pays, reason = _judged(together, single, wish.batch, against, _bound(wish, together.seconds[1]))
    if pays and wish.batch is None and wide is not None:
        pays, reason = _confirmed(source, wide, together, single)
    chosen = together if pays else single
    sizes = None if wide is None else _sizes(chosen, wish.batch if pays else 1)
    rates = {str(each.plan): (each.alone, each.best) for each in tried}
    delay = _bound(wish, chosen.seconds[1])
    made = Decision(chosen.plan, delay, sizes, reason, chosen.seconds[1], rates)
    return made, _load(source, wide if made.largest > 1 else None, made)


def _bound(wish: Wish, call: float) -> float:
    """Returns: seconds for holding and for a call, where a single call takes so many."""
    return max(SHORTEST, _CALLS * call) if wish.delay is None else wish.delay


def _fastest(tried: Sequence[_Tried], rate: Callable[[_Tried], float]) -> _Tried:
    best = tried[0]
    for each in tried[1:]:
        if rate(each) > rate(best) * _DEARER:
            best = each
    return best


def _judged(
    together: _Tried, single: _Tried, batch: int | None, against: str, delay: float
) -> tuple[bool, str]:
    """Returns: whether rows are put together, and why."""
    if batch == 1:
        return False, "as asked"
    if against:
        return False, against
    rates = {size: together.plan.replicas * size / each for size, each in together.seconds.items()}
    several = max((size for size in rates if size > 1), key=lambda size: rates[size], default=1)
    if several == 1:
        return False, f"a call of 2 rows takes longer than {delay * 1e3:.3g} ms"
    gain = rates[several] / single.alone
    return batch is not None or gain >= WORTH, _told(several, gain)


def _told(rows: int, gain: float) -> str:
    return f"{rows} rows in one call are {gain:.2f}× as fast as one by one"


def _confirmed(source: Source, wide: Source, together: _Tried, single: _Tried) -> tuple[bool, str]:
    """Returns: whether it pays when both ways are measured by turns, and the gain in a sentence. What was
    measured at different times may differ by what else the machine did."""
    size = _sizes(together, None).largest
    with ExitStack() as stack:
        several, alone = _open(stack, wide, together.plan), _open(stack, source, single.plan)
        pool = stack.enter_context(ThreadPoolExecutor(max(len(several), len(alone))))
        items = noise(alone[0].inputs)
        group: list[Inputs] = [items(1) for _ in range(size)]
        gains = []
        for _ in range(_TURNS):
            a = _call_seconds(pool, [ModelLane(each, Sizes({size: 1.0})) for each in several], group)
            b = _call_seconds(pool, [ModelLane(each) for each in alone], [items(1)])
            gains.append(len(several) * size / a / (len(alone) / b))
    gain = median(gains)
    return gain >= WORTH, _told(size, gain)


def _sizes(tried: _Tried, batch: int | None) -> Sizes:
    """Returns: the sizes to use, up to the smallest that is nearly the best."""
    rates = {size: size / seconds for size, seconds in tried.seconds.items()}
    good = min(size for size, rate in rates.items() if rate >= _NEARLY * max(rates.values()))
    largest = batch or good
    return Sizes({size: seconds for size, seconds in tried.seconds.items() if size <= largest})


def _opened(source: Source, folder: Path) -> tuple[Source | None, str]:
    """Returns: the model for any number of rows; else None and why not."""
    from sanderling.tflite import write

    if source.read.cascade is not None:
        return None, "rows of a cascade may each need another of its models"
    try:
        path = folder / f"{source.read.path.stem}-rows.tflite"
        write(with_rows(source.read.model), path)
        return replace(source, read=Read(path, (read_model(path),))), ""
    except SanderlingError as error:
        return None, error.what


def _plans(source: Source, wish: Wish) -> list[Plan]:
    from sanderling.engines import registry

    cores = source.cores
    if source.read.cascade is None and not registry.find_variant(source.engine).threads:
        return [Plan(wish.replicas or 1, 1)]
    if wish.replicas is not None:
        return [Plan(wish.replicas, wish.threads or max(1, cores // wish.replicas))]
    if wish.threads is not None:
        counts = dict.fromkeys([1, max(1, cores // wish.threads)])
        return [Plan(count, wish.threads) for count in counts]
    shared = [Plan(n, cores // n) for n in range(1, cores + 1) if cores % n == 0]
    return [Plan(1, 1), *(plan for plan in shared if plan != Plan(1, 1))]


def _verified(source: Source, wide: Source) -> str:
    """Returns: why answers of several rows are not those of single calls; "" where they are."""
    plan = Plan(1, source.cores)
    with ExitStack() as stack:
        try:
            several, single = _open(stack, wide, plan)[0], _open(stack, source, plan)[0]
            differs = _differs(several, single, noise(single.inputs))
        except SanderlingError as error:
            return error.what
    return f"an answer of several rows differs from those of single calls: {differs}" if differs else ""


def _try(source: Source, wide: Source | None, plan: Plan, wish: Wish) -> _Tried:
    """Returns: a plan measured."""
    with ExitStack() as stack:
        single = _open(stack, source, plan)
        pool = stack.enter_context(ThreadPoolExecutor(plan.replicas))
        items = noise(single[0].inputs)
        alone = [ModelLane(runner) for runner in single]
        if wide is None:
            return _Tried(plan, {1: _call_seconds(pool, alone, [items(0)])})
        return _Tried(plan, _climb(pool, alone, _open(stack, wide, plan), items, wish))


def _open(stack: ExitStack, source: Source, plan: Plan) -> list[Runner]:
    runners = []
    for _ in range(plan.replicas):
        runner = open_runner(source.read, source.engine, **{**source.how, "threads": plan.threads})
        stack.callback(runner.close)
        runners.append(runner)
    return runners


def noise(ports: Sequence[Port]) -> Callable[[int], list[Array]]:
    """Returns: a maker of rows of noise, no two alike; for 0 rows of the model's own shapes. Plain integers,
    which may be indices, are 0 and 1."""
    rng = np.random.default_rng(0)

    def one(port: Port, rows: int) -> Array:
        dtype = port.type.dtype.numpy
        shape = (rows, *port.type.shape[1:]) if rows else port.type.shape
        if dtype.kind == "f":
            return rng.random(shape).astype(dtype)
        if dtype.kind == "O":
            return np.full(shape, b"text", object)
        if dtype.kind in "iu" and port.type.is_quantized:
            limits = np.iinfo(str(dtype))
            return rng.integers(limits.min, limits.max, shape, dtype.type, endpoint=True)
        return rng.integers(0, 2, shape).astype(dtype)

    return lambda rows: [one(port, rows) for port in ports]


def _differs(wide: Runner, single: Runner, items: Callable[[int], list[Array]]) -> str:
    """Returns: how answers of several rows are apart from single ones; "" where they are the same."""
    for rows in _CHECKED:
        inputs = items(rows)
        together = wide.run(inputs)
        alone = [single.run([x[n : n + 1] for x in inputs]) for n in range(rows)]
        differs = apart(together, [np.concatenate(parts) for parts in zip(*alone, strict=True)])
        if differs:
            return differs
    return ""


def _climb(
    pool: ThreadPoolExecutor,
    alone: Sequence[ModelLane],
    runners: Sequence[Runner],
    items: Callable[[int], list[Array]],
    wish: Wish,
) -> dict[int, float]:
    """Returns: rows → seconds of one call, as far as calls stay within the bound and gain."""
    most = wish.batch
    ladder = [size for size in _LADDER if most is None or size < most] + ([] if most is None else [most])
    lanes: dict[int, list[ModelLane]] = {1: [*alone]}
    groups: dict[int, list[Inputs]] = {1: [items(1)]}
    single = [_call_seconds(pool, alone, groups[1])]
    rounds = {1: single}
    best, behind = 0.0, 0
    end = time.perf_counter() + _LONGEST
    for size in ladder:
        lanes[size] = [ModelLane(runner, Sizes({size: 1.0})) for runner in runners]
        groups[size] = [items(1) for _ in range(size)]
        each = _call_seconds(pool, lanes[size], groups[size])
        single.append(_call_seconds(pool, alone, groups[1]))  # by turns: the machine may do other things
        gain = size * single[-1] / each
        behind = behind + 1 if gain < max(1.0, best) * _NEARLY else 0
        over = each > _bound(wish, single[-1]) or behind == _BEHIND or time.perf_counter() > end
        if over and most is None:
            break
        rounds[size] = [each]
        best = max(best, gain)
    for _ in range(_ROUNDS - 1):
        for size, seen in rounds.items():
            seen.append(_call_seconds(pool, lanes[size], groups[size]))
    return {size: median(seen) for size, seen in rounds.items()}


def _call_seconds(pool: ThreadPoolExecutor, lanes: Sequence[ModelLane], group: list[Inputs]) -> float:
    """Returns: the median seconds of one call, while all replicas are busy."""

    def work(lane: ModelLane) -> float:
        end, times = time.perf_counter() + _SECONDS, list[float]()
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            answer = lane(group)[0]
            times.append(time.perf_counter() - begin)
            if isinstance(answer, SanderlingError):
                raise answer
        return median(times)

    for lane in lanes:
        lane(group)  # what is done once is not counted
    return median(pool.map(work, lanes))


def _load(source: Source, wide: Source | None, made: Decision) -> list[ModelLane]:
    with ExitStack() as stack:
        runners = _open(stack, wide or source, made.plan)
        items = noise(runners[0].inputs)
        lanes = [ModelLane(runner, made.sizes, _COMPARED) for runner in runners]
        for lane in lanes:
            for size in made.sizes.seconds if made.sizes is not None else ():
                lane([items(size)])  # engines make room for a size when it first comes
        stack.pop_all()
        return lanes
