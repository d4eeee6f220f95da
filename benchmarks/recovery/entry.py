"""One entry: a model, a way to compress it, a seed. Made, judged and timed, as plain data."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recovery import peers
from benchmarks.recovery.material import Feeds, Material, Sources
from benchmarks.recovery.ours import OURS, Ours
from benchmarks.recovery.peers import PEERS, Peer, PeerFailed
from benchmarks.recovery.running import TIMED_FEEDS, Ready, speedup
from benchmarks.recovery.subjects import SUBJECTS, Subject, named
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.errors import SanderlingError
from sanderling.graph.types import Array
from sanderling.measure.machine import machine

SCHEMA = 1
OWN = "sanderling"
# The float model itself on pictures whose every pixel is moved by up to half a grey level, as rounding to 8
# bits would move it: a model whose answers this alone moves by the allowed drop keeps it with no 8 bits.
FLOAT, SHAKEN = "float", "every pixel moved by up to half a grey level"
_HALF_A_LEVEL = 0.5
UNSTEADY = 0.06


@dataclass(frozen=True)
class Entry:
    """What is tried: ``variant`` is a peer's way, or the name of one of our recipes."""

    subject: str
    tool: str
    variant: str
    seed: int = 0

    @property
    def file(self) -> str:
        """Its file below the folder of results."""
        return f"{self.subject}/{slug(f'{self.tool} {self.variant}')}-{self.seed}.json"

    @property
    def engine(self) -> str:
        """Our engine that runs what is made, where it is a ``.tflite``."""
        return _ours(self.variant).engine if self.tool == OWN else "litert"

    def how(self) -> Any:
        """Returns: what exactly is done, so that another recipe of the same name counts as not done."""
        if self.tool == OWN:
            return _ours(self.variant).recipe(self.seed).to_json()["steps"]
        if self.tool == FLOAT:
            return [self.variant]
        return [*_peer(self.tool).packages, self.variant]

    def is_done(self, results: Path) -> bool:
        """Returns: whether a result of just this lies there."""
        path = results / self.file
        if not path.exists():
            return False
        found = json.loads(path.read_text())
        return bool(found["schema"] == SCHEMA and found["how"] == self.how())

    def is_unsteady(self, results: Path) -> bool:
        """Returns: whether its speed-up is known no better than within ± ``UNSTEADY``."""
        found = json.loads((results / self.file).read_text())
        low, high = found.get("speedup_ci95", (1.0, 1.0))
        return bool(high - low > 2 * UNSTEADY * found.get("speedup", 1.0))


def slug(text: str) -> str:
    """Returns: the text as part of a file's name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def entries(subjects: Sequence[str] = ()) -> list[Entry]:
    """Returns: all that is to be tried, the peers first."""
    found = []
    for subject in SUBJECTS:
        if subjects and subject.name not in subjects:
            continue
        if subject.pictures:
            found.append(Entry(subject.name, FLOAT, SHAKEN))
        for peer in PEERS:
            variants = (*peer.variants, *(peer.for_transformers if subject.transformer else ()))
            found += [Entry(subject.name, peer.name, variant) for variant in variants]
        for own in OURS:
            if not own.subjects or subject.name in own.subjects:
                found += [Entry(subject.name, OWN, own.name, seed) for seed in own.seeds]
    return found


def _ours(name: str) -> Ours:
    return next(own for own in OURS if own.name == name)


def _peer(name: str) -> Peer:
    return next(peer for peer in PEERS if peer.name == name)


def perform(entry: Entry, models: Path, sources: Sources) -> dict[str, Any]:
    """Makes a model, judges and times it.

    Args:
        models: the folder of models that no package has.
        sources: where samples come from, and where files are kept between entries.

    Returns: JSON values: ``status`` is ``ok`` or ``failed`` with a ``reason``.
    """
    subject = named(entry.subject)
    source = subject.find(models)
    material = subject.material(source, sources)
    folder = _folder(subject, material, sources)
    target = folder / slug(f"{entry.tool} {entry.variant} {entry.seed}")
    result: dict[str, Any] = {
        "schema": SCHEMA, "subject": entry.subject, "tool": entry.tool, "variant": entry.variant,
        "seed": entry.seed, "how": entry.how(), "samples": material.told,
        "machine": machine(("litert", "openvino", "onnxruntime")),
    }  # fmt: skip
    start = time.monotonic()
    try:
        made, notes = _made(entry, source, material, folder, target)
        result |= {"made_seconds": round(time.monotonic() - start, 1), "notes": notes}
        judged = _judged(subject, source, made, material, folder, entry.engine, entry.tool == FLOAT)
        return result | {"status": "ok"} | judged
    except (PeerFailed, SanderlingError, RuntimeError, ValueError) as error:
        return result | {"status": "failed", "reason": _sentence(error)}
    finally:
        _forget(target)


def _made(
    entry: Entry, source: Path, material: Material, folder: Path, target: Path
) -> tuple[Path, list[str]]:
    if entry.tool == FLOAT:
        return Path(shutil.copyfile(source, f"{target}.tflite")), []
    calibration = _kept(material.calibration, folder / "calibration.npz")
    if entry.tool != OWN:
        return peers.quantize(_peer(entry.tool), entry.variant, source, calibration, target), []
    recipe, out = _ours(entry.variant).recipe(entry.seed), Path(f"{target}.tflite")
    lessons = _kept(material.lesson, folder / "lesson.npz")
    done = apply(
        recipe, source, out, calibration=calibration, lessons=lessons,
        kept=out.with_suffix(".training.npz"),
    )  # fmt: skip
    return out, [*done.notes, *(f"{f.kind} {f.operator} stays float: {f.reason}" for f in done.left_float)]


def _kept(feeds: Feeds, file: Path) -> Path:
    """Returns: feeds on disk, written once."""
    if not file.exists():
        part = save_feeds(feeds, file.with_name(f"part-{file.name}"))
        part.rename(file)
    return file


def _judged(
    subject: Subject, source: Path, made: Path, material: Material, folder: Path, engine: str, shaken: bool
) -> dict[str, Any]:
    ready = Ready(made, engine)
    reference = _reference(subject, source, material, folder)
    shown = replace(material.evaluation, shake=_HALF_A_LEVEL) if shaken else material.evaluation
    answers = ready.answers(shown, subject.judge)
    if answers.shape != reference.shape:
        raise ValueError(f"its answers are {answers.shape[1:]}, the float model's {reference.shape[1:]}")
    figures = subject.judge.compare(reference, answers, material.labels)
    timed = [material.evaluation.one(i) for i in range(TIMED_FEEDS)]
    return {
        "engine": ready.engine, "size_bytes": peers.size_bytes(made),
        "float_size_bytes": source.stat().st_size, "zipped_bytes": _zipped(made),
        "evaluated": len(material.evaluation), "figures": figures, **speedup(source, made, timed, engine),
    }  # fmt: skip


def _reference(subject: Subject, source: Path, material: Material, folder: Path) -> Array:
    """Returns: what the judge keeps of the float model's answers in LiteRT, made once."""
    file = folder / "float-answers.npy"
    if not file.exists():
        part = file.with_name("part-float-answers.npy")
        np.save(part, Ready(source).answers(material.evaluation, subject.judge))
        part.rename(file)
    answers: Array = np.load(file)
    return answers


def _zipped(made: Path) -> int:
    """Returns: bytes of the model, deflated."""
    archive = made.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for part in {made, made.with_suffix(".bin")} if made.suffix == ".xml" else {made}:
            file.write(part, part.name)
    size = archive.stat().st_size
    archive.unlink()
    return size


def _folder(subject: Subject, material: Material, sources: Sources) -> Path:
    """Returns: where a model's files are kept between entries, as long as its samples are these."""
    stamp = hashlib.sha256(repr((subject.name, material.told)).encode()).hexdigest()[:8]
    folder = sources.work / f"{subject.name}-{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _forget(target: Path) -> None:
    """Deletes the models that an entry made."""
    for file in target.parent.glob(f"{target.name}*"):
        file.unlink()


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
