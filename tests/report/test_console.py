"""The terminal: fits every width, cuts no figure, sends no control codes into a pipe."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console

from sanderling.report import view
from sanderling.report.console import print_report
from sanderling.report.data import ReportData
from tests.report import made_up


def printed(data: ReportData, width: int, *, terminal: bool = False) -> str:
    file = io.StringIO()
    print_report(data, Console(file=file, width=width, force_terminal=terminal))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("make", made_up.CASES.values(), ids=made_up.CASES)
def test_it_fits_and_no_figure_is_cut(make: Callable[[], ReportData], width: int) -> None:
    data = make()
    text = printed(data, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "\x1b" not in text
    for trial in data.trials:
        cells = view.cells(trial)
        assert cells["p50"].text in text
        assert cells["drop"].text in text


def test_columns_go_by_priority() -> None:
    def heads(width: int) -> set[str]:
        text = printed(made_up.typical(), width)
        line = next(line for line in text.splitlines() if line.lstrip().startswith(("candidate", "#")))
        return set(line.split())

    assert heads(40) == {"candidate", "p50", "drop"}
    assert heads(80) == {"candidate", "status", "p50", "speed-up", "size", "drop"}
    assert heads(200) == {
        "#",
        "candidate",
        "status",
        "p50",
        "p90",
        "speed-up",
        "size",
        "memory",
        "drop",
        "why",
    }
    assert heads(40) < heads(60) < heads(80) < heads(120) < heads(200)


def test_names_are_whole_at_80_columns() -> None:
    words = printed(made_up.typical(), 80).split()
    for trial in made_up.typical().trials:
        assert set(trial.name.split()) <= set(words)


def test_reasons_are_told_where_there_is_room() -> None:
    text = " ".join(printed(made_up.typical(), 220).split())
    assert "no adapter: no Vulkan driver was found" in text


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert re.search("\x1b\\[[0-9;]*3[123]m", printed(made_up.typical(), 80, terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", printed(made_up.typical(), 80, terminal=True))


def test_hostile_names_send_no_codes_and_no_markup() -> None:
    text = printed(made_up.hostile(), 200)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]" in text  # shown, not obeyed


def test_a_terminal_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding="ascii")
    print_report(made_up.typical(), Console(file=file, width=100))
    file.flush()
    assert "2.18x" in buffer.getvalue().decode("ascii")
