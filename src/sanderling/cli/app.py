"""The command line's commands and what stands above them."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli.commands.analyze import analyze
from sanderling.cli.commands.bench import bench
from sanderling.cli.commands.check import check
from sanderling.cli.commands.convert import convert
from sanderling.cli.commands.deploy import deploy
from sanderling.cli.commands.diff import diff
from sanderling.cli.commands.distill import distill
from sanderling.cli.commands.doctor import doctor
from sanderling.cli.commands.optimize import optimize
from sanderling.cli.commands.predict import predict
from sanderling.cli.commands.profile import profile
from sanderling.cli.commands.run import run
from sanderling.cli.commands.serve import serve
from sanderling.cli.commands.serve_page import serve_page
from sanderling.cli.commands.zoo import zoo
from sanderling.cli.failure import guarded

app = typer.Typer(
    name="sanderling",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    optimize,
    run,
    predict,
    check,
    analyze,
    bench,
    profile,
    diff,
    convert,
    distill,
    deploy,
    serve,
    serve_page,
    doctor,
):
    app.command()(guarded(_command))
app.add_typer(zoo, name="zoo")


def _version(wanted: bool) -> None:
    if wanted:
        import sanderling

        typer.echo(f"sanderling {sanderling.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Automatic inference: the fastest version of a trained model that still gives the right answers."""
