"""How long candidates may be trained, and why they are not."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.search.clock import Clock
from sanderling.search.request import Request
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.training.library import available

# Steps, so that a search that is taken up again asks for the same training as before.
_MINUTES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_SHARE = 0.5  # of the time that is left
_DEFAULT = 5.0  # without a limit, where the budget is missed
_FEWEST_SAMPLES = 8


def affordable(asked: float | None, clock: Clock, trials: Sequence[Trial]) -> float:
    """Returns: how many minutes one training may take now; 0 for none.

    Args:
        asked: by the user; None leaves it to the time.
        clock: what is left. Without a limit only what is needed is trained.
        trials: measured so far: is there one that keeps the budget and is better than the original?
    """
    if clock.seconds is None:
        needed = 0.0 if _gained(trials) else _DEFAULT
        return needed if asked is None else asked
    left = clock.usable() / 60
    if asked is not None and asked <= left:
        return asked
    return max((m for m in _MINUTES if m <= left * (_SHARE if asked is None else 1.0)), default=0.0)


def why_untrained(request: Request, subject: Subject) -> str:
    """Returns: why nothing can be trained, "" when it can."""
    if request.training == 0:
        return "--train 0 was given"
    if not available():
        return "PyTorch is not installed: pip install 'sanderling[train]'"
    if subject.split.calibrate.synthetic:
        return "noise teaches nothing: give --samples"
    count = len(subject.split.calibrate)
    if count < _FEWEST_SAMPLES:
        return f"{count} samples are too few to learn from: give at least {6 * _FEWEST_SAMPLES}"
    return ""


def _gained(trials: Sequence[Trial]) -> bool:
    return any(trial.status == "ok" for trial in trials[1:])
