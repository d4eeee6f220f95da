"""``sanderling bench``: models side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options


@options.reads_samples
def bench(
    models: options.Models,
    engine: Annotated[
        str, typer.Option("--engine", metavar="LIST", help="Engines, with commas, or all.")
    ] = "litert",
    threads: Annotated[
        str, typer.Option("--threads", metavar="LIST", help="Thread counts, with commas: 1,2,4.")
    ] = "1",
    seconds: Annotated[
        str, typer.Option("--seconds", metavar="TIME", help="For timing each set of threads: 10s, 1m.")
    ] = "5s",
    samples: options.Samples = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Time models side by side: interleaved, in a process of their own, compared with the first one.

    Exits with 1 when one of them cannot be run.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.live import waiting
    from sanderling.cli.output import print_json

    with waiting("timing", quiet=json), option_names():
        result = verbs.bench(
            models,
            samples,
            engines=_engines(engine),
            threads=units.counts(threads, "--threads"),
            seconds=units.seconds(seconds, "--seconds", "10s"),
            **how,
        )
    if json:
        print_json(result.to_json())
    else:
        from sanderling.cli.show_bench import show

        show(result)
    if not result.ok:
        exit_with(1)


def _engines(text: str) -> list[str]:
    from sanderling.engines import registry
    from sanderling.verbs.find import one_of

    if text == "all":
        return [name for name in registry.names() if registry.find(name).available()]
    return [one_of(part.strip(), [*registry.names(), "all"], "--engine") for part in text.split(",")]
