"""``sanderling deploy``: a folder that runs a model somewhere else."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options
from sanderling.deploy.names import target_names


def _targets(incomplete: str) -> list[str]:
    return [name for name in target_names() if name.startswith(incomplete)]


To = Annotated[
    str,
    typer.Option(
        "--to", metavar="TARGET", autocompletion=_targets, show_default=False,
        help=f"{', '.join(target_names())}.",
    ),
]  # fmt: skip
Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="DIR", help="A new or empty folder to make.", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", show_default=False, help="A setting of the target; may be repeated."
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK", show_default=False,
        help="What answers mean: NAME, NAME:key=value,…, a .json file. Default: found out.",
    ),
]  # fmt: skip
Names = Annotated[
    str | None,
    typer.Option("--labels", metavar="FILE", help="Names of the classes, one per line.", show_default=False),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop", metavar="DETECTOR", show_default=False,
        help="The model looks at what this detector finds; none: at the whole picture.",
    ),
]  # fmt: skip


@options.reads_things
def deploy(
    model: options.Model,
    to: To,
    output: Output,
    samples: options.Samples = None,
    task: Task = None,
    labels: Names = None,
    crop: Crop = None,
    threads: options.Threads = None,
    set_: Set = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Make a folder that runs a model elsewhere, with nothing of Sanderling installed there.

    The bundle is tried here as far as the target can be emulated, and compared with the model's own answers.
    """
    from sanderling import verbs
    from sanderling.cli.failure import option_names
    from sanderling.cli.output import print_json
    from sanderling.cli.steps import Steps
    from sanderling.verbs.deploying import pairs

    with Steps(hidden=json) as steps, option_names():
        done = verbs.deploy(
            model, to, output, samples=samples, task=task, labels=labels, crop=crop, threads=threads or 0,
            options=pairs(set_ or ()), tell=steps, **how,
        )  # fmt: skip
    if json:
        print_json(done.to_json())
        return
    from sanderling.cli.show_deploy import show

    show(done)
