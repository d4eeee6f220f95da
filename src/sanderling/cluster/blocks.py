"""Blocks of work over a cluster's nodes with Ray Data: read beside the caller, done by a pool of actors.

A block goes through the cluster as one row, so that what comes back is a whole block or nothing: an actor or
a node that dies costs its blocks another attempt, and no block is given back in pieces.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.cluster.connect import connected
from sanderling.errors import RunError, UsageError

Block = tuple[int, int]
_ATTEMPTS = 5  # at a block: Ray alone would go on for ever with one that ends every process
_DEATHS = 3  # of actors that are being made, in a row
# Ray tells of each death on stdout, where a command's own document has to stand alone.
_QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".", "RAY_BACKEND_LOG_LEVEL": "fatal"}


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with blocks. Both are classes, made of their one argument where they work.

    Attributes:
        reader: gives a block's content: (first, last) → bytes. Works on the caller's node.
        reads: its argument.
        doer: does a block: bytes → bytes. Works on every processor of every node.
        does: its argument, sent to each node once.
    """

    reader: Callable[[Any], Callable[[int, int], bytes]]
    reads: Any
    doer: Callable[[Any], Callable[[bytes], bytes]]
    does: Any


_Row = dict[str, Any]


class _Reading:
    """The reader, in an actor."""

    def __init__(self, reader: Any, reads: Any) -> None:
        self._read = reader(_fetched(reads))

    def __call__(self, row: _Row) -> _Row:
        first, last = int(row["first"]), int(row["last"])
        return {"first": first, "last": last, "content": self._read(first, last)}


class _Attempts:
    """How often each block was begun, in an actor beside the caller."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}

    def begin(self, first: int) -> int:
        """Returns: how often, now included."""
        self._begun[first] = self._begun.get(first, 0) + 1
        return self._begun[first]


class _Doing:
    """The doer, in an actor."""

    def __init__(self, doer: Any, does: Any, attempts: Any) -> None:
        self._do, self._attempts = doer(_fetched(does)), attempts

    def __call__(self, row: _Row) -> _Row:
        import ray

        first, last = int(row["first"]), int(row["last"])
        if ray.get(self._attempts.begin.remote(first)) > _ATTEMPTS:
            raise RunError(f"samples {first} to {last} ended {_ATTEMPTS} workers, one after the other")
        return {"first": first, "last": last, "content": self._do(row["content"])}


def _fetched(boxed: list[Any]) -> Any:
    import ray

    return ray.get(boxed[0])


def done_on_cluster(
    address: str,
    feature: str,
    blocks: Callable[[int], Sequence[Block]],
    work: Work,
    joined: Callable[[str], None],
) -> Iterator[tuple[int, int, bytes]]:
    """Does blocks of work on a cluster.

    Args:
        address, feature: see ``connected``. This machine must be a node of the cluster.
        blocks: (processors of the cluster) → the blocks.
        work: what is done with them.
        joined: is called with a few words on the cluster.

    Yields: each block once, as they get done: first, last, content.

    Raises:
        RunError: a block could not be done by any node.
    """
    if address.startswith("ray://"):
        raise UsageError(
            f"got {address}, but what is read on this machine goes to the others as a node's",
            where="--cluster",
            hint="join the cluster here with: ray start --address=HOST:6379, and give --cluster auto",
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with connected(address, feature):
        import ray

        cluster: Any = ray  # half of it has no types
        processors = max(1, int(cluster.cluster_resources().get("CPU", 1)))
        alive = [node for node in cluster.nodes() if node["Alive"]]
        nodes = len(alive)
        joined(f"{processors} workers on {nodes} node{'s' if nodes != 1 else ''}")
        given: set[Block] = set()
        try:
            for row in _data(blocks(processors), work, processors).iter_rows():
                block = (int(row["first"]), int(row["last"]))
                if block not in given:
                    given.add(block)
                    yield *block, row["content"]
        except ray.exceptions.RayError as error:
            raise RunError(_sentence(error), where=f"--cluster {address}") from error


def _data(blocks: Sequence[Block], work: Work, processors: int) -> Any:
    import ray
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = _DEATHS
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    reading: Any = _Reading  # Ray's types know functions only
    doing: Any = _Doing
    # Where the caller is, so is the folder; and what is there ends with the caller.
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    counter: Any = ray.remote(_Attempts)
    attempts = counter.options(num_cpus=0, label_selector=here).remote()
    rows = ray.data.from_items(
        [{"first": first, "last": last} for first, last in blocks], override_num_blocks=len(blocks)
    )
    read = rows.map(
        reading, fn_constructor_args=(work.reader, [ray.put(work.reads)]), concurrency=1, num_cpus=0,
        label_selector=here,
    )  # fmt: skip
    return read.map(
        doing, fn_constructor_args=(work.doer, [ray.put(work.does)], attempts), concurrency=(1, processors),
        num_cpus=1,
    )  # fmt: skip


def _sentence(error: Exception) -> str:
    """Returns: the last line of what Ray says, which is the cause."""
    cause = getattr(error, "cause", None)
    words = str(cause or error).strip().splitlines()
    return (words[-1] if words else type(error).__name__)[:300]
