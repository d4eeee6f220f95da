"""``sanderling diff``: where two models, or two engines, first part."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options

Engines = Annotated[
    str,
    typer.Option(
        "--engines",
        metavar="A[,B]",
        help="What runs both, or what runs A and what runs B. litert:builtin and litert:reference are LiteRT "
        "without XNNPACK.",
    ),
]
Tolerance = Annotated[
    str | None,
    typer.Option(
        "--tolerance",
        metavar="SHARE",
        help="Relative error from which operators disagree. Default: 0.1% for float, 10% for integers.",
        show_default=False,
    ),
]
Worst = Annotated[
    int | None,
    typer.Option("--worst", metavar="N", min=1, help="Show only the N worst operators.", show_default=False),
]


Seconds = Annotated[
    str,
    typer.Option(
        "--time",
        metavar="TIME",
        help="Where A is float and B is A in 8 or 4 bits: how long to look for what costs accuracy, why, and "
        "what helps. 0 for not at all.",
    ),
]


@options.reads_samples
def diff(
    a: Annotated[str, options.model_argument("A", "The model whose values are right.")],
    b: Annotated[
        str | None, options.model_argument("B", "The model compared with it. None: A on two engines.")
    ] = None,
    samples: options.Samples = None,
    engines: Engines = "litert",
    tolerance: Tolerance = None,
    worst: Worst = None,
    time: Seconds = "60s",
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Show where two models, or two engines, first part, operator by operator.

    Both are fed the same samples; operators are matched by name, and by position where names differ. Then
    every operator is run by itself on the values that A had there: its own error tells where damage is done
    from where it only passes through. Exits with 1 when the outputs differ in shape.

    Where A is float and B is a quantized A, a second table names the operators that cost accuracy with the
    cause of each, and a third one the remedies: what each gives back, and what it costs.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import option_names
    from sanderling.cli.live import working
    from sanderling.cli.output import print_json

    with working("comparing", quiet=json) as tell, option_names():
        result = verbs.diff(
            a,
            b,
            samples,
            engines=[part.strip() for part in engines.split(",")],
            tolerance=None if tolerance is None else units.share(tolerance, "--tolerance"),
            seconds=0.0 if time.strip() == "0" else units.seconds(time, "--time"),
            tell=tell,
            **how,
        )
    if json:
        print_json(result.to_json())
        return
    from sanderling.cli.show_diff import show

    show(result, worst)
    if result.why is not None:
        from sanderling.cli.show_why import show as show_why

        show_why(result.why)
