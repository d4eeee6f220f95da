"""The verb ``cascade``: a small model answers, and where it is not sure a large one is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.verbs import arguments
from sanderling.verbs.reading import reading_of

if TYPE_CHECKING:
    from sanderling.search.events import Listener
    from sanderling.search.join import Joined


def cascade(
    small: str | Path,
    large: str | Path,
    samples: Any = None,
    *,
    max_drop: float = 0.005,
    labels: str | Path | Sequence[Any] | None = None,
    task: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    listen: Listener | None = None,
    **reading: Any,
) -> Joined:
    """Joins two classifiers: the small one answers, and where it is not sure the large one is asked.

    The threshold is chosen on half of the samples, with a margin; what it comes to is measured on the others.

    Args:
        small, large: ``.tflite`` files or zoo models of the same inputs and classes.
        samples: a folder or file, arrays, or the name of a zoo model; None: the large zoo model's own.
        max_drop: largest loss against the large model alone, a share (0.005 = half a point): of accuracy
            with labels, else of equal classes.
        labels: CSV of labels, or one label per sample.
        task: ``classify`` where the models' answers do not look like classes; None to guess.
        threads: of both models; None: 1.
        seed: fixes which samples are in which half.
        listen: called with what is guessed (see ``search/events.py``).
        reading: how samples are read: as for ``optimize``.

    Returns: the cascade: what it loses and takes, and ``save(folder)`` for ``Session(folder/best.json)``.

    Raises:
        UsageError: the models do not fit together, or do not classify.
        BudgetError: no threshold keeps the drop and gains a tenth of the time.
        SanderlingError: a model or the samples cannot be used.
    """
    from sanderling.search.budget import Budget
    from sanderling.search.events import silent
    from sanderling.search.join import join
    from sanderling.search.request import Request
    from sanderling.verbs.find import find_model, find_samples

    found, how = find_samples(samples, reading_of(labels=labels, **reading), large)
    request = Request(
        models=(find_model(large), find_model(small)), samples=found, output=Path(), reading=how,
        budget=arguments.positive(Budget(max_drop)), task=task, threads=arguments.at_least_one(threads),
        seed=arguments.not_negative(seed),
    )  # fmt: skip
    return join(request, listen or silent)
