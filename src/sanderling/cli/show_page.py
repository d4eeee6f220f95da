"""Prints where a page is served: the address, its QR code, and who asked for what."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from sanderling.cli.output import stderr, stdout
from sanderling.report.format import plain

_LAN = "Browsers warn of the certificate, which was made just now: compare its fingerprint, and go on."
_LOCAL = "Only this machine can open it; --lan serves the network that it is in."
_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


def show(url: str, fingerprint: str, code: Sequence[Sequence[bool]], *, lan: bool) -> None:
    """Prints all that a person needs to open the page."""
    console = stdout()
    if lan:
        for line in _drawn(code):
            console.print(Text(line, "black on bright_white"), soft_wrap=True)
    console.print(Text.assemble(("page", "bold"), "  ", url), soft_wrap=True)
    console.print(Text.assemble(("certificate", "bold"), f"  SHA-256 {fingerprint}"), soft_wrap=True)
    console.print(Text(f"{_LAN if lan else _LOCAL} Ctrl-C ends it.", "dim"), soft_wrap=True)


def show_request(who: str, what: str, status: int) -> None:
    """Prints one request."""
    style = "dim" if status < 400 else "yellow"
    shown = plain(what)[:200] or ("page" if status < 400 else "")
    stderr().print(Text(f"{who}  {status}  {shown}", style), soft_wrap=True)


def _drawn(code: Sequence[Sequence[bool]]) -> list[str]:
    """Returns: lines of half blocks, two rows of the code each."""
    rows = [list(row) for row in code]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return [
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
