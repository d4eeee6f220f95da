"""Runs a search and writes its report."""

from __future__ import annotations

from sanderling.errors import StorageError
from sanderling.report.result import Result
from sanderling.search.events import Listener, Note, Phase, silent
from sanderling.search.request import Request


def search(request: Request, listen: Listener | None = None) -> Result:
    """Searches, then writes ``report.html`` and ``report.json`` beside the winner.

    Args:
        request: what is asked.
        listen: told what happens while it happens.

    Raises:
        SanderlingError: the models, the samples or the output folder cannot be used.
    """
    from sanderling.search.optimize import optimize

    hear = listen or silent
    first = _elsewhere(request.target) if request.device == "local" else []
    for note in first:
        hear(note)
    outcome = optimize(request, hear)
    outcome.notes[:0] = [note.text for note in first]  # so that the report tells them too
    hear(Phase("writing the report"))
    try:
        return Result.of(outcome)
    except OSError as error:
        raise StorageError(
            f"the report cannot be written ({error.strerror or error})",
            where=str(request.output),
            hint="free some space, then run the same command with --resume",
        ) from None


def _elsewhere(target: str) -> list[Note]:
    from sanderling.search.targets import TARGETS

    device = TARGETS[target].elsewhere
    text = f"all candidates are timed on this machine, not on {device}: times there will differ"
    return [Note(text, loud=True)] if device else []
