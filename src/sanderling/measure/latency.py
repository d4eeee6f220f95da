"""Times loaded models against each other (see ``timing/race.py``) in the worker that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.errors import UsageError
from sanderling.isolation.client import Worker
from sanderling.measure.results import Latency
from sanderling.measure.serving import Feed, Loaded, arrange, find
from sanderling.timing.mix import PASSES, by_feed, mean_ratio
from sanderling.timing.race import Contender, Progress, race, ratio


def contender(loaded: Loaded, feeds: Sequence[Feed]) -> Contender:
    """Returns: a loaded model as one that is to be timed, its feeds arranged beforehand."""
    arranged = [arrange(loaded, feed) for feed in feeds]
    if loaded.contender is not None:
        return loaded.contender(arranged)
    return Contender(loaded.runner.run, arranged)


def interleave(
    baseline: int,
    candidate: int,
    feeds: Sequence[Feed],
    seconds: float = 5.0,
    target: float = 0.03,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Times a candidate against a baseline. Called in the worker.

    Args:
        baseline, candidate: handles from ``serving.load``; their threads and engines may differ.
        feeds: inputs for both, fed in turn; float arrays are quantized where an input is, outside of the
            timing.
        seconds: time limit, warm-up included; exceeded only where even 6 blocks take longer.
        target: stop when the ratio's 95 % interval is within ± this share.
        progress: told ``{"seconds": spent, "blocks": timed}`` now and then, between blocks.

    Returns: the candidate's ``Latency`` as JSON.
    """
    return interleave_many([baseline, candidate], feeds, seconds, target, progress)[1]


def interleave_many(
    handles: Sequence[int],
    feeds: Sequence[Feed],
    seconds: float = 5.0,
    target: float = 0.03,
    progress: Progress | None = None,
    own_feeds: Sequence[Sequence[Feed] | None] | None = None,
    mixed: bool = False,
) -> list[dict[str, object]]:
    """Times several models side by side. Called in the worker.

    Args:
        handles: from ``serving.load``; the first is the baseline.
        feeds, seconds, target, progress: as for ``interleave``.
        own_feeds: per handle, feeds of its own in place of ``feeds`` where its inputs differ, or None.
        mixed: calls may take longer on some feeds than on others: all feeds are timed until the time is up,
            and means over them compared (see ``timing/mix.py``).

    Returns: per handle, its ``Latency`` as JSON; the baseline's own speed-up is 1.

    Raises:
        UsageError: there are no feeds.
        InputMismatch: a feed does not fit a model.
    """
    if not feeds:
        raise UsageError("there is nothing to feed: no sample was given")
    models = [find(handle) for handle in handles]
    own = own_feeds if own_feeds is not None else [None] * len(models)
    racing = [contender(model, given or feeds) for model, given in zip(models, own, strict=True)]
    if mixed:
        race(racing, seconds=seconds, target=0.0, progress=progress, passes=PASSES)
    else:
        race(racing, seconds=seconds, target=target, progress=progress)
    rows = [summary(each, racing[0], m.load_ms) for m, each in zip(models, racing, strict=True)]
    if mixed:
        rows = [_mean(row, each, racing[0]) for row, each in zip(rows, racing, strict=True)]
    return [row.to_json() for row in rows]


def _mean(row: Latency, timed: Contender, baseline: Contender) -> Latency:
    """Returns: a summary with the mean over the feeds, and the ratio of the means."""
    low, middle, high = mean_ratio(timed, baseline) if timed is not baseline else (1.0, 1.0, 1.0)
    return replace(row, mean=float(by_feed(timed).mean()), speedup=middle, speedup_ci95=(low, high))


def summary(timed: Contender, baseline: Contender, load_ms: float = float("nan")) -> Latency:
    """Returns: what the blocks say about one of the contenders."""
    calls = timed.times
    low, middle, high = ratio(timed, baseline) if timed is not baseline else (1.0, 1.0, 1.0)
    p50, p90 = np.percentile(calls, [50, 90])
    return Latency(
        p50=float(p50),
        p90=float(p90),
        runs=len(calls),
        speedup=middle,
        speedup_ci95=(low, high),
        load_ms=load_ms,
        baseline_p50=float(np.median(baseline.times)),
    )


def compare(
    worker: Worker,
    baseline: int,
    candidate: int,
    feeds: Sequence[Feed],
    *,
    seconds: float = 5.0,
    target: float = 0.03,
    timeout: float | None = None,
    doing: str = "timing",
) -> Latency:
    """Times a candidate against a baseline that are both loaded in a worker. Called in the parent.

    Args:
        worker: where both were loaded.
        timeout: seconds until the worker is given up; None: no limit.
        doing: what it does, for errors.
        baseline, candidate, feeds, seconds, target: as for ``interleave``.

    Raises:
        WorkerError: the worker crashed or hung.
    """
    found = worker.call(
        "sanderling.measure.latency:interleave",
        timeout=timeout,
        doing=doing,
        baseline=baseline,
        candidate=candidate,
        feeds=list(feeds),
        seconds=seconds,
        target=target,
    )
    return Latency.from_json(found)
