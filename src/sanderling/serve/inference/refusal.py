"""What a request gets in place of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NONE: Mapping[str, str] = MappingProxyType({})


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: HTTP's number.
        sentence: for the caller.
        headers: more of them.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] = _NONE) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers)


_SHOWN = 80  # characters of what a caller wrote


def shown(value: object) -> str:
    """Returns: something that a caller wrote, short enough for a sentence."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
