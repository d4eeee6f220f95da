"""The trials of a search on disk, so that nothing measured is lost when the process ends.

Optuna keeps them (SQLite); no Optuna type leaves this file. A trial is stored as one JSON text before it is
told, so a process that dies between the two loses nothing.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sanderling.errors import StorageError, UsageError
from sanderling.search.trial import Trial

_STUDY = "sanderling"


class Study:
    """A study: finished trials by identity, and what was learned besides.

    Attributes:
        finished: identity → trial, in the order in which they ended.
    """

    def __init__(self, study: Any, file: Path) -> None:
        self._study = study
        self._file = file
        self._running: dict[str, Any] = {}
        self.finished: dict[str, Trial] = {}
        self._recover()

    @classmethod
    def open(cls, file: Path, key: str, *, resume: bool) -> Study:
        """Opens or creates a study.

        Args:
            file: the SQLite file. Without ``resume`` one that is there is put aside, never deleted.
            key: what the study is about (model, samples); a study of something else is not resumed.
            resume: go on from the trials that ``file`` holds.

        Raises:
            UsageError: ``file`` belongs to another model or other samples.
            StorageError: the file cannot be written, or is no study. So do all methods when the disk is full.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        if not resume:
            _put_aside(file)
        with _unmade(file), _stored(file, "opened"):
            storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
            study = optuna.create_study(
                storage=storage, study_name=_STUDY, directions=["minimize", "minimize"], load_if_exists=True
            )
            known = study.user_attrs.get("key")
            if known is None:
                study.set_user_attr("key", key)
        if known not in (None, key):
            raise UsageError(
                "this study is about another model, other samples or another version",
                where=str(file),
                hint="give the same model and samples as before, another -o, or leave out --resume",
            )
        return cls(study, file)

    def _recover(self) -> None:
        """Reads the trials; those that a dead process left running are told to have failed."""
        from optuna.trial import TrialState

        with _stored(self._file, "read"):
            rows = self._study.get_trials(deepcopy=False)
        for frozen in rows:
            text = frozen.user_attrs.get("trial")
            trial = None if text is None else _parsed(text, self._file)
            if trial is not None:
                self.finished[trial.id] = trial
            if frozen.state == TrialState.RUNNING:
                self._tell(frozen.number, trial)

    def begin(self, identity: str, name: str) -> None:
        """Marks a trial as running."""
        with _stored(self._file):
            trial = self._study.ask()
            self._running[identity] = trial
            trial.set_user_attr("id", identity)
            trial.set_user_attr("name", name)

    def finish(self, trial: Trial) -> None:
        """Stores a trial that was begun."""
        running = self._running.pop(trial.id)
        with _stored(self._file):
            running.set_user_attr("trial", json.dumps(trial.to_json()))
        self.finished[trial.id] = trial
        self._tell(running.number, trial)

    def abandon(self, identity: str) -> None:
        """Gives up a running trial: it is not stored and will be measured again on resume."""
        self._tell(self._running.pop(identity).number, None)

    def _tell(self, number: int, trial: Trial | None) -> None:
        from optuna.trial import TrialState

        with _stored(self._file):
            if trial and trial.latency and trial.fidelity and trial.fidelity.drop == trial.fidelity.drop:
                self._study.tell(number, values=[trial.latency.typical, trial.fidelity.drop])
            else:
                self._study.tell(number, state=TrialState.FAIL)

    def remember(self, key: str, value: Any) -> None:
        """Stores a JSON value besides the trials (sensitivities, the confirmation)."""
        with _stored(self._file):
            self._study.set_user_attr(f"note:{key}", value)

    def recall(self, key: str) -> Any | None:
        """Returns: what was remembered under ``key``, or None."""
        with _stored(self._file, "read"):
            return self._study.user_attrs.get(f"note:{key}")


@contextmanager
def _unmade(file: Path) -> Iterator[None]:
    """Leaves no file behind that was not finished: it could never be opened again."""
    there = file.exists()
    try:
        yield
    except StorageError:
        if not there:
            file.unlink(missing_ok=True)
        raise


@contextmanager
def _stored(file: Path, done: str = "written") -> Iterator[None]:
    """Puts what the database complains about into one sentence. What was told before stays in the file."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        inner = error if isinstance(error, SQLAlchemyError) else error.__cause__
        cause = str(getattr(inner, "orig", None) or inner or error).splitlines()[0]
        full = "full" in cause or "I/O" in cause
        free = "free some space, then run the same command with --resume"
        raise StorageError(
            f"the study cannot be {done} ({cause})",
            where=str(file),
            hint=free if full else "choose another output folder with -o, or leave out --resume",
        ) from None


def _put_aside(file: Path) -> None:
    """Renames a study that another one takes the place of; nothing measured is ever deleted."""
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}"
    for ending in ("", "-journal"):  # what a process that was killed had not yet undone goes with its file
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(file.with_name(f"{file.stem}-{stamp}{file.suffix}{ending}"))


def _parsed(text: str, file: Path) -> Trial:
    try:
        return Trial.from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(
            f"a trial in the study cannot be read ({type(error).__name__}: {error})",
            where=str(file),
            hint="leave out --resume to begin anew; this study is then put aside, not deleted",
        ) from None
