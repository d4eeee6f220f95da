"""``sanderling.predict``: a whole folder, answered into a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.files import expanded
from sanderling.verbs import arguments

if TYPE_CHECKING:
    from sanderling.graph.graph import Model
    from sanderling.pipeline.pipeline import Pipeline
    from sanderling.predict.predict import Predicted
    from sanderling.tasks.spec import TaskSpec


def predict(
    model: str | Path | Model,
    samples: Any,
    output: str | Path | None = None,
    *,
    task: str | Path | TaskSpec | dict[str, Any] | None = None,
    labels: str | Path | Sequence[str] | None = None,
    engine: str = "auto",
    threads: int | None = None,
    crop: str | None = None,
    cluster: str | None = None,
    again: bool = False,
    tell: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> Predicted:
    """Answers every sample into one table, in the samples' order; a call that was cut short is gone on with.

    Args:
        model: a ``.tflite`` file, a ``best.json``, a zoo model, or a model.
        samples: a folder of images, WAVs or ``.npy``; an ``.npz``, ``.npy``, ``.csv``, or ``.txt`` of
            sentences; a zoo model's name for its samples; arrays by input's name; or a list of sentences.
        output: ``.parquet``, ``.csv`` or ``.jsonl``; None: the samples' name with ``.parquet``, here.
        task, labels, engine, crop: see ``run``.
        threads: processors that may be used; None: all.
        cluster: address of a Ray cluster that is to answer, as ``auto`` or ``host:6379``; None: this machine.
        again: answer everything anew, whatever is there.
        tell: is called with each thing that was guessed.
        progress: is called with (samples answered, of so many).
        reading: as for ``run``: ``mean``, ``std``, ``scale``, ``front_end``, ``sample_rate``, ``hop``,
            ``tokenizer``.

    Returns: counts, the rate, the plan and its reason. What could not be read has a row with its ``error``.

    Raises:
        UsageError: the table was begun with another model, other samples or other settings.
        MissingExtra: pyarrow is not installed.
        SanderlingError: the model cannot be run, or there are no samples that it takes.
    """
    from sanderling.predict.predict import Wanted
    from sanderling.predict.predict import predict as answer

    threads = arguments.at_least_one(threads)

    def make(known: str | None) -> Pipeline:
        from sanderling.verbs.answering import make_pipeline

        return make_pipeline(
            model, task=task, labels=labels, crop=crop, engine=known or engine, tell=tell, **reading
        )

    found = _found(model, samples)
    wanted = Wanted(
        found, output_of(found, output), make, engine=engine, cores=threads, cluster=cluster, again=again,
        tell=tell or (lambda note: None), progress=progress or (lambda done, total: None),
    )  # fmt: skip
    return answer(wanted)


def output_of(samples: Any, output: str | Path | None) -> Path:
    """Returns: the table's file."""
    if output is not None:
        return expanded(output)
    if not isinstance(samples, str | Path):
        return Path("predictions.parquet")
    path = expanded(samples).resolve()
    return Path(f"{path.name if path.is_dir() else path.stem}.parquet")


def _found(model: Any, samples: Any) -> Any:
    """Returns: samples, those of a zoo model by its name."""
    from sanderling.search.request import Reading
    from sanderling.verbs.find import find_samples

    if not isinstance(samples, str | Path) or expanded(samples).exists():
        return expanded(samples) if isinstance(samples, str | Path) else samples
    return find_samples(samples, Reading(), model if isinstance(model, str | Path) else "")[0]
