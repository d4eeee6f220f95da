"""``sanderling distill``: a float model trained towards another's answers."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options

Student = Annotated[str, options.model_argument("STUDENT", "The float .tflite, or zoo model, that learns.")]
Teacher = Annotated[
    str, options.model_argument("TEACHER", "The float .tflite, or zoo model, of the same inputs and outputs.")
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The .tflite to write.", show_default=False)
]
Time = Annotated[str, typer.Option("--time", metavar="TIME", help="For training, at most: 90s, 10m.")]
Layers = Annotated[
    int | None,
    typer.Option(
        "--layers",
        metavar="N",
        help="First leave N blocks of STUDENT: those that its answers can least do without.",
        show_default=False,
    ),
]
Rate = Annotated[
    float,
    typer.Option(
        "--rate", metavar="X", help="The highest learning rate, as a share of each tensor's values."
    ),
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Samples a step.")]
Features = Annotated[
    float,
    typer.Option("--features", metavar="X", help="Weight of what flows between blocks beside the answers."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of the samples' order and variations.")]


@options.reads_samples
def distill(
    student: Student,
    teacher: Teacher,
    output: Output,
    samples: options.Samples = None,
    time: Time = "10m",
    layers: Layers = None,
    rate: Rate = 0.01,
    batch: Batch = 16,
    features: Features = 1.0,
    seed: Seed = 0,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Train a model towards another's answers, on samples without labels.

    Run the same command again to go on where it was interrupted.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import option_names
    from sanderling.cli.output import print_json
    from sanderling.cli.steps import Steps

    with Steps(hidden=json) as steps, option_names():
        done = verbs.distill(
            student,
            teacher,
            samples,
            out=output,
            minutes=units.seconds(time, "--time") / 60,
            layers=layers,
            rate=rate,
            batch=batch,
            features=features,
            seed=seed,
            tell=steps,
            **how,
        )
    if json:
        print_json(done.to_json())
        return
    from sanderling.cli.show_distill import show

    show(done)
