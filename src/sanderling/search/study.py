"""The trials of a search on disk, so that nothing measured is lost when the process ends.

Optuna keeps them (in SQLite, or in PostgreSQL, where several machines share them); no Optuna type leaves this
file. A trial is stored as one JSON text before it is told, so a process that dies between the two loses
nothing.
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
from sanderling.search.database import CONNECTING, Database, study_name
from sanderling.search.owner import Owner
from sanderling.search.trial import Trial

_STUDY = "sanderling"
# After so many seconds a trial that does not tell who runs it has no one: telling follows beginning at once.
_UNTOLD_SECONDS = 60.0


class Study:
    """A study: finished trials by identity, and what was learned besides.

    Attributes:
        finished: identity → trial, in the order in which they ended.
    """

    def __init__(self, storage: Any, study: Any, place: Path | Database) -> None:
        self._storage = storage
        self._study = study
        self._place = place
        self._running: dict[str, Any] = {}
        self.finished: dict[str, Trial] = {}
        self._recover()

    @classmethod
    def open(cls, place: Path | Database, key: str, *, resume: bool) -> Study:
        """Opens or creates a study.

        Args:
            place: the SQLite file, or a database that many studies share, each with those who ask the same.
            key: what the study is about (model, samples); a study of something else is not resumed.
            resume: go on from the trials that a file holds. Without it, one that is there is put aside, never
                deleted. A study in a database is gone on with in any case: others may be at it.

        Raises:
            UsageError: the file belongs to another model or other samples.
            StorageError: it cannot be reached or written, or is no study. So do all methods when it is gone
                or full.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        if isinstance(place, Database):
            with _stored(place, "opened"):
                return cls(*_made(place.url, study_name(key), **CONNECTING), place)
        file = place
        if not resume:
            _put_aside(file)
        with _unmade(file), _stored(file, "opened"):
            storage, study = _made(f"sqlite:///{file}", _STUDY)
            known = study.user_attrs.get("key")
            if known is None:
                study.set_user_attr("key", key)
        if known not in (None, key):
            raise UsageError(
                "this study is about another model, other samples or another version",
                where=str(file),
                hint="give the same model and samples as before, another -o, or leave out --resume",
            )
        return cls(storage, study, file)

    def _recover(self) -> None:
        """Reads the trials; those that a dead process left running are told to have failed."""
        from optuna.trial import TrialState

        for frozen, trial in self._read():
            if frozen.state == TrialState.RUNNING and self._abandoned(frozen):
                self._tell(frozen.number, trial)

    def _read(self) -> list[tuple[Any, Trial | None]]:
        """Returns: what is stored of every trial, and the trial if it has ended, which is then known."""
        with _stored(self._place, "read"):
            rows = self._study.get_trials(deepcopy=False)
        found = []
        for frozen in rows:
            text = frozen.user_attrs.get("trial")
            trial = None if text is None else _parsed(text, self._place)
            if trial is not None:
                self.finished[trial.id] = trial
            found.append((frozen, trial))
        return found

    def _abandoned(self, frozen: Any) -> bool:
        """Returns: whether nobody runs a trial any more. Of another machine that is not known here."""
        if not isinstance(self._place, Database):
            return True  # one process at a time uses a file, and here it begins
        told = frozen.user_attrs.get("by")
        if told is None:
            begun = frozen.datetime_start
            return begun is None or time.time() - begun.timestamp() > _UNTOLD_SECONDS
        return Owner.from_json(told).is_gone()

    def look_up(self, identity: str) -> Trial | None:
        """Returns: a trial that has ended, here or on another machine that shares the study."""
        if identity not in self.finished and isinstance(self._place, Database):
            self._read()
        return self.finished.get(identity)

    def close(self) -> None:
        """Closes the connection."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def begin(self, identity: str, name: str) -> None:
        """Marks a trial as running."""
        with _stored(self._place):
            trial = self._study.ask()
            self._running[identity] = trial
            trial.set_user_attr("by", Owner.this().to_json())
            trial.set_user_attr("id", identity)
            trial.set_user_attr("name", name)

    def finish(self, trial: Trial) -> None:
        """Stores a trial that was begun."""
        running = self._running.pop(trial.id)
        with _stored(self._place):
            running.set_user_attr("trial", json.dumps(trial.to_json()))
        self.finished[trial.id] = trial
        self._tell(running.number, trial)

    def abandon(self, identity: str) -> None:
        """Gives up a running trial: it is not stored and will be measured again on resume."""
        self._tell(self._running.pop(identity).number, None)

    def _tell(self, number: int, trial: Trial | None) -> None:
        from optuna.trial import TrialState

        with _stored(self._place):
            if trial and trial.latency and trial.fidelity and trial.fidelity.drop == trial.fidelity.drop:
                self._study.tell(number, values=[trial.latency.typical, trial.fidelity.drop])
            else:
                self._study.tell(number, state=TrialState.FAIL)

    def remember(self, key: str, value: Any) -> None:
        """Stores a JSON value besides the trials (sensitivities, the confirmation)."""
        with _stored(self._place):
            self._study.set_user_attr(f"note:{key}", value)

    def recall(self, key: str) -> Any | None:
        """Returns: what was remembered under ``key``, or None."""
        with _stored(self._place, "read"):
            return self._study.user_attrs.get(f"note:{key}")


def _made(url: str, name: str, **connecting: Any) -> tuple[Any, Any]:
    """Returns: Optuna's storage, and its study of a name, made if need be."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    def made() -> tuple[Any, Any]:
        options = {"connect_args": connecting, "pool_pre_ping": True} if connecting else {}
        storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
        return storage, optuna.create_study(
            storage=storage, study_name=name, directions=["minimize", "minimize"], load_if_exists=True
        )

    if not connecting:
        return made()
    try:
        return made()
    except SQLAlchemyError:  # another machine may just be making the tables
        time.sleep(1.0)
        return made()


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
def _stored(place: Path | Database, done: str = "written") -> Iterator[None]:
    """Puts what the database complains about into one sentence. What was told before stays in the file."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        inner = error if isinstance(error, SQLAlchemyError) else error.__cause__
        cause = str(getattr(inner, "orig", None) or inner or error).splitlines()[0]
        if isinstance(place, Database):
            raise StorageError(
                f"the study cannot be {done} ({place.without_secrets(cause)})",
                where=place.shown,
                hint="see that the server is there and lets this user in, then run the same command again",
            ) from None
        full = "full" in cause or "I/O" in cause
        free = "free some space, then run the same command with --resume"
        raise StorageError(
            f"the study cannot be {done} ({cause})",
            where=str(place),
            hint=free if full else "choose another output folder with -o, or leave out --resume",
        ) from None


def _put_aside(file: Path) -> None:
    """Renames a study that another one takes the place of; nothing measured is ever deleted."""
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}"
    for ending in ("", "-journal"):  # what a process that was killed had not yet undone goes with its file
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(file.with_name(f"{file.stem}-{stamp}{file.suffix}{ending}"))


def _parsed(text: str, place: Path | Database) -> Trial:
    try:
        return Trial.from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(
            f"a trial in the study cannot be read ({type(error).__name__}: {error})",
            where=place.shown if isinstance(place, Database) else str(place),
            hint="give another database"
            if isinstance(place, Database)
            else "leave out --resume to begin anew; this study is then put aside, not deleted",
        ) from None
