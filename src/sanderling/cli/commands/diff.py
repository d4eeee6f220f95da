"""``sanderling diff``: where two models first disagree."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options


def diff(
    a: Annotated[str, options.model_argument("A", "The model whose values are right.")],
    b: Annotated[str, options.model_argument("B", "The model that is compared with it.")],
    samples: options.Samples = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            "--tolerance",
            metavar="SHARE",
            help="Relative error from which operators disagree. Default: 0.1% for float, 10% for integers.",
            show_default=False,
        ),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            "--worst", metavar="N", min=1, help="Show only the N worst operators.", show_default=False
        ),
    ] = None,
    mean: options.Mean = None,
    std: options.Std = None,
    scale: options.Scale = None,
    preprocess: options.Preprocess = None,
    sample_rate: options.SampleRate = None,
    limit: options.Limit = None,
    json: options.Json = False,
) -> None:
    """Show where two models first disagree, operator by operator.

    Both are fed the same samples; operators are matched by name, and by position where names differ.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import option_names
    from sanderling.cli.live import waiting
    from sanderling.cli.output import print_json

    with waiting("comparing", quiet=json), option_names():
        result = verbs.diff(
            a,
            b,
            samples,
            tolerance=None if tolerance is None else units.share(tolerance, "--tolerance"),
            **options.reading(mean, std, scale, preprocess, sample_rate, limit),
        )
    if json:
        print_json(result.to_json())
        return
    from sanderling.cli.show_diff import show

    show(result, worst)
