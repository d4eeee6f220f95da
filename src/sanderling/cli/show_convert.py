"""Prints a conversion: what came out, and the proof."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import plain_table
from sanderling.convert.compare import OutputProof
from sanderling.convert.convert import Converted
from sanderling.convert.proof import Proof
from sanderling.report.format import format_bytes, format_seconds, format_share, plain, significant


def show(done: Converted) -> None:
    """Prints the route, a row per output, and the verdict."""
    proof, console = done.proof, stdout()
    print_notes(done.notes, loud=proof.synthetic)
    console.print(Text(f"{done.route} ({format_seconds(done.convert_seconds)})", "dim"))
    console.print()
    table = plain_table(
        "output", "shape", "scale", "max error", "of scale", "same top", "", right=(2, 3, 4, 5)
    )
    for row in proof.outputs:
        table.add_row(*_cells(proof, row))
    console.print(table)
    console.print()
    label = ("matches", "bold green") if done.ok else ("does not match", "bold red")
    end = f": {format_bytes(done.size_bytes)} in {done.path}" if done.ok else ": nothing was written"
    console.print(Text.assemble(label, plain(end)), soft_wrap=True)
    console.print(Text(plain(proof.sentence()), "" if done.ok else "red"), soft_wrap=True)
    console.print(
        Text(f"on {plain(proof.origin)}, by {proof.engine}, in {format_seconds(done.proof_seconds)}", "dim")
    )


def _cells(proof: Proof, row: OutputProof) -> tuple[str | Text, ...]:
    failure = proof.failure_of(row)
    return (
        plain(row.name),
        "×".join(map(str, row.shape)) or "scalar",
        significant(row.scale),
        f"{row.max_error:.2g}",
        f"{row.relative:.1e}",
        "" if row.agreement is None else format_share(row.agreement),
        Text(failure, "red") if failure else Text("ok", "green"),
    )
