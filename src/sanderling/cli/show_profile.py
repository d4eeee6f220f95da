"""Prints a ``Profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from sanderling.cli.output import stdout
from sanderling.cli.tables import common_folder, facts, plain_table, room_for
from sanderling.report.format import format_ms, format_share, plain, shorten, significant

if TYPE_CHECKING:
    from sanderling.engines.webgpu.profile import KernelRow, Profile

_HEAD = ("kernel", "operators", "output", "ms", "share", "GFLOP/s", "GB/s")


def show(profile: Profile) -> None:
    """Prints a row per kernel, then the sums."""
    console = stdout()
    folder = common_folder([row.output for row in profile.rows])
    lines = [_cells(row, folder) for row in profile.rows]
    table = plain_table(*_HEAD, right=range(3, len(_HEAD)))
    room = room_for(1, _HEAD, lines, console.width)
    for line in lines:
        table.add_row(line[0], shorten(line[1], room), *line[2:])
    console.print(table)
    console.print()
    console.print(facts([row for row in _sums(profile) if row[1]]))
    if profile.kernels_ms + profile.cpu_ms > profile.total_ms:
        note = "kernels timed one by one take longer than a call: there they follow each other without a gap"
        console.print(Text(note, "dim"))


def _sums(profile: Profile) -> list[tuple[str, str]]:
    calls = sum(row.kernel != "litert" for row in profile.rows)
    if not calls:
        nothing = f"nothing runs on {profile.adapter}; sanderling analyze tells the reasons"
        return [("GPU", nothing), ("a call", format_ms(profile.total_ms))]
    clock = "its own clock" if profile.clock == "gpu" else "repetition, as it has no clock"
    return [
        ("GPU", f"{profile.adapter}, timed by {clock}"),
        ("kernels", f"{format_ms(profile.kernels_ms)}, {calls} calls of {profile.pipelines}"),
        ("CPU", format_ms(profile.cpu_ms) if profile.cpu_ms else ""),
        ("upload", _told(profile.upload_ms)),
        ("readback", _told(profile.readback_ms)),
        ("the rest", f"{_told(profile.other_ms)}: encoding, submitting, waiting"),
        ("a call", format_ms(profile.total_ms)),
    ]


def _told(milliseconds: float) -> str:
    """Returns: a time that is a difference of two: nothing is left of what is shorter than their noise."""
    return format_ms(milliseconds) if milliseconds else "too short to tell"


def _cells(row: KernelRow, folder: str) -> list[str]:
    operators = " + ".join(row.operators) or "(moves data)"
    output = plain(row.output.removeprefix(folder))
    return [
        plain(row.kernel),
        plain(operators),
        shorten(output, 32),
        format_ms(row.ms),
        format_share(row.share),
        significant(row.gflops) if row.gflops else "",
        significant(row.gb_per_s),
    ]
