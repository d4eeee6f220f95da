"""Custom: a function of the user's own makes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.answers.other import plain_values
from sanderling.tasks.task import Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """Whose answer it is.

    Attributes:
        function: ``file.py:fn``, called with the outputs by name and the person's picture (or what else was
            given). It returns an ``Answer``, a text, JSON values, a PIL image, or (text, image).
    """

    function: str = ""


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    from sanderling.runtime.user_code import user_function

    function = user_function(options.function, "--task")
    given = next(iter(asked.given.values()), None)
    try:
        made = function(dict(zip(asked.outputs, outputs, strict=True)), given)
    except (Exception, SystemExit) as error:  # the user's code may raise anything; it is told, not hidden
        raise UsageError(
            f"{options.function} failed ({type(error).__name__}: {error})", where="--task"
        ) from error
    return _read(made, options.function)


def _read(made: Any, where: str) -> Answer:
    if isinstance(made, Answer):
        return made
    if isinstance(made, tuple) and len(made) == 2 and hasattr(made[1], "getbands"):
        text, image = made
        return Answer(tuple(str(text).splitlines()), {"text": str(text)}, lambda _: image)
    if hasattr(made, "getbands"):
        return Answer(("a picture",), {}, lambda _: made)
    if isinstance(made, str):
        return Answer(tuple(made.splitlines()), {"text": made})
    try:
        values = plain_values(made)
    except TypeError as error:
        raise UsageError(
            f"{where} returned something that is no answer ({error})", where="--task",
            hint="return a text, JSON values, a picture, or (text, picture)",
        ) from None  # fmt: skip
    data = values if isinstance(values, Mapping) else {"value": values}
    return Answer(tuple(f"{name}: {value}" for name, value in data.items()), data)


TASK = Answering("custom", "your own function's answer: file.py:fn", Options, _answer, takes="image", rank=99)
