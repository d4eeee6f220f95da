"""One measured candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sanderling.compress.recipe import Recipe
from sanderling.measure.results import Energy, Fidelity, Latency
from sanderling.search.cascaded import Cascaded

IMITATIONS = frozenset({"tflite_micro"})  # engines that stand for another machine's
Status = Literal["ok", "rejected", "undecided", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate and all that was measured of it.

    Attributes:
        id: stable identity: hash of model, recipe, engine, threads, samples and versions.
        name: short, for tables: ``static int8, 2 threads``.
        model: name of the model it was made from (several MODELs may compete).
        recipe: how to make it again.
        engine, threads, precision: how it was run.
        rung: the rung of the ladder that proposed it.
        size_bytes: the file's size; 0 when it could not be made.
        latency: None when it was not reached.
        peak_memory_bytes: growth of the process while loading and running it, the arena where TFLite Micro
            runs it; None when not measured.
        fidelity: on the search samples; None when not reached.
        energy: of a call, by turns with the original; None when it was not asked for or not reached.
        status: ``ok`` fits every budget; ``rejected`` measurably does not; ``undecided`` needs more
            samples; ``failed`` could not be made, loaded or run.
        reason: one sentence for everything but ``ok`` (and for ``ok`` that is not better than float).
        file: the candidate's file inside the output folder, "" when none.
        seconds: what the trial cost.
        passing: it failed for a reason that may pass (too slow, killed, no memory): resuming tries it again.
        estimated: what estimated the latency and the memory, which nobody measured; "" where they were.
        only_compared: it is what others are compared with, and cannot run where the winner will.
        cascade: of which trials it is made, if it is a cascade of several; ``model`` and ``recipe`` are then
            those of the last, without what was done to it.
        where: the machine that it was measured on, where that may be one of several; else "".
        processor: of that machine.
    """

    id: str
    name: str
    model: str
    recipe: Recipe
    engine: str
    threads: int
    rung: str = ""
    precision: str = "auto"
    size_bytes: int = 0
    latency: Latency | None = None
    peak_memory_bytes: int | None = None
    fidelity: Fidelity | None = None
    status: Status = "ok"
    reason: str = ""
    file: str = ""
    seconds: float = 0.0
    passing: bool = False
    energy: Energy | None = None
    only_compared: bool = False
    estimated: str = ""
    cascade: Cascaded | None = None
    where: str = ""
    processor: str = ""

    @property
    def imitated(self) -> bool:
        """Whether its engine imitates another machine: its times say nothing beside those of this one."""
        return self.engine in IMITATIONS

    @property
    def speedup(self) -> float | None:
        """How many times faster than the original; None where it was not timed, or on an imitated machine."""
        return self.latency.speedup if self.latency and not self.imitated else None

    def to_json(self) -> dict[str, Any]:
        """Returns: the trial as it stands in ``report.json``."""
        return {
            "id": self.id,
            "name": self.name,
            "model": self.model,
            "recipe": self.recipe.to_json(),
            "engine": self.engine,
            "threads": self.threads,
            "precision": self.precision,
            "rung": self.rung,
            "size_bytes": self.size_bytes,
            "latency_ms": self.latency.to_json() if self.latency else None,
            "speedup": self.speedup,
            "peak_memory_bytes": self.peak_memory_bytes,
            "fidelity": self.fidelity.to_json() if self.fidelity else None,
            "energy": self.energy.to_json() if self.energy else None,
            "status": self.status,
            "reason": self.reason,
            "file": self.file,
            "seconds": self.seconds,
            "passing": self.passing,
            "only_compared": self.only_compared,
            "estimated": self.estimated,
            "cascade": self.cascade.to_json() if self.cascade else None,
            "where": self.where,
            "processor": self.processor,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trial:
        """Reads what ``to_json`` wrote."""
        latency, fidelity, energy = value["latency_ms"], value["fidelity"], value.get("energy")
        return cls(
            id=value["id"],
            name=value["name"],
            model=value["model"],
            recipe=Recipe.from_json(value["recipe"]),
            engine=value["engine"],
            threads=value["threads"],
            precision=value["precision"],
            rung=value["rung"],
            size_bytes=value["size_bytes"],
            latency=Latency.from_json(latency) if latency else None,
            peak_memory_bytes=value["peak_memory_bytes"],
            fidelity=Fidelity.from_json(fidelity) if fidelity else None,
            status=value["status"],
            reason=value["reason"],
            file=value["file"],
            seconds=value["seconds"],
            passing=value.get("passing", False),
            energy=Energy.from_json(energy) if energy else None,
            only_compared=value.get("only_compared", False),
            estimated=value.get("estimated", ""),
            cascade=Cascaded.from_json(value["cascade"]) if value.get("cascade") else None,
            where=value.get("where", ""),
            processor=value.get("processor", ""),
        )
