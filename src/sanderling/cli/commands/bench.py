"""``sanderling bench``: models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sanderling.cli import options
from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.measure.bench_rows import BenchResult
    from sanderling.measure.elsewhere import Elsewhere

Models = Annotated[
    list[str] | None, options.model_argument("[MODEL]", f"{options.MODEL_HELP} Several are compared.")
]
Every = Annotated[
    str | None,
    typer.Option(
        "--all", metavar="zoo|DIR", show_default=False,
        help="All models of the zoo that are here, or of a folder; goes on where it stopped.",
    ),
]  # fmt: skip
From = Annotated[
    list[str] | None,
    typer.Option(
        "--from", metavar="FILE", show_default=False,
        help="What a bundle measured elsewhere (JSON), beside MODEL's time here; may be repeated.",
    ),
]  # fmt: skip
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="LIST", autocompletion=options.variants, show_default=False,
        help="Engines, with commas: litert,openvino:bf16, or all. Default: litert; with --all all.",
    ),
]  # fmt: skip
Threads = Annotated[str, typer.Option("--threads", metavar="LIST", help="Thread counts, with commas: 1,2,4.")]
Seconds = Annotated[
    str, typer.Option("--seconds", metavar="TIME", help="For timing all side by side: 10s, 1m.")
]
Sustained = Annotated[
    str | None,
    typer.Option(
        "--sustained", metavar="TIME", show_default=False,
        help="Also run each for so long, to see it get slower: 5m.",
    ),
]  # fmt: skip
Device = Annotated[
    str, typer.Option("--device", metavar="ADDRESS", help="Where they run: ssh://user@host, adb:SERIAL.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="DIR", show_default=False,
        help="Folder for bench.html and bench.json. With --all by default: bench.",
    ),
]  # fmt: skip


@options.reads_samples
def bench(
    models: Models = None,
    every: Every = None,
    from_: From = None,
    engine: Engine = None,
    threads: Threads = "1",
    seconds: Seconds = "5s",
    sustained: Sustained = None,
    power_meter: options.PowerMeter = None,
    device: Device = "local",
    output: Output = None,
    samples: options.Samples = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Time models side by side: interleaved, in a process of their own, compared with the first one.

    With --from, times that a phone's browser or a Raspberry Pi took stand beside them, or beside each other.

    With --all, every model on every engine, kept as it goes: the same command goes on where it stopped.

    Exits with 1 when one of them cannot be run.
    """
    from sanderling.cli import units

    known = {
        "threads": units.counts(threads, "--threads"),
        "seconds": units.seconds(seconds, "--seconds", "10s"),
    }
    if every is not None:
        elsewhere = None if device == "local" else device
        _refuse(models=models or None, samples=samples, sustained=sustained, power_meter=power_meter)
        _refuse(device=elsewhere, from_=from_ or None)
        _all(every, output or "bench", as_json=json, engines=options.engines(engine or "all"), **known)
        return
    if not models and not from_:
        raise UsageError("no model was given", hint="give at least one, or --all zoo")
    if not models and output is not None:
        raise UsageError("writes what is measured here", where="--output", hint="give a MODEL, or --json")
    _some(
        models or [],
        output,
        as_json=json,
        elsewhere=from_ or [],
        samples=samples,
        engines=options.engines(engine or "litert"),
        sustained=None if sustained is None else units.seconds(sustained, "--sustained", "5m"),
        power_meter=power_meter,
        device=device,
        **known,
        **how,
    )


def _some(
    models: list[str], output: str | None, *, as_json: bool, elsewhere: list[str], **arguments: Any
) -> None:
    from sanderling import verbs
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.output import print_json
    from sanderling.cli.steps import Steps
    from sanderling.measure.elsewhere import read_results

    rows = [row for file in elsewhere for row in read_results(file)]
    result = None
    if models:
        with Steps(hidden=as_json, counted=False) as steps, option_names():
            result = verbs.bench(models, tell=steps, **arguments)
    written: list[Path] = []
    if output is not None and result is not None:
        from sanderling.report.write_bench import write_bench

        written = write_bench(result, Path(output))
    if as_json:
        told = {} if result is None else result.to_json()
        print_json(told | ({"elsewhere": [row.to_json() for row in rows]} if rows else {}))
    else:
        _show(result, rows, written)
    if result is not None and not result.ok:
        exit_with(1)


def _show(result: BenchResult | None, rows: Sequence[Elsewhere], written: list[Path]) -> None:
    from sanderling.cli.show_bench import show, show_files

    if result is not None:
        show(result)
    if rows:
        from sanderling.cli.output import stdout
        from sanderling.cli.show_elsewhere import show_elsewhere

        if result is not None:
            stdout().print()
        show_elsewhere(rows, result)
    show_files(written)


def _all(source: str, output: str, *, as_json: bool, **arguments: Any) -> None:
    from sanderling.cli.failure import interrupted, option_names
    from sanderling.cli.output import print_json
    from sanderling.cli.steps import Steps
    from sanderling.verbs.benching import bench_all

    try:
        with Steps(hidden=as_json, counted=False) as steps, option_names():
            suite = bench_all(source, output, tell=steps, **arguments)
    except KeyboardInterrupt as error:
        kept = f"what was measured is kept in {output}; the same command goes on from there"
        raise interrupted(error, kept) from None
    if as_json:
        print_json(suite.to_json())
        return
    from sanderling.cli.show_bench import show_files
    from sanderling.cli.show_suite import show_suite

    show_suite(suite)
    show_files([Path(output) / name for name in ("bench.html", "bench.md", "bench.json")])


def _refuse(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            where = "MODEL" if name == "models" else f"--{name.strip('_').replace('_', '-')}"
            raise UsageError("does not go with --all", where=where, hint="leave one of the two out")
