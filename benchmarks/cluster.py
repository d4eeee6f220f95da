"""Trials on two nodes of one machine: how much faster than on one, and what the loss of a node costs.

    python benchmarks/cluster.py [--model digits] [--json benchmarks/results/cluster.json]

Three searches of the same twelve trials: on one node, on two, and on two of which one is killed half-way
(SIGKILL to its raylet and all its workers). Each node has one processor. What is asked: every trial is there,
none is left running, and the winner's speed-up is that of the search without a loss, within its interval.
On a machine with fewer free processors than nodes the times say nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.local_ray import LocalRay
from sanderling import verbs
from sanderling.compress.recipe import Recipe, Step
from sanderling.search import ladder
from sanderling.search.events import TrialFinished, TrialStarted
from sanderling.search.rungs import Proposal, Skipped, State

TRIALS = 12
SECONDS = 60.0


def many(state: State) -> Iterator[Proposal | Skipped]:
    """Proposes int8 with eleven different ranges, none of which depends on another."""
    for number in range(TRIALS - 1):
        step = Step("static_int8", {"calibration": "percentile", "percentile": 99.0 + number / 12})
        yield Proposal(f"int8 {number}", Recipe(f"int8 {number}", (step,)), "many", state.threads)


def search(model: str, address: str, then: Callable[[], None] | None = None) -> dict[str, Any]:
    """Runs the twelve trials; ``then`` is called when half of them have ended. Returns: what came of it."""
    import optuna

    events: list[Any] = []

    def listen(event: Any) -> None:
        events.append(event)
        finished = sum(isinstance(each, TrialFinished) for each in events)
        if then is not None and isinstance(event, TrialFinished) and finished == TRIALS // 2:
            then()

    with tempfile.TemporaryDirectory(prefix="sd-cluster-") as folder:
        start = time.monotonic()
        result = verbs.optimize(
            model,
            output=folder,
            cluster=address,
            threads=1,
            seconds=SECONDS,
            training=0,
            limit=400,
            listen=listen,
        )
        seconds = time.monotonic() - start
        study = optuna.load_study(study_name="sanderling", storage=f"sqlite:///{folder}/study.db")
        states = Counter(trial.state.name for trial in study.trials)
    best = result.best
    return {
        "seconds": round(seconds, 1),
        "trials": len(result.trials),
        "measured": sum(trial.latency is not None for trial in result.trials),
        "begun": sum(isinstance(each, TrialStarted) for each in events),
        "finished": sum(isinstance(each, TrialFinished) for each in events),
        "states": dict(states),
        "where": dict(Counter(trial.where for trial in result.trials)),
        "best": None if best is None else best.trial.name,
        "speedup": None if best is None or best.trial.latency is None else best.trial.latency.speedup,
        "speedup_ci95": None
        if best is None or best.trial.latency is None
        else best.trial.latency.speedup_ci95,
    }


def main() -> None:
    """Runs the three searches and writes what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "cluster.json")
    options = parser.parse_args()
    ladder.LADDER = ((ladder.AS_IS, ladder.as_is), ("many", many))
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.processor(),
    }
    with LocalRay(nodes=1) as cluster:
        found["one node"] = search(options.model, cluster.address)
        print(found["one node"])
        second = cluster.add()
        found["two nodes"] = search(options.model, cluster.address)
        print(found["two nodes"])
        killed: list[int] = []
        found["one of two killed"] = search(
            options.model, cluster.address, lambda: killed.extend(second.kill())
        ) | {"processes_killed": len(killed)}
        print(found["one of two killed"])
        cluster.running.remove(second)
    found["faster"] = round(found["one node"]["seconds"] / found["two nodes"]["seconds"], 2)
    lost = found["one of two killed"]
    found["nothing lost"] = lost["trials"] == lost["measured"] == lost["finished"] == TRIALS and lost[
        "states"
    ] == {"COMPLETE": TRIALS}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{found['faster']}x with two nodes; nothing lost: {found['nothing lost']}; {options.json}")


if __name__ == "__main__":
    main()
