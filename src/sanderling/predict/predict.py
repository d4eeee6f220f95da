"""A whole folder answered into a table: begun or gone on with, answered, merged."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sanderling.errors import StorageError
from sanderling.pipeline.pipeline import Pipeline
from sanderling.predict.answering import Answering, settle
from sanderling.predict.listing import Listing, list_samples
from sanderling.predict.parts import VERSION, Parts, indices, refused, unlike
from sanderling.predict.table import check_suffix, failures, manifest_of, merge, need_parquet
from sanderling.predict.writing import PartWriter
from sanderling.samples.reader import function_identity
from sanderling.tasks.spec import TaskSpec, from_json

Make = Callable[[str | None], Pipeline]
Progress = Callable[[int, int], None]
Stretches = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be answered, and how.

    Attributes:
        samples: see ``listing.list_samples``.
        output: the table: ``.parquet``, ``.csv`` or ``.jsonl``.
        make: (name of the engine, None for the one that was asked for) → a pipeline.
        engine: as asked for.
        cores: processors that may be used; None: all.
        cluster: address of a Ray cluster that answers; None: this machine does.
        again: do not go on with what is there, but begin anew.
        tell: is called with what a user must know.
        progress: is called with (samples answered, of so many).
    """

    samples: Any
    output: Path
    make: Make
    engine: str = "auto"
    cores: int | None = None
    cluster: str | None = None
    again: bool = False
    tell: Callable[[str], None] = lambda note: None
    progress: Progress = lambda done, total: None


@dataclass(frozen=True, slots=True)
class Predicted:
    """What came of it.

    Attributes:
        output: the table.
        samples: rows in it.
        failed: those that have an error in place of an answer.
        errors: why the first ones have none.
        before: rows that were there before this call; all of them where there was nothing to do.
        seconds: this call's, without what is done once.
        model, engine, task: what answered.
        plan, reason: how the model was run, and why so.
    """

    output: Path
    samples: int
    failed: int
    errors: tuple[str, ...]
    before: int
    seconds: float
    model: str
    engine: str
    task: str
    plan: str
    reason: str

    @property
    def per_second(self) -> float | None:
        """Samples answered in a second; None where there was nothing to do."""
        answered = self.samples - self.before
        return answered / self.seconds if answered and self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """Returns: plain values."""
        return {
            "output": str(self.output), "model": self.model, "engine": self.engine, "task": self.task,
            "samples": self.samples, "answered": self.samples - self.failed, "failed": self.failed,
            "errors": list(self.errors), "before": self.before, "seconds": self.seconds,
            "per_second": self.per_second, "plan": self.plan, "reason": self.reason,
        }  # fmt: skip


@dataclass(slots=True)
class _How:
    """What is told of the way in which it was answered."""

    seconds: float = 0.0
    plan: str = ""
    reason: str = ""


def predict(wanted: Wanted) -> Predicted:
    """Answers every sample once, whatever ends the process between two calls.

    Raises:
        SanderlingError: the model or the samples cannot be used, or another table is in the way.
        MissingExtra: pyarrow is not installed.
    """
    need_parquet()
    check_suffix(wanted.output)
    parts = Parts(wanted.output)
    before = {} if wanted.again else parts.stored() or {}
    pipeline = wanted.make(before.get("engine_again"))
    try:
        listing = list_samples(wanted.samples, pipeline.asked_for, pipeline.machine.model)
        for note in listing.notes:
            wanted.tell(note)
        manifest = _manifest(wanted, pipeline, listing)
        if not wanted.again and parts.stored() is None and wanted.output.exists():
            found = manifest_of(wanted.output)
            if found is not None and not unlike(manifest, found):
                return _finished(wanted, found)
        with _held(parts):
            return _go_on(wanted, parts, manifest, pipeline, listing)
    finally:
        pipeline.close()


@contextmanager
def _held(parts: Parts) -> Iterator[None]:
    parts.hold()
    try:
        yield
    finally:
        parts.release()


def _go_on(
    wanted: Wanted, parts: Parts, manifest: dict[str, Any], pipeline: Pipeline, listing: Listing
) -> Predicted:
    stored = None if wanted.again else parts.stored()
    if stored is not None and (words := unlike(manifest, stored)):
        raise refused(parts.folder, f"was begun {words}")
    if stored is None and wanted.output.exists() and not wanted.again:
        found = manifest_of(wanted.output)
        words = "is there already" if found is None else f"was begun {unlike(manifest, found)}"
        raise refused(wanted.output, words)
    if stored is not None and stored.get("task") is not None:
        pipeline.adopt(_settled(stored["task"], pipeline.spec))
        manifest = stored
    else:
        settled = settle(pipeline, listing)
        manifest["task"] = pipeline.spec.to_json() if settled else None
        (parts.begin if stored is None else parts.note)(manifest)
    count = len(listing)
    before = count - _count(parts.missing(count))
    how = _answer(wanted, parts, pipeline, listing, before)
    paths = parts.paths()
    failed, errors = failures(paths)
    summary = {"failed": failed, "errors": errors, "plan": how.plan, "reason": how.reason}
    merge(paths, wanted.output, {**manifest, "summary": summary})
    parts.remove()
    return Predicted(
        wanted.output, count, failed, tuple(errors), before, how.seconds, manifest["model"]["name"],
        pipeline.machine.engine, pipeline.spec.name, how.plan, how.reason,
    )  # fmt: skip


def _answer(wanted: Wanted, parts: Parts, pipeline: Pipeline, listing: Listing, before: int) -> _How:
    missing = parts.missing(len(listing))
    if not missing:
        return _How(plan="nothing was left to answer")
    began = time.perf_counter()
    wanted.progress(before, len(listing))
    answer = _on_cluster if wanted.cluster is not None else _here
    how = answer(wanted, parts, pipeline, listing, missing)
    how.seconds = time.perf_counter() - began
    return how


def _here(wanted: Wanted, parts: Parts, pipeline: Pipeline, listing: Listing, missing: Stretches) -> _How:
    answering = Answering(pipeline, listing, wanted.cores)
    writer = PartWriter(parts, fixed=has_fixed_shapes(pipeline))
    done = len(listing) - _count(missing)
    try:
        for row in answering.rows(indices(missing)):
            writer.add(row)
            done += 1
            wanted.progress(done, len(listing))
    finally:
        writer.close()
        wanted.progress(len(listing) - _count(parts.missing(len(listing))), len(listing))  # what is kept
    return _How(0.0, answering.plan, answering.reason)


def _on_cluster(
    wanted: Wanted, parts: Parts, pipeline: Pipeline, listing: Listing, missing: Stretches
) -> _How:
    from sanderling.predict.remote import answered_on_cluster

    assert wanted.cluster is not None
    how = _How(reason="each answers blocks of samples on one thread")
    found = answered_on_cluster(
        wanted.cluster, pipeline, wanted.samples, listing, missing, fixed=has_fixed_shapes(pipeline),
        joined=lambda words: setattr(how, "plan", words),
    )  # fmt: skip
    done = len(listing) - _count(missing)
    for first, last, content in found:
        parts.add(first, last, content)
        done += last + 1 - first
        wanted.progress(done, len(listing))
    return how


def _count(stretches: Stretches) -> int:
    return sum(last + 1 - first for first, last in stretches)


def has_fixed_shapes(pipeline: Pipeline) -> bool:
    """Returns: whether every answer's arrays have the same shapes, those of the model's outputs."""
    graph, settled = pipeline.machine.model.main, pipeline.settled
    if settled is None or not settled.task.as_given or pipeline.cropper is not None:
        return False
    tensors = [graph.tensors[index] for index in graph.outputs]
    return all(-1 not in (*tensor.shape, *tensor.shape_signature) for tensor in tensors)


def _settled(stored: Any, asked: TaskSpec) -> TaskSpec:
    if asked.name == "custom":  # the file must not name code: what was typed does
        rest = {key: value for key, value in dict(stored).items() if key not in ("task", "options")}
        return replace(from_json(rest, "the manifest"), name="custom", options=asked.options)
    return from_json(stored, "the manifest")


def _finished(wanted: Wanted, found: dict[str, Any]) -> Predicted:
    """Returns: what is told of a table that was finished before."""
    summary, task = found.get("summary") or {}, found.get("task") or {}
    count = int(found["samples"]["count"])
    return Predicted(
        wanted.output, count, int(summary.get("failed", 0)), tuple(summary.get("errors", ())), count, 0.0,
        found["model"]["name"], str(found.get("engine", "")), str(task.get("task", "")),
        "nothing was left to answer", "the table is complete",
    )  # fmt: skip


def _manifest(wanted: Wanted, pipeline: Pipeline, listing: Listing) -> dict[str, Any]:
    """Returns: what a table is the answer to."""
    machine, spec = pipeline.machine, pipeline.spec
    asked: dict[str, Any] = {"engine": wanted.engine, **spec.to_json()}
    if spec.name == "custom":
        asked["function"] = function_identity(str(spec.options["function"]))
    manifest = {
        "version": VERSION, "sanderling": version("sanderling"), "model": _model(machine.files),
        "engine": machine.engine, "engine_again": machine.engine_again, "asked": asked,
        "samples": {"count": len(listing), "identity": listing.identity()},
    }  # fmt: skip
    found: dict[str, Any] = json.loads(json.dumps(manifest))  # as it will be read back
    return found


def _model(paths: tuple[Path, ...]) -> dict[str, str]:
    """Returns: the model's name and hash; of a cascade that of its files' hashes."""
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(hashlib.file_digest(file, "sha256"))
        except OSError as error:
            raise StorageError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    whole = found[0] if len(found) == 1 else hashlib.sha256(b"".join(each.digest() for each in found))
    return {"name": paths[0].name, "sha256": whole.hexdigest()}
