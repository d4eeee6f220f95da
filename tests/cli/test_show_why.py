"""What ``diff`` prints about causes and remedies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sanderling.cli.show_why import helped, show
from sanderling.compress.damage.why import Culprit, Explanation, Help
from sanderling.measure.explaining import Why
from sanderling.measure.remedies import Attempt, Remedies

CULPRIT = Culprit(
    "net/conv[bold]", "CONV_2D", 0.04, 0.0, 0.04, 0.75, "outlier channel", "channel 4 of 16 is wide",
    (Help("calibration mse", 0.03), Help("equalize", 0.0001), Help("float", 0.0)), 0.5,
)  # fmt: skip
FOUND = Explanation((CULPRIT,), 0.05, 9, 12, ("other",), 8, True, 4, 1.0)
KEPT = Attempt("calibration", "mse", {}, 0.2, 0.1, 2.0, 2.5, kept=True)
SKIPPED = Attempt("rounding", "", {}, 0.1, note="no time: it may take 9 s, 3 s are left")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_operators_and_remedies_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    remedies = Remedies((KEPT, SKIPPED), 0.2, 2.0, 3.0, 0.1, 5.0)
    show(Why(FOUND, remedies, "2 samples both made and judged the candidates"))
    told = capsys.readouterr().out
    for part in (
        "1 operator costs 75 %",
        "net/conv[bold]",
        "outlier channel",
        "equalize → 1 %",
        "9 of 12 changes were measured before the time was up",
        "1 operator has other weights than A",
        "B's worst output is off by 20 % at 2.00 ms, float takes 3.00 ms; with what was tried: 10 %",
        "50 %",
        "+0.500 ms",
        "skipped: no time: it may take 9 s, 3 s are left",
        "2 samples both made and judged",
    ):
        assert part in told, part


def test_what_was_not_tried_is_called_so() -> None:
    assert helped(replace(CULPRIT, helps=())) == "not tried"
    assert helped(replace(CULPRIT, helps=(Help("weights mse", 0.03), Help("float", 0.0)))) == "float → 0 %"


def test_nothing_to_blame_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show(Why(replace(FOUND, culprits=(), measured=12, others=())))
    assert "no operator by itself costs accuracy" in capsys.readouterr().out
