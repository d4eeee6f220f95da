"""Repeats lines of WGSL, so that tiles lie in registers: drivers do not unroll loops reliably.

#for p in PIXELS          repeated for p = 0 … PIXELS − 1; PIXELS is a constant of the kernel or a number
var sum{p} = A4();        {p} becomes the number; {2*p+STRIDE} may name constants, too
#end                      blocks may be nested
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sanderling.errors import KernelError

_FOR = re.compile(r"^\s*#for (\w+) in (\w+)\s*$")
_END = re.compile(r"^\s*#end\s*$")
_IF = re.compile(r"^\s*#if (!?)(\w+)\s*$")
_SUM = re.compile(r"\{([\w+*]+)\}")


def expand(text: str, constants: Mapping[str, int], *, where: str = "") -> str:
    """Expands ``#for NAME in COUNT``, ``#if CONSTANT`` and ``#if !CONSTANT`` up to their ``#end``.

    Raises:
        KernelError: a block is not closed, or its count is no constant.
    """
    lines, rest = _block(text.splitlines(), 0, constants, where, depth=0)
    if rest < len(text.splitlines()):
        raise KernelError(f"line {rest + 1} has an #end that closes nothing", where=where)
    return "\n".join(lines)


def _block(
    lines: list[str], start: int, known: Mapping[str, int], where: str, *, depth: int
) -> tuple[list[str], int]:
    """Returns: the expanded lines from ``start`` to the block's #end, and the position of that.

    Args:
        known: constants and the numbers of the loops around.
    """
    out: list[str] = []
    position = start
    while position < len(lines):
        line = lines[position]
        if _END.match(line):
            break
        loop, test = _FOR.match(line), _IF.match(line)
        if not loop and not test:
            out.append(_SUM.sub(lambda found: _sum(found, known), line))
            position += 1
            continue
        rounds: list[Mapping[str, int]] = [known]
        if loop:
            rounds = [{**known, loop[1]: k} for k in range(_count(loop[2], known, where, line))]
        elif test and bool(_count(test[2], known, where, line)) == bool(test[1]):
            rounds = []
        for numbers in rounds:
            out += _block(lines, position + 1, numbers, where, depth=depth + 1)[0]
        position = _end(lines, position, where) + 1
    if position >= len(lines) and depth:
        raise KernelError(f"the block at line {start} has no #end", where=where)
    return out, position


def _end(lines: list[str], start: int, where: str) -> int:
    """Returns: the position of the #end of the block that begins at ``start``."""
    depth = 0
    for position in range(start, len(lines)):
        if _FOR.match(lines[position]) or _IF.match(lines[position]):
            depth += 1
        elif _END.match(lines[position]):
            depth -= 1
            if not depth:
                return position
    raise KernelError(f"the block at line {start + 1} has no #end", where=where)


def _sum(found: re.Match[str], known: Mapping[str, int]) -> str:
    """Returns: a sum of products of numbers and known names; anything else stays as it is."""
    total = 0
    for term in found[1].split("+"):
        product = 1
        for word in term.split("*"):
            if not word.isdigit() and word not in known:
                return found[0]
            product *= int(word) if word.isdigit() else known[word]
        total += product
    return str(total)


def _count(word: str, constants: Mapping[str, int], where: str, line: str) -> int:
    if word.isdigit():
        return int(word)
    if word not in constants:
        raise KernelError(f"{line.strip()!r} names {word}, which is no constant of the kernel", where=where)
    return constants[word]
