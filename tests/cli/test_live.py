"""What is printed while a search runs."""

from __future__ import annotations

import io
import math
import os
import signal

import pytest
from rich.console import Console

from sanderling.cli.live import Live, trial_line
from sanderling.compress.recipe import Recipe
from sanderling.measure.results import Fidelity, Latency
from sanderling.search.events import Note, Phase, Progress, RungSkipped, TrialFinished, TrialStarted
from sanderling.search.trial import Status, Trial


def trial(name: str = "static int8, minmax", status: Status = "ok", reason: str = "") -> Trial:
    return Trial(
        "id", name, "net", Recipe(name), "litert", 1, size_bytes=1000, status=status, reason=reason,
        latency=Latency(0.165, 0.2, 100, 2.31, (2.2, 2.4), 0.38),
        fidelity=Fidelity("1 - top-1 agreement", 0.998, 0.002, (0.0, 0.01), 200),
    )  # fmt: skip


EVENTS = [
    Phase("reading the model"),
    Note("normalisation as given"),
    Note("these samples are noise", loud=True),
    TrialStarted(1, "static int8, minmax", 30.0),
    Progress("comparing answers", 3, 10),
    TrialFinished(trial()),
    TrialFinished(trial("int4 weights", "rejected", "slower than the original here"), resumed=True),
    RungSkipped("lossless rewrites", "there is nothing to fold"),
]


def test_a_pipe_gets_one_plain_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    with Live() as live:
        for event in EVENTS:
            live(event)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert "\r" not in err
    assert err.splitlines() == [
        "reading the model …",
        "note: normalisation as given",
        "warning: these samples are noise",
        "ok        static int8, minmax                 0.165 ms   2.31×   drop 0.2 %",
        "rejected  int4 weights                        0.165 ms   2.31×   drop 0.2 % "
        "slower than the original here; known from the study",
        "skipped   lossless rewrites: there is nothing to fold",
    ]
    assert live.finished == 2


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Live(quiet=True) as live:
        for event in EVENTS:
            live(event)
    assert capsys.readouterr() == ("", "")
    assert live.finished == 2


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_never_gets_lines_wider_than_it_is(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, markup=False)
    monkeypatch.setattr("sanderling.cli.live.stderr", lambda: console)
    with Live() as live:
        for event in EVENTS:
            live(event)
    text = stream.getvalue()
    assert "static int8" in text
    assert "slower than" in text
    if width >= 80:
        plain = [line.rsplit("\x1b[2K", 1)[-1] for line in text.split("\n")]
        assert all(len(line) <= width for line in plain if "\x1b" not in line)


def test_a_failed_trial_has_a_line_too() -> None:
    row, reason = trial_line(
        Trial("id", "x", "net", Recipe("x"), "litert", 1, status="failed", reason="crashed")
    )
    assert "drop –" in row.plain
    assert reason == "crashed"


def test_figures_that_were_not_measured_do_not_break_the_line() -> None:
    latency = Latency(math.nan, math.nan, 0, math.nan, (math.nan, math.nan), math.nan)
    row, _ = trial_line(Trial("id", "x", "net", Recipe("x"), "litert", 1, latency=latency))
    assert "–" in row.plain


def test_ctrl_c_that_is_swallowed_is_raised_at_the_next_event() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Live(quiet=True) as live:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            live(Phase("the next one"))
    assert signal.getsignal(signal.SIGINT) is before
