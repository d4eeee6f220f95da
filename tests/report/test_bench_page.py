"""The pages of ``bench``: what is on them, that names cannot break out, and that they ask for nothing."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from sanderling.measure.results import Energy
from sanderling.measure.steady import Window
from sanderling.measure.sustained import throttling
from sanderling.report.bench_page import render
from sanderling.report.bench_plot import curve, latencies
from sanderling.report.format import format_error, format_joules, format_rate, slowdown_words
from sanderling.report.suite_markdown import markdown
from sanderling.report.suite_page import render_suite
from sanderling.report.suite_view import paper_table, superscript
from sanderling.report.write_bench import write_bench, write_suite
from tests.report.made_up_bench import EVIL, failed, result, row, suite


def test_the_page_holds_every_row_and_reason() -> None:
    page = render(result(row(), row("openvino:bf16", 1.0, 2.0), failed()))
    for text in ("2.00×", "1.94 – 2.06×", "has no kernel for FFT", "Energy is not available: no RAPL",
                 "left out: y: slow", "a note", "A CPU · 2 cores", "3.00\u00a0ms"):  # fmt: skip
        assert text in page, text
    assert page.count("<tr") == 1 + 3


def test_energy_and_curves_are_shown_where_they_were_measured() -> None:
    windows = [Window(i + 1.0, 10, 1 + i / 100, 2.0, 0.5, 3000 - i, 50 + i / 10) for i in range(100)]
    energy = Energy(0.0123, 0.004, 5.0, 9.0, 100, 2.0, "RAPL: package-0")
    full = replace(row(), energy=energy, sustained=throttling(windows, 100.0))
    page = render(result(full, meter="RAPL: package-0"))
    for text in ("12.3 mJ", "4.00 mJ above idle", "5 W are drawn", "slower", "clock 3000 → 2901 MHz",
                 'class="curve"'):  # fmt: skip
        assert text in page, text


@pytest.mark.parametrize("make", [render, lambda found: render_suite(suite(found.rows[0]))])
def test_nothing_breaks_out_and_nothing_is_loaded(make) -> None:  # type: ignore[no-untyped-def]
    evil = replace(row(name=EVIL), reason="", wrong=EVIL)
    page = make(result(evil, replace(failed(), reason=EVIL)))
    body = page.split("</style>")[1]
    assert "<script>alert" not in body
    assert "\u202e" not in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "default-src 'none'" in html.unescape(page)


def test_latencies_lie_within_their_plot() -> None:
    rows = [row(), row("a", 0.001, 2000.0), row("b", 500.0, 0.004), replace(row("c", 3.0, 0.6), wrong="ADD")]
    plot = latencies(rows, width=400)
    assert plot is not None
    assert [bar.kind for bar in plot.bars] == ["first", "fast", "slow", "wrong"]
    for bar in plot.bars:
        assert plot.frame.left <= bar.low <= bar.p50 <= bar.high <= plot.frame.right
        assert bar.p50 <= bar.p90
    assert latencies([failed()], width=400) is None


def test_a_curve_lies_within_its_plot() -> None:
    windows = [Window(i / 2 + 0.5, 5, 1 + (i % 7), 2.0) for i in range(60)]
    plot = curve(replace(row(), sustained=throttling(windows, 30.0)))
    assert plot is not None
    points = [tuple(map(float, pair.split())) for pair in plot.path[1:].split("L")]
    assert len(points) == 60
    assert all(plot.frame.left <= x <= plot.frame.right for x, _ in points)
    assert all(plot.frame.top <= y <= plot.frame.bottom for _, y in points)
    assert plot.first.right < plot.last.left
    assert curve(row()) is None


def test_a_paper_table_marks_the_best_the_wrong_and_the_missing() -> None:
    fast, wrong = row("x", 1.0, 2.0, "a"), replace(row("x", 0.1, 20.0, "b"), wrong="computes ADD wrongly")
    table = paper_table(suite(fast, wrong, replace(failed(), name="c"), replace(failed(), name="d")))
    by_name = dict(table.rows)
    assert [entry.best for entry in by_name["a"]] == [False, True]
    assert [entry.best for entry in by_name["b"]] == [True, False]
    assert by_name["b"][1].wrong
    assert by_name["c"][1].text == "–"
    assert by_name["c"][1].feet == by_name["d"][1].feet  # one footnote for the same reason
    assert table.feet == ("computes ADD wrongly", "has no kernel for FFT", "is no model")
    assert table.means == (("1.00×", "4 of 5"), ("2.00×", "1 of 5"))


def test_fewer_bits_are_a_footnote_of_the_column() -> None:
    table = paper_table(suite(replace(row("x:f16", 1.0, 2.0), exact=False)))
    assert table.columns[1] == "x:f16, 1 thread ¹"
    assert superscript(120) == "¹²⁰"


def test_markdown_is_a_table_that_names_cannot_break() -> None:
    text = markdown(suite(row("x", 1.0, 2.0, EVIL), replace(failed(), name="c")))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert len(set(cells)) == 1
    assert "**1.00 ms** (2.00×)" in text
    assert "\\<script>" in text


def test_files_are_written(tmp_path: Path) -> None:
    [page, document] = write_bench(result(row(), failed()), tmp_path / "one")
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(document.read_text())["rows"][1]["reason"] == "has no kernel for FFT"
    names = [path.name for path in write_suite(suite(row("x", 1.0, 2.0)), tmp_path / "all")]
    assert names == ["bench.html", "bench.md", "bench.json"]


def test_figures_in_words() -> None:
    assert [format_joules(v) for v in (None, 0.0123, 2.5, -0.001)] == ["–", "12.3 mJ", "2.50 J", "−1.00 mJ"]
    assert [format_rate(v) for v in (None, 28470.4, 487.2, 0.8312)] == ["–", "28,470", "487", "0.831"]
    assert [format_error(v) for v in (None, 0.0, 3.14e-7, inf)] == ["–", "0", "3.1e-07", "∞"]
    flat = throttling([Window(i + 1.0, 9, 1.0, 1.0) for i in range(100)], 100.0)
    assert slowdown_words(flat) == "as fast (0.0 to 0.0 %)"
    assert slowdown_words(replace(flat, slowdown=1.2, ci95=(1.1, 1.3))) == "20.0 % slower (10.0 to 30.0)"
    assert slowdown_words(replace(flat, slowdown=0.9, ci95=(0.85, 0.95))) == "10.0 % faster (5.0 to 15.0)"
    assert "too few" in slowdown_words(replace(flat, slowdown=1.2, ci95=(0.0, inf)))
