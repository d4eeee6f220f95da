"""``sanderling predict``: a whole folder, answered into a table."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options
from sanderling.cli.commands.run import Crop, Engine, Names, Task

Folder = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER",
        help="Folder of images, WAVs or .npy; .npz, .npy, .csv, or .txt of sentences; a zoo model's samples.",
        autocompletion=options.sample_paths,
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="OUT", show_default=False,
        help="The table: .parquet, .csv or .jsonl. Default: FOLDER's name with .parquet, here.",
    ),
]  # fmt: skip
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", show_default=False,
        help="Let a Ray cluster answer, of which this machine is a node: auto, or host:6379.",
    ),
]  # fmt: skip
Again = Annotated[
    bool, typer.Option("--again", metavar="", help="Answer everything anew, whatever is there.")
]
Strict = Annotated[
    bool,
    typer.Option("--strict", metavar="", help="Exit with 1 if any sample has no answer, not only if all."),
]


@options.reads_things
def predict(
    model: options.Model,
    folder: Folder,
    output: Output = None,
    task: Task = None,
    labels: Names = None,
    crop: Crop = None,
    engine: Engine = "auto",
    threads: options.Threads = None,
    cluster: Cluster = None,
    again: Again = False,
    strict: Strict = False,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Answer a whole folder into one table, a row per sample, in the order of their names.

    What was cut short, even by a kill or a power cut, goes on with the same command.
    """
    from sanderling import verbs
    from sanderling.cli.failure import exit_with, interrupted, option_names
    from sanderling.cli.output import print_json, print_notes
    from sanderling.cli.show_predict import Watch, show

    notes: list[str] = []

    def tell(note: str) -> None:
        notes.append(note)
        if not json:
            print_notes([note])

    watch = Watch(hidden=json)
    try:
        with watch, option_names():
            done = verbs.predict(
                model, folder, output, task=task, labels=labels, crop=crop, engine=engine, threads=threads,
                cluster=cluster, again=again, tell=tell, progress=watch.progress, **how,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        raise interrupted(error, watch.kept(_line(again))) from None
    if json:
        print_json({**done.to_json(), "notes": notes})
    else:
        show(done)
    if done.failed == done.samples or (strict and done.failed):
        exit_with(1)


def _line(again: bool) -> str:
    """Returns: what to type to go on."""
    import shlex

    from sanderling.cli.entry import typed

    return shlex.join(["sanderling", *(word for word in typed() if word != "--again")])
