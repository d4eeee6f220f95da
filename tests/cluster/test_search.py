"""A search on several nodes: trials run at the same time, and the loss of a node costs no trial."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from benchmarks.local_ray import LocalNode, LocalRay, left_running
from sanderling import verbs, zoo
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import ConnectionLost
from sanderling.report.result import Result
from sanderling.search import laboratory, ladder
from sanderling.search.events import Note, TrialFinished
from sanderling.search.rungs import Proposal, Skipped, State

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sanderling[cluster]'")
SOURCE = Path(__file__).parents[2] / "src"
TRIALS = 12


def many(state: State) -> Iterator[Proposal | Skipped]:
    """Proposes without looking: all of it may be measured at the same time."""
    for number in range(TRIALS - 1):
        step = Step("static_int8", {"calibration": "percentile", "percentile": 99.0 + number / 12})
        yield Proposal(f"int8 {number}", Recipe(f"int8 {number}", (step,)), "many", state.threads)


@pytest.fixture
def twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "LADDER", ((ladder.AS_IS, ladder.as_is), ("many", many)))
    monkeypatch.setattr(laboratory, "TIMING_SECONDS", 0.4)
    monkeypatch.setattr(laboratory, "ROUGH_SECONDS", 0.4)


class Told:
    """Listens, and does something once so many trials have ended."""

    def __init__(self, then: Any = lambda: None, after: int = 10**6) -> None:
        self.events: list[Any] = []
        self._then, self._after = then, after

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, TrialFinished) and self.finished == self._after:
            self._then()

    @property
    def finished(self) -> int:
        return len([each for each in self.events if isinstance(each, TrialFinished)])

    @property
    def fresh(self) -> int:
        return len([e for e in self.events if isinstance(e, TrialFinished) and not e.resumed])

    @property
    def notes(self) -> str:
        return "\n".join(each.text for each in self.events if isinstance(each, Note))


def search(output: Path, digits: zoo.Card, address: str, told: Any, **more: Any) -> Result:
    options = {"limit": 60, "threads": 1, "cluster": address, "listen": told, "training": 0, **more}
    return verbs.optimize(str(digits.name), output=output, **options)


def states(output: Path) -> dict[str, int]:
    """Returns: how many trials the study holds, by their state."""
    study = optuna.load_study(study_name="sanderling", storage=f"sqlite:///{output / 'study.db'}")
    found: dict[str, int] = {}
    for trial in study.trials:
        found[trial.state.name] = found.get(trial.state.name, 0) + 1
    return found


def test_the_loss_of_a_node_costs_no_trial(
    cluster: LocalRay, twelve: None, tmp_path: Path, digits: zoo.Card
) -> None:
    second = cluster.add()
    killed: list[int] = []

    def kill() -> None:
        killed.extend(second.kill())

    told = Told(kill, after=5)
    result = search(tmp_path, digits, cluster.address, told)
    cluster.running.remove(second)
    assert killed
    assert len(result.trials) == TRIALS
    assert {trial.status for trial in result.trials} <= {"ok", "undecided", "rejected"}
    assert all(trial.latency and trial.fidelity and trial.where for trial in result.trials)
    assert len({trial.where for trial in result.trials}) == 3
    assert "was lost while" in told.notes
    assert states(tmp_path) == {"COMPLETE": TRIALS}
    assert [t.name for t in result.trials] == ["float, as it is", *(f"int8 {n}" for n in range(TRIALS - 1))]
    again = Told()
    same = search(tmp_path, digits, cluster.address, again, resume=True)
    assert again.fresh == 0
    assert [trial.id for trial in same.trials] == [trial.id for trial in result.trials]


def test_without_any_node_left_it_ends_and_goes_on_later(
    twelve: None, tmp_path: Path, digits: zoo.Card
) -> None:
    with LocalRay(nodes=2) as own:
        lost: list[LocalNode] = list(own.running)

        def kill() -> None:
            for node in reversed(lost):
                node.kill()
            own.running.clear()

        told = Told(kill, after=4)
        with pytest.raises(ConnectionLost, match="all nodes of the cluster are lost") as error:
            search(tmp_path, digits, own.address, told)
    assert "trials are kept" in str(error.value)
    assert "--resume" in str(error.value)
    found = states(tmp_path)
    assert "RUNNING" not in found
    assert found["COMPLETE"] >= 4
    assert not (tmp_path / ".scratch").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_ended_leaves_nothing_running(
    number: signal.Signals, cluster: LocalRay, tmp_path: Path, digits: zoo.Card
) -> None:
    before = {pid for node in cluster.running for pid in node.processes()}
    command = [sys.executable, "-m", "sanderling", "optimize", digits.name, "--cluster", cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    lines: list[str] = []
    with subprocess.Popen(
        [*command, "--limit", "60", "-o", str(tmp_path)], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "static int8" in line:
                break
        process.send_signal(number)
        lines += process.stderr
    told = "".join(lines)
    if number == signal.SIGINT:
        assert "--resume" in told
        assert "Traceback" not in told
        assert "RUNNING" not in states(tmp_path)
    until_idle(cluster, before)


def until_idle(cluster: LocalRay, before: set[int]) -> None:
    """Waits until only Ray's own processes are left on the nodes."""
    for _ in range(100):
        now = {pid for node in cluster.running for pid in node.processes()} - before
        if not [pid for pid in left_running(list(now)) if _is_ours(pid)]:
            return
        time.sleep(0.2)
    raise AssertionError(f"still running: {[_command(pid) for pid in now]}")


def _is_ours(pid: int) -> bool:
    command = _command(pid)
    return "Home" in command or "sanderling.isolation" in command


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
