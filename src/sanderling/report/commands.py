"""The lines that run a winner, and that make it again."""

from __future__ import annotations

import shlex

from sanderling.report.data import ReportData


def commands(data: ReportData) -> list[tuple[str, str]]:
    """Returns: (what for, code) to run the winner and to make it again; empty without one."""
    if data.winner is None:
        return []
    model = shlex.quote(data.model.file or f"{data.model.name}.tflite")
    python = (
        "import sanderling as sd\n\n"
        "# engine, threads and precision as they were measured\n"
        'session = sd.Session("best.json")\n'
        "y = session(x)"
    )
    if data.winner.cascade is not None:
        return [("Run it", python)]
    return [
        ("Run it", python),
        (
            "Repeat the recipe on a retrained model",
            f"sanderling optimize {model} --recipe best.json -o again",
        ),
    ]
