"""Why accuracy is lost, as texts for the page."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.report.data import ReportData
from sanderling.report.format import MISSING, format_ms, format_share


@dataclass(frozen=True, slots=True)
class CulpritRow:
    """An operator of the first table."""

    operator: str
    kind: str
    share: str
    error: str
    cause: str
    evidence: str
    remedy: str
    left: str


@dataclass(frozen=True, slots=True)
class RemedyRow:
    """A remedy of the second table."""

    remedy: str
    name: str
    anchor: str
    before: str
    after: str
    costs: str


@dataclass(frozen=True, slots=True)
class LostView:
    """Both tables, and the trial that they are about."""

    base: str
    anchor: str
    culprits: tuple[CulpritRow, ...]
    remedies: tuple[RemedyRow, ...]
    note: str


def lost_view(data: ReportData) -> LostView | None:
    """Returns: the section, None where there is nothing to tell."""
    lost = data.lost_accuracy
    if lost is None or not (lost.culprits or lost.remedies or lost.note):
        return None
    names = {trial.id: trial.name for trial in data.trials}
    anchors = {trial.id: f"trial-{number}" for number, trial in enumerate(data.trials, 1)}
    culprits = tuple(
        CulpritRow(
            row.operator, row.kind, format_share(row.share), format_share(row.error), row.cause or MISSING,
            row.evidence, row.remedy or "not tried", f"{format_share(row.left)} left" if row.remedy else "",
        )
        for row in lost.culprits
    )  # fmt: skip
    rows = tuple(
        RemedyRow(
            row.remedy, row.name, anchors.get(row.trial, "trials"), format_share(row.before),
            format_share(row.after), _costs(row.ms_before, row.ms),
        )
        for row in lost.remedies
    )  # fmt: skip
    return LostView(names.get(lost.trial, ""), anchors.get(lost.trial, "trials"), culprits, rows, lost.note)


def _costs(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return MISSING
    sign = "+" if after >= before else "−"
    return f"{sign}{format_ms(abs(after - before))}"
