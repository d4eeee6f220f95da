"""The progress line: written over on a terminal, one line elsewhere."""

from __future__ import annotations

import io

import pytest

from sanderling.zoo.tell import Line


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def told(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> str:
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    line = Line()
    line("waiting for another", 0, 0)
    for done in (0, 0, 500_000, 1_000_000):
        line("fetching birds", done, 1_000_000)
    return screen.getvalue()


def test_without_a_terminal_each_thing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, False) == "waiting for another …\nfetching birds (1.0 MB) …\n"


def test_on_a_terminal_the_line_goes_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, True)
    assert "\n" not in text
    assert "fetching birds … 0.0 of 1.0 MB" in text
    shown = ""
    for part in text.split("\r"):  # what a terminal makes of it
        shown = part + shown[len(part) :]
    assert shown.strip() == ""
