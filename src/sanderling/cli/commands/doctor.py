"""``sanderling doctor``: what this machine and this installation are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sanderling.cli import options

if TYPE_CHECKING:
    from sanderling.isolation.client import Worker


def doctor(
    device: Annotated[
        str, typer.Option("--device", metavar="ADDRESS", help="Ask ssh://user@host or adb:SERIAL instead.")
    ] = "local",
    json: options.Json = False,
) -> None:
    """Show versions, processor, memory, engines and settings, and what is wrong with them.

    Exits with 1 when something keeps Sanderling from working.
    """
    from sanderling.cli.failure import exit_with
    from sanderling.cli.output import print_json
    from sanderling.devices.local import LOCAL
    from sanderling.runtime.doctor import examine

    if device != "local":
        ok = _elsewhere(device, json=json)
        if not ok:
            exit_with(1)
        return
    found = examine()
    worker = _worker(LOCAL.worker)
    if json:
        print_json(found.to_json() | {"worker": worker, "ok": found.ok and worker["ok"]})
    else:
        from sanderling.cli.show_doctor import show

        show(found, worker)
    if not (found.ok and worker["ok"]):
        exit_with(1)


def _elsewhere(address: str, *, json: bool) -> bool:
    """Shows what another device is. Returns: whether models can be run there."""
    from sanderling.cli.output import print_json
    from sanderling.cli.show_doctor import show_device
    from sanderling.devices.find import find_device

    device = find_device(address)
    try:
        facts = device.facts()
        worker = _worker(device.worker)
    finally:
        device.close()
    if json:
        print_json({"device": device.name, **facts.to_json(), "worker": worker, "ok": worker["ok"]})
    else:
        show_device(device.name, facts, worker)
    return bool(worker["ok"])


def _worker(made: Callable[[str], Worker]) -> dict[str, Any]:
    """Starts the isolated process that everything is measured in, and has it load a model."""
    import time

    from sanderling import zoo
    from sanderling.errors import SanderlingError

    model = zoo.model_path(zoo.bundled()[0])
    start = time.perf_counter()
    try:
        with made("worker") as worker:
            worker.call("sanderling.measure.serving:load", path=model, timeout=60.0, doing="loading a model")
    except SanderlingError as error:
        return {"ok": False, "reason": str(error), "seconds": None}
    return {"ok": True, "reason": "", "seconds": round(time.perf_counter() - start, 3)}
