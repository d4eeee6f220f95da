"""What ``optimize`` gives back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sanderling import files
from sanderling.errors import UsageError
from sanderling.report.build import build
from sanderling.report.data import ReportData
from sanderling.report.page import render
from sanderling.report.write import write_report
from sanderling.search.artifacts import BEST_MODEL, BEST_RECIPE
from sanderling.search.cascade_files import save_cascade
from sanderling.search.outcome import Outcome
from sanderling.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Best:
    """The winner.

    Attributes:
        trial: what was measured of it.
        file: ``best.tflite`` in the output folder; ``best.json`` where it is a cascade of several models.
    """

    trial: Trial
    file: Path

    def save(self, path: str | os.PathLike[str]) -> None:
        """Copies the winning model to ``path``; a cascade into the folder ``path``, as ``best.json`` and its
        models.

        Raises:
            UsageError: a cascade is to be one file.
        """
        target = Path(path)
        if self.trial.cascade is None:
            files.copy(self.file, target)
            return
        if target.suffix or target.is_file():
            raise UsageError(
                "the winner is a cascade, which is several files", where=str(path), hint="give a folder"
            )
        save_cascade(self.file, target)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished search.

    Attributes:
        data: everything that was found, as in ``report.json``.
        output: the folder with ``best.tflite``, ``best.json``, the reports and the candidates.
    """

    data: ReportData
    output: Path

    @classmethod
    def of(cls, outcome: Outcome) -> Result:
        """Builds the report of a search and writes it into the output folder.

        Raises:
            SanderlingError: the folder cannot be written to.
        """
        data = build(outcome)
        write_report(data, outcome.output)
        return cls(data, outcome.output)

    @property
    def best(self) -> Best | None:
        """The winner; None when nothing kept the budget."""
        winner = self.data.winner
        if winner is None:
            return None
        return Best(winner, self.output / (BEST_RECIPE if winner.cascade else BEST_MODEL))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every candidate, in the order in which they were tried."""
        return self.data.trials

    @property
    def exit_code(self) -> int:
        """What the command line exits with: 0 with a winner, 1 without."""
        return 0 if self.data.best is not None else 1

    def report(self, path: str | os.PathLike[str]) -> None:
        """Writes the page to ``path``."""
        files.write_text(Path(path), render(self.data))
