"""The verb ``distill``: one float model trained towards another's answers, without labels."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import SampleError, StorageError, UsageError
from sanderling.files import expanded

if TYPE_CHECKING:
    from sanderling.samples.samples import Samples

_MOST_HELD, _HELD_EVERY, _FEWEST = 200, 5, 4
_MOST_THREADS = 4
_PATIENCE = 600.0  # seconds beyond the time for training: loading, checks, writing
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the student's and the teacher's answers are, on samples that were not trained on.

    Attributes:
        output: the teacher's name of the output.
        cosine: mean over the samples of the cosine between both answers.
        error: squared error as a share of the variance of the teacher's answers.
        same_top: share of samples whose largest value is the same one; None where nothing is chosen.
    """

    output: str
    cosine: float
    error: float
    same_top: float | None


@dataclass(frozen=True, slots=True)
class Distilled:
    """What distilling came to.

    Attributes:
        path: the file that was written.
        size_bytes: of it.
        steps: of training.
        seconds: it took.
        samples: how many were learned from, and on how many others both were compared.
        before, after: a row per output.
        notes: sentences.
    """

    path: Path
    size_bytes: int
    steps: int
    seconds: float
    samples: tuple[int, int]
    before: tuple[Likeness, ...]
    after: tuple[Likeness, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {**asdict(self), "path": str(self.path)}


def distill(
    student: str | Path,
    teacher: str | Path,
    samples: Any = None,
    *,
    out: str | Path,
    minutes: float = 10.0,
    layers: int | None = None,
    steps: int | None = None,
    rate: float = 0.01,
    batch: int = 16,
    features: float = 1.0,
    seed: int = 0,
    threads: int | None = None,
    tell: Tell | None = None,
    **reading: Any,
) -> Distilled:
    """Trains a float model towards another's answers: no labels, and no training code of either.

    Both take and give the same: as many inputs and outputs, of the same shapes.

    Args:
        student: a ``.tflite`` or zoo model; it starts from its own weights.
        teacher: a ``.tflite`` or zoo model.
        samples: what both are asked, as for ``optimize``; None takes those of a zoo model.
        out: the ``.tflite`` to write.
        minutes: time at most for training.
        layers: shorten the student to so many blocks first: those that its answers can least do without.
        steps: of training, instead of as many as the time allows.
        rate: the highest learning rate, as a share of each tensor's typical value.
        batch: samples a step.
        features: weight of what flows between blocks beside the answers, where both have blocks; 0 for none.
        seed: of the samples' order and variations.
        threads: CPU threads for comparing; training takes what a step is worth.
        tell: is called with (what, done, total).
        reading: how samples are read: ``mean``, ``std``, ``scale``, ``preprocess``, ``sample_rate``,
            ``tokenizer``, ``limit``.

    Raises:
        RecipeError: their inputs or outputs differ, or one is quantized.
        MissingExtra: PyTorch is not installed.
        UnsupportedOperator: an operator cannot be trained through.
        SampleError: there are no samples, or too few.
    """
    from sanderling.samples.load import load_samples
    from sanderling.verbs.find import find_model, find_samples
    from sanderling.verbs.reading import reading_of

    path = _output(out)
    _positive(minutes=minutes, rate=rate, batch=batch)
    files = find_model(student), find_model(teacher)
    source, how = find_samples(samples, reading_of(**reading), teacher)
    if tell is not None:
        tell("reading the samples", 0, 0)
    loaded = load_samples(source, _read(files[1]), **how.options())
    schedule = {"minutes": minutes, "steps": steps, "batch": batch, "rate": rate, "seed": seed}
    cores = threads or min(os.cpu_count() or 1, _MOST_THREADS)
    return _trained(files, loaded, path, layers, tell, schedule=schedule, features=features, threads=cores)


def _trained(
    files: tuple[Path, Path],
    samples: Samples,
    path: Path,
    layers: int | None,
    tell: Tell | None,
    **settings: Any,
) -> Distilled:
    """Trains in a process of its own."""
    from sanderling.isolation.client import Worker

    held = _held(samples)
    learned = [number for number in range(len(samples)) if number not in held]
    with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
        lessons = _saved(samples, learned, Path(folder) / "lessons.npz")
        compared = _saved(samples, sorted(held), Path(folder) / "held.npz")
        worker = Worker(name="trainer", folder=Path(folder))
        try:
            begun = files[0]
            if layers is not None:
                begun = _shortened(worker, files[0], layers, lessons, settings["threads"])
            found = worker.call(
                "sanderling.compress.learning.distilling:distil_in_worker",
                timeout=settings["schedule"]["minutes"] * 60 * 1.5 + _PATIENCE,
                on_progress=None if tell is None else lambda value: tell("training", *_counted(value)),
                doing=f"training {files[0].name}",
                student=str(begun.resolve()),
                teacher=str(files[1].resolve()),
                lessons=str(lessons),
                held=str(compared),
                out=str(path.resolve()),
                kept=f"{path.resolve()}.training",
                **settings,
            )
        finally:
            worker.close()
    before, after = (tuple(Likeness(**row) for row in found[when]) for when in ("before", "after"))
    notes = tuple(note for note in (*samples.notes, *found["notes"]) if note)
    counts = (len(learned), len(held))
    return Distilled(
        path, path.stat().st_size, found["steps"], found["seconds"], counts, before, after, notes
    )


def _read(file: Path) -> Any:
    from sanderling.runtime.loading import read_model

    return read_model(file)


def _output(out: str | Path) -> Path:
    path = expanded(out)
    if path.suffix.lower() != ".tflite":
        raise UsageError(f"got {path.name!r}, expected a name that ends in .tflite", where="out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot be made ({error.strerror or error})", where=str(path.parent)) from None
    return path


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"got {value:g}, expected more than 0", where=name)


def _held(samples: Samples) -> frozenset[int]:
    """Returns: the samples that are not trained on, on which both are compared.

    Raises:
        SampleError: there are none to learn from.
    """
    count = len(samples)
    if samples.synthetic:
        raise SampleError("distilling needs samples, noise teaches nothing", hint="give --samples")
    if count < _FEWEST:
        raise SampleError(
            f"{count} samples are too few to learn from", hint=f"give at least {_FEWEST}, better hundreds"
        )
    every = max(_HELD_EVERY, -(-count // _MOST_HELD))
    return frozenset(range(min(every, count) - 1, count, every))


def _saved(samples: Samples, numbers: Iterable[int], file: Path) -> Path:
    from sanderling.compress.calibration import save_feeds

    try:
        return save_feeds((samples[number] for number in numbers), file)
    except OSError as error:
        raise StorageError(
            f"cannot be written to ({error.strerror or error})", where=str(file.parent)
        ) from None


def _shortened(worker: Any, file: Path, layers: int, lessons: Path, threads: int) -> Path:
    """Returns: the student with fewer blocks."""
    short = lessons.with_name(f"{file.stem}-{layers}.tflite")
    worker.call(
        "sanderling.compress.apply:apply_in_worker",
        doing=f"shortening {file.name}",
        recipe={"name": "shorter", "steps": [{"technique": "shorten", "settings": {"layers": layers}}]},
        source=str(file.resolve()),
        out=str(short),
        calibration=str(lessons),
        threads=threads,
    )
    return short


def _counted(value: dict[str, Any]) -> tuple[int, int]:
    return int(value["step"]), int(value["steps"] or 0)
