"""``sanderling analyze``: what is in a model."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options


def analyze(
    model: options.Model,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="Show only the N operators with the most MACs.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show what is in a model: operators, parameters, MACs, memory, and which engine can run what.

    Nothing is run, so it works for models that no engine takes.
    """
    from sanderling import verbs
    from sanderling.cli.output import print_json

    found = verbs.analyze(model)
    if json:
        print_json(found.to_json())
        return
    from sanderling.cli.show_analysis import show

    show(found, top)
