"""A user's own metric in place of the task's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.tasks.task import Outputs, Task

Evaluate = Callable[[dict[str, Any], dict[str, Any], Any], float]


def custom(metric: str | Evaluate, output_names: Sequence[str], *, max_drop: float = 0.01) -> Task:
    """Builds a task from a user's function.

    Args:
        metric: ``file.py:fn``, or the function: (reference outputs by name, candidate outputs by name,
            label or None) → the drop on one sample, 0 for an answer as good as the reference's, larger
            is worse. The mean over the samples is the drop that budgets speak of.
        output_names: names of the outputs, in the model's order.
        max_drop: the budget when the user gives none.

    Raises:
        UsageError: there is no such function.
    """
    from sanderling.runtime.user_code import user_function

    function = user_function(metric, "--metric") if isinstance(metric, str) else metric
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "evaluate")
    names = list(output_names)

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> float:
        named = [dict(zip(names, outputs, strict=True)) for outputs in (reference, candidate)]
        try:
            drop = float(function(named[0], named[1], label))
        except (Exception, SystemExit) as error:  # the user's code may raise anything; it is told, not hidden
            raise SampleError(f"the metric failed ({type(error).__name__}: {error})", where=name) from error
        if not np.isfinite(drop):
            raise SampleError(f"the metric gave {drop}, a number was expected", where=name)
        return drop

    return Task(
        "custom", f"mean of {name}", max_drop, observe, _combine, float, f"the metric {name} was given"
    )


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    drop = float(np.mean(stats))
    return drop, drop
