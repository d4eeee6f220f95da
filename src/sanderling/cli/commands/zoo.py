"""``sanderling zoo``: models that can be named instead of given as a file."""

from __future__ import annotations

import typer

from sanderling.cli import options
from sanderling.cli.failure import guarded

zoo = typer.Typer(help="Models that can be named instead of given as a file.", no_args_is_help=True)


@zoo.command("list")
@guarded
def list_models(json: options.Json = False) -> None:
    """List the zoo's models. Each can be given as MODEL and as --samples."""
    from sanderling.cli.output import print_json, stdout
    from sanderling.zoo import bundled, describe

    cards = [describe(name) for name in bundled()]
    if json:
        print_json(
            [
                {
                    "name": card.name,
                    "summary": card.summary,
                    "task": card.task,
                    "model": card.model,
                    "samples": card.samples,
                    "labels": card.labels,
                    "input": card.input,
                    "output": card.output,
                    "classes": card.classes,
                    "license": card.license,
                    "figures": card.figures,
                }
                for card in cards
            ]
        )
        return
    from sanderling.cli.tables import plain_table
    from sanderling.report.format import format_bytes

    table = plain_table("name", "task", "size", "samples", "what it is", right=(2, 3))
    for card in cards:
        count = card.figures.get("bundled_samples")
        size = format_bytes(card.model.stat().st_size)
        table.add_row(card.name, card.task, size, "" if count is None else f"{count:g}", card.summary)
    stdout().print(table)
