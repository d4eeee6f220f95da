"""Writes ``report.html`` and ``report.json`` into a folder, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sanderling import files
from sanderling.report.data import ReportData
from sanderling.report.page import render


def write_report(data: ReportData, folder: str | Path) -> tuple[Path, Path]:
    """Writes ``report.html`` and ``report.json``, each at once or not at all.

    Args:
        data: the result of a search.
        folder: made when it does not exist.

    Returns: the paths of the page and of the JSON.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, document = folder / "report.html", folder / "report.json"
    files.write_text(document, data.to_text())
    files.write_text(page, render(data))
    return page, document
