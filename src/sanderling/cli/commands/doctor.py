"""``sanderling doctor``: what this machine and this installation are."""

from __future__ import annotations

from typing import Any

from sanderling.cli import options


def doctor(json: options.Json = False) -> None:
    """Show versions, processor, memory, engines and settings, and what is wrong with them.

    Exits with 1 when something keeps Sanderling from working.
    """
    from sanderling.cli.failure import exit_with
    from sanderling.cli.output import print_json
    from sanderling.runtime.doctor import examine

    found = examine()
    worker = _worker()
    if json:
        print_json(found.to_json() | {"worker": worker, "ok": found.ok and worker["ok"]})
    else:
        from sanderling.cli.show_doctor import show

        show(found, worker)
    if not (found.ok and worker["ok"]):
        exit_with(1)


def _worker() -> dict[str, Any]:
    """Starts the isolated process that everything is measured in, and has it load a model."""
    import time

    from sanderling import zoo
    from sanderling.errors import SanderlingError
    from sanderling.isolation.client import Worker

    model = zoo.model_path(zoo.bundled()[0])
    start = time.perf_counter()
    try:
        with Worker() as worker:
            worker.call(
                "sanderling.measure.serving:load", path=str(model), timeout=60.0, doing="loading a model"
            )
    except SanderlingError as error:
        return {"ok": False, "reason": str(error), "seconds": None}
    return {"ok": True, "reason": "", "seconds": round(time.perf_counter() - start, 3)}
