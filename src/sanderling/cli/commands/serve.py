"""``sanderling serve``: models over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sanderling.cli import options

Models = Annotated[
    list[str], options.model_argument("MODEL", f"{options.MODEL_HELP} Several are served side by side.")
]
Name = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", show_default=False, help="What callers name it by; one for each."),
]
Host = Annotated[
    str, typer.Option("--host", metavar="IP", help="This machine's address to listen on; 0.0.0.0: all.")
]
Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any that is free.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", autocompletion=options.variants, help="auto chooses the fastest."
    ),
]
Batch = Annotated[
    str, typer.Option("--batch", metavar="N", help="Most rows of one call; auto: measured; off: one by one.")
]
BatchDelay = Annotated[
    str | None,
    typer.Option(
        "--batch-delay", metavar="TIME", show_default=False,
        help="For how long a request may be held for others. Default: 5ms, or four calls if that is longer.",
    ),
]  # fmt: skip
Replicas = Annotated[
    int | None,
    typer.Option(
        "--replicas",
        metavar="N",
        min=1,
        show_default=False,
        help="How often it is loaded. Default: measured.",
    ),
]
Queue = Annotated[int, typer.Option("--queue", metavar="ROWS", min=1, help="That may wait; more get 503.")]
MaxRequest = Annotated[str, typer.Option("--max-request", metavar="SIZE", help="More gets 413.")]
ReadTimeout = Annotated[str, typer.Option("--read-timeout", metavar="TIME", help="For a request to come.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="For an answer; then 504.")]
Drain = Annotated[
    str, typer.Option("--drain", metavar="TIME", help="At SIGTERM: for answering what has been taken.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TEXT", show_default=False,
        help="Callers must show it. Default: none on this machine, else a new one; none: without.",
    ),
]  # fmt: skip
Tls = Annotated[bool, typer.Option("--tls", metavar="", help="HTTPS, with a certificate made now.")]


def serve(
    models: Models,
    name: Name = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    engine: Engine = "auto",
    threads: options.Threads = None,
    replicas: Replicas = None,
    batch: Batch = "auto",
    batch_delay: BatchDelay = None,
    queue: Queue = 256,
    max_request: MaxRequest = "64MB",
    read_timeout: ReadTimeout = "10s",
    timeout: Timeout = "30s",
    drain: Drain = "30s",
    token: Token = None,
    tls: Tls = False,
    json: options.Json = False,
) -> None:
    """Serve models over HTTP with the Open Inference Protocol (KServe v2), for tritonclient and others.

    Requests are put together into one call where that was measured to pay, and where the answers stay the
    same. Metrics for Prometheus are at /metrics. SIGTERM or Ctrl-C answers what was taken, and ends it.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.show_serve import show_started, tell
    from sanderling.serve.inference.application import named

    def started(told: dict[str, Any]) -> None:
        show_started(told, as_json=json)

    keys = named([*map(_stem, models)], name or ())
    with option_names():
        complete = verbs.serve(
            dict(zip(keys, models, strict=True)), host=host, port=port, token=token, tls=tls,
            drain=units.seconds(drain, "--drain", "30s"), started=started,
            engine=options.engines(engine)[0] if engine != "auto" else engine, threads=threads,
            replicas=replicas, batch=batch, queue=queue, tell=None if json else tell,
            batch_delay=None if batch_delay is None
            else units.milliseconds(batch_delay, "--batch-delay") / 1e3,
            max_request=units.size_bytes(max_request, "--max-request", "64MB"),
            read_timeout=units.seconds(read_timeout, "--read-timeout", "10s"),
            timeout=units.seconds(timeout, "--timeout", "30s"),
        )  # fmt: skip
    if not complete:
        exit_with(1)


def _stem(model: str) -> str:
    from pathlib import Path

    return Path(model).stem
