"""The trials of a search on disk, so that nothing measured is lost when the process ends.

Optuna keeps them (SQLite); no Optuna type leaves this file. A trial is stored as one JSON text before it is
told, so a process that dies between the two loses nothing.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from sanderling.errors import SanderlingError, UsageError
from sanderling.search.trial import Trial

_STUDY = "sanderling"


class Study:
    """A study: finished trials by identity, and what was learned besides.

    Attributes:
        finished: identity → trial, in the order in which they ended.
    """

    def __init__(self, study: Any) -> None:
        self._study = study
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
            SanderlingError: the file cannot be written, or is no study.
        """
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        if file.exists() and not resume:
            file.rename(
                file.with_name(f"study-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}.db")
            )
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
            study = optuna.create_study(
                storage=storage, study_name=_STUDY, directions=["minimize", "minimize"], load_if_exists=True
            )
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise SanderlingError(
                f"the study cannot be opened ({cause})",
                where=str(file),
                hint="choose another output folder with -o",
            ) from None
        known = study.user_attrs.get("key")
        if known is None:
            study.set_user_attr("key", key)
        elif known != key:
            raise UsageError(
                "this study is about another model, other samples or another version",
                where=str(file),
                hint="give the same model and samples as before, another -o, or leave out --resume",
            )
        return cls(study)

    def _recover(self) -> None:
        """Reads the trials; those that a dead process left running are told to have failed."""
        from optuna.trial import TrialState

        for frozen in self._study.get_trials(deepcopy=False):
            text = frozen.user_attrs.get("trial")
            if text is not None:
                trial = Trial.from_json(json.loads(text))
                self.finished[trial.id] = trial
            if frozen.state == TrialState.RUNNING:
                self._tell(frozen.number, self.finished[json.loads(text)["id"]] if text else None)

    def begin(self, identity: str, name: str) -> None:
        """Marks a trial as running."""
        trial = self._study.ask()
        trial.set_user_attr("id", identity)
        trial.set_user_attr("name", name)
        self._running[identity] = trial

    def finish(self, trial: Trial) -> None:
        """Stores a trial that was begun."""
        running = self._running.pop(trial.id)
        running.set_user_attr("trial", json.dumps(trial.to_json()))
        self.finished[trial.id] = trial
        self._tell(running.number, trial)

    def abandon(self, identity: str) -> None:
        """Gives up a running trial: it is not stored and will be measured again on resume."""
        self._tell(self._running.pop(identity).number, None)

    def _tell(self, number: int, trial: Trial | None) -> None:
        from optuna.trial import TrialState

        if trial and trial.latency and trial.fidelity and trial.fidelity.drop == trial.fidelity.drop:
            self._study.tell(number, values=[trial.latency.p50, trial.fidelity.drop])
        else:
            self._study.tell(number, state=TrialState.FAIL)

    def remember(self, key: str, value: Any) -> None:
        """Stores a JSON value besides the trials (sensitivities, the confirmation)."""
        self._study.set_user_attr(f"note:{key}", value)

    def recall(self, key: str) -> Any | None:
        """Returns: what was remembered under ``key``, or None."""
        return self._study.user_attrs.get(f"note:{key}")
