"""The command line: Typer for arguments, Rich for tables; the rest is imported inside the commands."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns: the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    from sanderling.cli.entry import run

    return run(arguments)
