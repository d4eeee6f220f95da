"""``sanderling optimize``: the fastest version of a model that still gives the right answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sanderling.cli import options
from sanderling.cli.options import choices

_SEARCH = "The search"
_OUT = "What comes out"


def _search(name: str, metavar: str, help_text: str, **more: Any) -> Any:
    return typer.Option(name, metavar=metavar, help=help_text, rich_help_panel=_SEARCH, **more)


Target = Annotated[
    str,
    _search(
        "--target", "NAME",
        "cpu, gpu, openvino, raspberry-pi, android, ios, web, microcontroller, ethos-u (or ethos-u55-256 …).",
        autocompletion=choices(
            "cpu", "gpu", "openvino", "raspberry-pi", "android", "ios", "web", "microcontroller",
            "ethos-u",
        ),
    ),
]  # fmt: skip
Minimize = Annotated[
    str,
    _search(
        "--minimize", "WHAT", "latency, size, memory or energy, among those within all limits.",
        autocompletion=choices("latency", "size", "memory", "energy"),
    ),
]  # fmt: skip
Time = Annotated[str | None, _search("--time", "TIME", "For the whole search: 10m.", show_default=False)]
Threads = Annotated[
    int | None,
    _search("--threads", "N", "Only so many threads. Default: 1, more at the end.", show_default=False),
]
Recipe = Annotated[
    str | None, _search("--recipe", "best.json", "Apply just this recipe, then check it.", show_default=False)
]
Resume = Annotated[bool, _search("--resume", "", "Go on from the study in the output folder.")]
Train = Annotated[
    float | None,
    _search(
        "--train",
        "MINUTES",
        "Longest training of one candidate; 0 for none. Default: what is needed or --time leaves.",
        show_default=False,
    ),
]
Regularizer = Annotated[
    str | None,
    _search(
        "--regularizer",
        "NAME[:λ]",
        "l1, l2 or group: draws weights to zero where pruning trains (l1:0.01).",
        show_default=False,
    ),
]
Seed = Annotated[int, _search("--seed", "N", "Fixes splits and resampling.")]
WithoutPass = Annotated[
    list[str] | None,
    _search("--without-pass", "NAME", "A rewrite not to use; may be repeated.", show_default=False),
]
Resolutions = Annotated[
    str | None,
    _search(
        "--resolutions", "LIST", "Also try smaller pictures: 160,192 (pixels of a side).", show_default=False
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=_OUT)
]
Device = Annotated[
    str, _search("--device", "ADDRESS", "Where candidates run: local, ssh://user@host or adb:SERIAL.")
]
Cluster = Annotated[
    str | None,
    _search(
        "--cluster",
        "ADDRESS",
        "Ray cluster whose nodes measure trials at the same time: auto, host:6379 or ray://host:10001.",
        show_default=False,
    ),
]
Study = Annotated[
    str | None,
    _search(
        "--study",
        "URL",
        "Database that keeps and shares the trials: postgresql://user@host/database. Default: a file.",
        show_default=False,
    ),
]


@options.reads_samples
def optimize(
    models: Annotated[list[str], options.model_argument("MODEL", f"{options.MODEL_HELP} Several compete.")],
    samples: options.Samples = None,
    labels: options.Labels = None,
    target: Target = "cpu",
    max_drop: options.MaxDrop = None,
    max_latency: options.MaxLatency = None,
    max_size: options.MaxSize = None,
    max_memory: options.MaxMemory = None,
    min_throughput: options.MinThroughput = None,
    minimize: Minimize = "latency",
    task: options.Task = None,
    metric: options.Metric = None,
    how: options.How = options.UNREAD,
    io: options.Io = None,
    allow_ops: options.AllowOps = None,
    oldest_runtime: options.OldestRuntime = None,
    without_pass: WithoutPass = None,
    threads: Threads = None,
    time: Time = None,
    recipe: Recipe = None,
    resume: Resume = False,
    seed: Seed = 0,
    train: Train = None,
    regularizer: Regularizer = None,
    resolutions: Resolutions = None,
    power_meter: options.PowerMeter = None,
    output: Output = "optimized",
    device: Device = "local",
    cluster: Cluster = None,
    study: Study = None,
    json: options.Json = False,
) -> None:
    """Find the fastest version of a model that still gives the right answers.

    Every candidate is made, run and timed on the real engine, and compared with the original on your samples.
    """
    from sanderling.cli import units

    _run(
        models,
        as_json=json,
        samples=samples,
        labels=labels,
        target=target,
        minimize=minimize,
        task=task,
        metric=metric,
        without_passes=tuple(without_pass or ()),
        threads=threads,
        seconds=None if time is None else units.seconds(time, "--time"),
        recipe=recipe,
        resume=resume,
        seed=seed,
        training=train,
        regularizer=regularizer,
        resolutions=() if resolutions is None else units.sizes(resolutions, "--resolutions", "160,192"),
        power_meter=power_meter,
        output=output,
        device=device,
        cluster=cluster,
        study=study,
        **options.deployment(io, allow_ops, oldest_runtime),
        **options.limits(max_drop, max_latency, max_size, max_memory, min_throughput),
        **how,
    )


def _run(models: list[str], *, as_json: bool, **arguments: Any) -> None:
    from sanderling import verbs
    from sanderling.cli.failure import exit_with, interrupted, option_names
    from sanderling.cli.live import Live
    from sanderling.cli.output import print_json

    live = Live(quiet=as_json)
    try:
        with live, option_names():
            result = verbs.optimize(models, listen=live, **arguments)
    except KeyboardInterrupt as error:
        raise interrupted(error, _kept(live.finished, arguments["output"])) from None
    if as_json:
        print_json({**result.data.to_json(), "output": str(result.output)})
    else:
        from sanderling.cli.show_result import show

        show(result)
    if result.exit_code:
        exit_with(result.exit_code)


def _kept(finished: int, output: str) -> str:
    if not finished:
        return "nothing was measured yet"
    count = "one trial is" if finished == 1 else f"{finished} trials are"
    return f"{count} kept in {output}; run the same command with --resume to go on"
