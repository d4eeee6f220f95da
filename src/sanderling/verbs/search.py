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
    from sanderling.search.bench import USUAL
    from sanderling.search.targets import TARGETS

    place = TARGETS[target]
    text = f"all candidates are timed on this machine, not on {place.elsewhere}: times there will differ"
    if place.npu:
        text = (
            f"times and memory are Vela's estimates for {place.npu}, and nothing is measured there; answers "
            "are those of TFLite Micro's kernels, whose arithmetic the NPU repeats"
        )
    elif place.integers and place.runs_on == USUAL:
        text += ", and answers are LiteRT's: sanderling deploy compares them with the NPU's emulator"
    elif place.integers:
        text = (
            f"times are those of {place.runs_on}'s portable kernels on this machine's processor, not "
            f"{place.elsewhere}'s; size is the model's flash, without the program's code; memory is its arena"
        )
    return [Note(text, loud=True)] if place.elsewhere else []
