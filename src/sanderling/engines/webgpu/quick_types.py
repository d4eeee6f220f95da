"""Makes ``cffi`` parse a C type without the names of a whole header before it, 30 ms for each of twenty.

``ffi.new("WGPULimits *")`` hands its parser, the first time, a typedef for every type that is known; only
those of the words in the text have an influence. Where ``cffi`` looks different one day, nothing changes.
"""

from __future__ import annotations

import re
from typing import Any


def quicken(ffi: Any) -> None:
    """Replaces the parser's method on this one object."""
    parser: Any = getattr(ffi, "_parser", None)
    slow: Any = getattr(parser, "_parse", None)
    if (
        slow is None
        or "_parse" in vars(parser)
        or not isinstance(getattr(parser, "_declarations", None), dict)
    ):
        return

    def parse(source: str) -> Any:
        words, known = set(re.findall(r"\w+", source)), parser._declarations
        parser._declarations = {k: v for k, v in known.items() if k.split(" ", 1)[-1] in words}
        try:
            return slow(source)
        finally:
            parser._declarations = known

    parser._parse = parse
