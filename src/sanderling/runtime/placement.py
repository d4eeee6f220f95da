"""Which engine runs which operator, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from sanderling.engines import registry
from sanderling.engines.engine import Runner
from sanderling.graph.graph import Model
from sanderling.runtime.choice import USUAL, Decision, Tell, decide
from sanderling.runtime.loading import load_runner
from sanderling.settings import settings


@dataclass(frozen=True, slots=True)
class Placed:
    """One operator's place.

    Attributes:
        index: position among the main graph's nodes.
        operator: what a person calls it: ``CONV_2D``.
        output: name of its first output tensor.
        engine: the engine that runs it; "session" for what is computed once or kept between calls.
        reason: why it runs there.
        est_ms: estimated milliseconds per call; None when nothing was measured.
    """

    index: int
    operator: str
    output: str
    engine: str
    reason: str
    est_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What ``engine="auto"`` means for a model here.

    Attributes:
        engine: its name.
        reason: one sentence.
        threads: of the CPU.
        runner: the model loaded into it, None where it has yet to be.
    """

    engine: str
    reason: str
    threads: int
    runner: Runner | None = None


def choose_engine(
    path: Path,
    model: Model,
    *,
    threads: int | None = None,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
    tell: Tell | None = None,
) -> Chosen:
    """Chooses the engine for ``engine="auto"``: the fastest that was measured to answer as LiteRT does.

    Args:
        path, model: the file and what was read from it.
        threads: of the CPU; None to have it measured.
        precision: of the engine.
        options: of the engine ``webgpu``.
        tell: is called with a sentence before what takes seconds.
    """
    from sanderling.engines.webgpu.auto import Rival, propose

    if precision in ("auto", "float32"):
        first = decide(path, model, threads, tell)
    else:
        first = Decision(USUAL, threads or 1, "")
    allowed = settings().engines
    if allowed and "webgpu" not in allowed and not options:
        return Chosen(first.engine, first.reason, first.threads)
    rival = Rival(first.engine, lambda: load_runner(path, model, first.engine, threads=first.threads))
    choice = propose(
        path,
        model,
        threads=first.threads,
        options={**(options or {}), "precision": precision},
        rival=rival,
    )
    if choice.runner is not None:
        return Chosen("webgpu", choice.reason, first.threads, choice.runner)
    told = f"{first.reason}; {choice.reason}" if first.rows else choice.reason
    return Chosen(first.engine, told, first.threads)


class _Placing(Protocol):
    """A runner that knows where each operator runs."""

    def places(self) -> Sequence[Any]: ...


def place_runner(model: Model, runner: Runner, engine: str, reason: str) -> tuple[Placed, ...]:
    """Returns: a row per node of the main graph for a loaded model."""
    if not hasattr(runner, "places"):
        return place(model, engine, reason)
    graph = model.main
    found: Sequence[Any] = cast(_Placing, runner).places()
    return tuple(
        Placed(
            index, node.kind, graph.tensors[node.outputs[0]].name if node.outputs else "",
            where.engine, where.reason, where.est_ms,
        )
        for index, (node, where) in enumerate(zip(graph.nodes, found, strict=True))
    )  # fmt: skip


def place_parts(parts: Sequence[Sequence[Placed]]) -> tuple[Placed, ...]:
    """Returns: the rows of all models of a cascade, numbered on, each with its model's number."""
    rows = [(number, row) for number, part in enumerate(parts, 1) for row in part]
    return tuple(
        replace(row, index=index, reason=f"model {number} of {len(parts)}: {row.reason}")
        for index, (number, row) in enumerate(rows)
    )


def place(model: Model, engine: str, reason: str) -> tuple[Placed, ...]:
    """Returns: a row per node of the main graph for a model that one engine runs as a whole."""
    verdicts = registry.engine_of(engine).supports(model)
    graph = model.main
    return tuple(
        Placed(
            index,
            node.kind,
            graph.tensors[node.outputs[0]].name if node.outputs else "",
            engine,
            reason if verdict else verdict.reason,
        )
        for index, (node, verdict) in enumerate(zip(graph.nodes, verdicts, strict=True))
    )


def describe(name: str, engine: str, reason: str, rows: Sequence[Placed]) -> str:
    """Returns: lines for people who debug: a model's engine, then where each operator runs, and why."""
    lines = [f"{name}: {engine}, {reason}"]
    lines += [f"  {row.index} {row.operator} {row.output}: {row.engine}, {row.reason}" for row in rows]
    # Names are the file's, and a terminal obeys what does not print.
    return "".join("".join(c if c.isprintable() else "?" for c in line) + "\n" for line in lines)
