"""Models × engines as a paper's table: texts, what is best, and footnotes for what is not a plain figure."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.measure.bench_rows import BenchRow
from sanderling.measure.suite import Suite, SuiteRow
from sanderling.report.format import MISSING, format_ms, format_ratio


@dataclass(frozen=True, slots=True)
class Entry:
    """One model on one engine.

    Attributes:
        text: its median, "–" where there is none.
        ratio: how many times the first column's speed, "" in that column.
        best: the fastest whose answers are right.
        wrong: its answers are not.
        feet: numbers of footnotes.
    """

    text: str
    ratio: str = ""
    best: bool = False
    wrong: bool = False
    feet: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperTable:
    """The whole table.

    Attributes:
        columns: heads.
        rows: model → its entries, in the order of the columns.
        means: per column, its geometric mean and over how many models; "" where there is none.
        feet: footnotes, the first is number 1.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    means: tuple[tuple[str, str], ...]
    feet: tuple[str, ...]


def paper_table(suite: Suite) -> PaperTable:
    """Lays out a suite."""
    feet: list[str] = []
    columns = tuple(_head(suite, column, feet) for column in suite.columns)
    rows = tuple(
        (model.name, tuple(_entry(suite, model, c, feet) for c in suite.columns)) for model in suite.models
    )
    means = []
    for column in suite.columns:
        found = suite.mean(column)
        counted = f"{found[1]} of {len(suite.models)}" if found and found[1] < len(suite.models) else ""
        means.append((format_ratio(found[0]), counted) if found else (MISSING, ""))
    return PaperTable(columns, rows, tuple(means), tuple(feet))


def _head(suite: Suite, column: str, feet: list[str]) -> str:
    inexact = any(not row.exact for model in suite.models for row in model.rows if row.label == column)
    if not inexact:
        return column
    return f"{column} {superscript(_foot('computes float tensors in fewer bits than float32', feet))}"


def _entry(suite: Suite, model: SuiteRow, column: str, feet: list[str]) -> Entry:
    row = suite.cell(model, column)
    if row is None:
        reason = model.reason or "it was not tried"
        return Entry(MISSING, feet=(_foot(reason, feet),))
    if row.latency is None:
        return Entry(MISSING, feet=(_foot(_shared(row), feet),))
    first = column == suite.columns[0]
    notes = (_foot(row.wrong, feet),) if row.wrong else ()
    ratio = "" if first else format_ratio(row.latency.speedup)
    return Entry(format_ms(row.latency.p50), ratio, suite.best(model) == column, bool(row.wrong), notes)


def _shared(row: BenchRow) -> str:
    """Returns: a reason without the model's own name, so that several models share a footnote."""
    return row.reason.replace(f"{row.file}: ", "").replace(row.file.name, "the model")


def _foot(text: str, feet: list[str]) -> int:
    if text not in feet:
        feet.append(text)
    return feet.index(text) + 1


def superscript(number: int) -> str:
    """Returns: a footnote's number, raised: ``¹²``."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
