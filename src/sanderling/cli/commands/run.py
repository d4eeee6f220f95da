"""``sanderling run``: pictures, sounds and sentences in, answers out."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options
from sanderling.cli.options import choices

_TASKS = (
    "classify", "segment", "detect", "landmarks", "depth", "image", "spot", "pitch", "anomaly", "embed",
    "other",
)  # fmt: skip
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Pictures, WAVs, sentences, folders, patterns, videos, a camera's number, arrays, name=FILE.",
        show_default=False,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK", autocompletion=choices(*_TASKS), show_default=False,
        help="What answers mean: NAME, NAME:key=value,…, a .json file, or file.py:fn. Default: found out.",
    ),
]  # fmt: skip
Names = Annotated[
    str | None,
    typer.Option("--labels", metavar="FILE", help="Names of the classes, one per line.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="OUT", show_default=False,
        help="Draw the answer into OUT (.png, .jpg, .mp4; also .txt, .json, .npy); a folder for many.",
    ),
]  # fmt: skip
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop", metavar="DETECTOR", show_default=False,
        help="Look only at what this detector finds, one after the other; none: at the whole picture.",
    ),
]  # fmt: skip
Engine = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="litert, webgpu …; auto chooses the fastest.")
]


@options.reads_things
def run(
    model: options.Model,
    inputs: Inputs,
    task: Task = None,
    labels: Names = None,
    output: Output = None,
    crop: Crop = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", metavar="", help="Draw what the answer rests on: cover parts, see what is lost."
        ),
    ] = False,
    time: Annotated[
        bool, typer.Option("--time", metavar="", help="Tell the time of the model and of all the rest.")
    ] = False,
    engine: Engine = "auto",
    threads: options.Threads = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Run a model on pictures, sounds or sentences and say what it makes of them; with -o, draw it.

    What the model is for is read from its metadata, its zoo card or best.json, else guessed, and said.
    """
    from sanderling.cli.running import Running

    Running(
        model, inputs, output=output, as_json=json, explain=explain, timed=time,
        settings={
            "task": task, "labels": labels, "crop": crop, "engine": engine, "threads": threads, **how,
        },
    ).run()  # fmt: skip
