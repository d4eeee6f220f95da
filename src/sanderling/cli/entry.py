"""Runs a command and turns whatever ends it into one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from sanderling.cli import failure
from sanderling.cli.app import app

_typed: list[str] = []


def typed() -> list[str]:
    """Returns: the arguments of the command that runs."""
    return list(_typed)


def run(arguments: Sequence[str] | None = None) -> int:
    """Returns: the exit code. Never raises, but for ``SystemExit`` of shell completion."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _typed[:] = given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × and − still shows the rest
    try:
        code = _invoke(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone (``| head``): nobody is left to be told
        _silence()
        return failure.BROKEN_PIPE
    return code


def _invoke(arguments: list[str]) -> int:
    as_json = _wants_json(arguments)
    try:
        result = app(arguments, prog_name="sanderling", standalone_mode=False)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return failure.tell(failure.Interrupted(), as_json)
    except Exception as error:  # noqa: BLE001 - the last line of defence: told, with its cause on request
        return failure.tell(error, as_json)
    return result if isinstance(result, int) else 0


def _wants_json(arguments: list[str]) -> bool:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def _silence() -> None:
    """Keeps the interpreter from complaining at exit that its last bytes cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError, AttributeError):  # no descriptor behind it: nothing to complain about
            continue
    os.close(nowhere)
