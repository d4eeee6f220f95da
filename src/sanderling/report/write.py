"""Writes ``report.html`` and ``report.json`` into a folder, each whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

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
    write_text(document, data.to_text())
    write_text(page, render(data))
    return page, document


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) atomically: a reader sees the old file or the new one, never a part.

    Lone surrogates, which file names may carry, are written as ``?``.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(text.encode("utf-8", errors="replace"))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
