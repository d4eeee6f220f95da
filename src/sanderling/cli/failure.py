"""From an exception to one sentence on stderr, one JSON document where asked for, and an exit code."""

from __future__ import annotations

import functools
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from sanderling.errors import SanderlingError, UsageError

FAILED, WRONG_USAGE, INTERRUPTED, BROKEN_PIPE, TERMINATED = 1, 2, 130, 141, 143
P = ParamSpec("P")
R = TypeVar("R")

# Typer carries Click's exceptions, in older versions those of the package click, in newer ones its own.
_PARSING = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class Terminated(KeyboardInterrupt):
    """SIGTERM: handled like Ctrl-C, but for the exit code."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM, with what that means for the work done so far."""

    def __init__(self, kept: str = "", code: int = INTERRUPTED) -> None:
        self.kept = kept
        self.code = code
        super().__init__("interrupted" + (f": {kept}" if kept else ""))


class Hangup(Exception):
    """The reader of stdout has gone; kept from Typer, which would end the process in its own way."""


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Keeps Ctrl-C inside of a command from Typer, whose versions each make something else of it."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise interrupted(error) from None
        except BrokenPipeError:
            raise Hangup from None

    return run


def interrupted(error: KeyboardInterrupt, kept: str = "") -> Interrupted:
    """Returns: what a command ends with after Ctrl-C or SIGTERM."""
    return Interrupted(kept, TERMINATED if isinstance(error, Terminated) else INTERRUPTED)


def tell(error: BaseException, as_json: bool) -> int:
    """Prints why a command ended early.

    Args:
        error: what ended it.
        as_json: also print ``{"error": {"what", "where", "hint"}}`` on stdout.

    Returns: the exit code.
    """
    if isinstance(error, Hangup):
        raise BrokenPipeError
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(str(error))  # empty where Rich has printed the help already
        return WRONG_USAGE
    what, where, hint, code = parts(error)
    from sanderling.cli.output import print_json, stderr

    if as_json:
        print_json({"error": {"what": what, "where": where, "hint": hint}})
    label = "" if isinstance(error, Interrupted) else "error: "
    sentence = f"{where}: {what}" if where else what
    if hint:
        sentence += f"; {hint}"
    stderr().print(_line(label, sentence), soft_wrap=True)
    if _debugging() and not isinstance(error, Interrupted):
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.write(getattr(error, "detail", "") or "")
    return code


def _line(label: str, sentence: str) -> Any:
    from rich.text import Text

    from sanderling.report.format import plain

    return Text.assemble((label, "bold red"), plain(sentence.replace("\n", " ")))


def _debugging() -> bool:
    from sanderling.settings import settings

    return settings().debug > 0


def parts(error: BaseException) -> tuple[str, str, str, int]:
    """Returns: what went wrong, where, what to do next, and the exit code."""
    if isinstance(error, SanderlingError):
        return error.what, error.where, error.hint, WRONG_USAGE if isinstance(error, UsageError) else FAILED
    if isinstance(error, Interrupted):
        return str(error), "", "", error.code
    if isinstance(error, _PARSING):
        return (*_parsing(error), WRONG_USAGE)
    if isinstance(error, typer.Abort):
        return "interrupted", "", "", INTERRUPTED
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:], str(error.filename or ""), "", FAILED
    if isinstance(error, MemoryError):
        return "out of memory", "", "use a smaller model or fewer samples", FAILED
    lines = str(error).splitlines()
    what = f"internal error: {type(error).__name__}{': ' + lines[0] if lines else ''}"
    return what, "", "run again with SANDERLING_DEBUG=1 and report what it prints", FAILED


def _parsing(error: Any) -> tuple[str, str, str]:
    """Puts the parser's complaint into our form."""
    context = getattr(error, "ctx", None)
    help_line = f"see: {context.command_path} --help" if context is not None else "see: sanderling --help"
    name = getattr(error, "option_name", "")
    if type(error).__name__ == "NoSuchOption":
        hidden = _hidden_options(context)
        close = [each for each in sorted(getattr(error, "possibilities", None) or ()) if each not in hidden]
        return f"there is no option {name}", "", f"did you mean {close[0]}?" if close else help_line
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    message = re.sub(r"Input should be greater than or equal to (\S+)", r"expected at least \1", message)
    wrong = re.fullmatch(r"Invalid value for '([^']+)': (.+)", message)
    if wrong is not None:
        return wrong[2][:1].lower() + wrong[2][1:], wrong[1], help_line
    if "Did you mean" in message:
        message, _, guess = message.partition(" Did you mean ")
        message, help_line = message.rstrip("."), f"did you mean {guess}"
    return message[:1].lower() + message[1:], "", help_line


def _hidden_options(context: Any) -> set[str]:
    """Returns: options that are taken only to be refused by name: none of them is what someone meant."""
    parameters = context.command.params if context is not None else ()
    return {name for each in parameters if getattr(each, "hidden", False) for name in each.opts}


# Keyword arguments of the verbs → the options by which the command line knows them.
_OPTIONS = {
    "max_latency_ms": "--max-latency",
    "max_size_bytes": "--max-size",
    "max_memory_bytes": "--max-memory",
    "seconds": "--time",
} | {
    name: f"--{name.replace('_', '-')}"
    for name in (
        "allow_ops", "cluster", "engines", "io", "limit", "max_drop", "metric", "min_throughput", "minimize",
        "oldest_runtime", "preprocess", "recipe", "resume", "samples", "seed", "target", "task", "threads",
    )
}  # fmt: skip


@contextmanager
def option_names() -> Iterator[None]:
    """Renames the keyword that a verb complains about to the option that the user typed."""
    try:
        yield
    except UsageError as error:
        if error.where not in _OPTIONS:
            raise
        raise UsageError(error.what, where=_OPTIONS[error.where], hint=error.hint) from None


def exit_with(code: int) -> NoReturn:
    """Ends a command that has already said why."""
    raise typer.Exit(code)
