"""Writes what ``bench`` measured into a folder, each file whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.errors import StorageError
from sanderling.measure.bench_rows import BenchResult
from sanderling.measure.suite import Suite, strict

PAGE, DOCUMENT, TABLE = "bench.html", "bench.json", "bench.md"


def write_bench(result: BenchResult, folder: Path) -> list[Path]:
    """Writes ``bench.html`` and ``bench.json``.

    Returns: their paths.

    Raises:
        StorageError: the folder cannot be written to.
    """
    from sanderling.report.bench_page import render

    return _write(folder, {PAGE: render(result), DOCUMENT: document(result.to_json())})


def write_suite(suite: Suite, folder: Path) -> list[Path]:
    """Writes ``bench.html``, ``bench.md`` and ``bench.json``; see ``write_bench``."""
    from sanderling.report.suite_markdown import markdown
    from sanderling.report.suite_page import render_suite

    texts = {PAGE: render_suite(suite), TABLE: markdown(suite), DOCUMENT: document(suite.to_json())}
    return _write(folder, texts)


def document(value: Mapping[str, Any]) -> str:
    """Returns: strict JSON: NaN as null, infinity as text."""
    return json.dumps(strict(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            files.write_text(folder / name, text)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"cannot be written to ({why})", where=str(folder)) from None
    return [folder / name for name in texts]
