"""``sanderling profile``: where a model's time goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli import options


def profile(
    model: options.Model,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="Engine that runs it: webgpu.")
    ] = "webgpu",
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="GPU", help="Which GPU: a number or part of its name.", show_default=False
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="auto, float32 or float16.",
            autocompletion=options.choices("auto", "float32", "float16"),
        ),
    ] = "auto",
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune",
            metavar="TIME",
            help="Choose the fastest kernels first: 10s, 1m. Remembered for this GPU.",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", metavar="FILE", help="Write a trace for Perfetto.", show_default=False),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show where a model's time goes: a row per GPU kernel, upload and readback apart.

    Kernels are timed by the GPU's own clock where it has one.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import option_names
    from sanderling.cli.live import waiting
    from sanderling.cli.output import print_json, stderr

    seconds = None if tune is None else units.seconds(tune, "--tune", "10s")
    tell = None if json or seconds is None else lambda line: stderr().print(line, style="dim")
    with waiting("profiling", quiet=json or tell is not None), option_names():
        found = verbs.profile(
            model, engine=engine, device=device, precision=precision, tune=seconds, trace=trace, tell=tell
        )
    if json:
        print_json(found.to_json())
        return
    from sanderling.cli.show_profile import show

    show(found)
