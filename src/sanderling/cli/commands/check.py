"""``sanderling check``: a gate for CI."""

from __future__ import annotations

from typing import Annotated

from sanderling.cli import options


@options.reads_samples
def check(
    a: Annotated[str, options.model_argument("A", "The model whose answers are right.")],
    b: Annotated[str, options.model_argument("B", "The model that is checked.")],
    samples: options.Samples = None,
    labels: options.Labels = None,
    max_drop: options.MaxDrop = None,
    max_latency: options.MaxLatency = None,
    max_size: options.MaxSize = None,
    max_memory: options.MaxMemory = None,
    min_throughput: options.MinThroughput = None,
    task: options.Task = None,
    metric: options.Metric = None,
    io: options.Io = None,
    allow_ops: options.AllowOps = None,
    oldest_runtime: options.OldestRuntime = None,
    threads: options.Threads = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Check that B still answers like A and keeps all limits: a gate for CI.

    Exits with 1 and the reason when it does not, or when the samples are too few to say.
    """
    from sanderling import verbs
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.live import Live
    from sanderling.cli.output import print_json

    with Live(quiet=json) as live, option_names():
        result = verbs.check(
            a,
            b,
            samples,
            task=task,
            metric=metric,
            threads=threads,
            listen=live,
            labels=labels,
            **options.deployment(io, allow_ops, oldest_runtime),
            **options.limits(max_drop, max_latency, max_size, max_memory, min_throughput),
            **how,
        )
    if json:
        print_json(result.to_json())
    else:
        from sanderling.cli.show_check import show

        show(result)
    if not result.ok:
        exit_with(1)
