"""Prints a ``Checkup``."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from sanderling.cli.output import stdout
from sanderling.cli.tables import facts
from sanderling.devices.device import Facts
from sanderling.report.format import format_bytes, format_seconds, plain
from sanderling.runtime.doctor import Checkup, Gpu


def show(checkup: Checkup, worker: dict[str, Any]) -> None:
    """Prints everything, what is wrong last.

    Args:
        checkup: what was found.
        worker: ``{"ok", "reason", "seconds"}`` of the isolated process.
    """
    console = stdout()
    cpu = checkup.cpu
    cores = f"{cpu.cores} cores" if cpu.cores != 1 else "1 core"
    if cpu.usable != cpu.cores:
        cores += f", {cpu.usable:g} of them usable here"
    known, free = checkup.memory_bytes, checkup.memory_available_bytes
    memory = "unknown" if known is None else format_bytes(known)
    if free is not None:
        memory += f", {format_bytes(free)} free"
    cache = f"{checkup.cache}, " + (
        "not made yet" if checkup.cache_bytes is None else format_bytes(checkup.cache_bytes)
    )
    rows = [
        ("system", f"{checkup.system}, {cpu.architecture}"),
        ("processor", f"{cpu.name}, {cores}"),
        ("instructions", " ".join(cpu.flags) or "unknown"),
        ("memory", memory),
        ("load", "" if cpu.load is None else f"{cpu.load:.2f}"),
        ("python", f"{checkup.python}, {checkup.executable}"),
        ("cache", cache),
        ("environment", ", ".join(f"{name}={value}" for name, value in checkup.environment.items())),
    ]
    console.print(facts([row for row in rows if row[1]]))
    console.print()
    console.print(facts([(name, version or "not installed") for name, version in checkup.packages.items()]))
    console.print()
    for engine in checkup.engines:
        if engine.available:
            console.print(
                Text.assemble("engine ", (engine.name, "bold"), f" {engine.version}: ", ("ready", "green"))
            )
        else:
            console.print(
                Text.assemble("engine ", (engine.name, "bold"), ": ", (plain(engine.reason), "yellow"))
            )
    for gpu in checkup.gpus:
        console.print(_gpu(gpu))
    if not checkup.gpus:
        console.print(Text.assemble("gpu: ", (plain(checkup.no_gpu), "yellow")))
    console.print(_process(worker))
    for warning in checkup.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), plain(warning)))
    for problem in checkup.problems:
        console.print(Text.assemble(("problem: ", "bold red"), plain(problem)))
    if checkup.ok and worker["ok"]:
        console.print(Text("Sanderling can run here.", "green"))


def show_device(name: str, found: Facts, worker: dict[str, Any]) -> None:
    """Prints what another device is.

    Args:
        name: as people write it.
        found: what it says of itself.
        worker: as for ``show``, there.
    """
    console = stdout()
    rows = [
        ("device", name),
        ("system", ", ".join(part for part in (found.system, found.architecture) if part)),
        ("processor", f"{found.cpu}, {found.cores:g} {'core' if found.cores == 1 else 'cores'} usable"),
        ("python", found.python),
        *found.versions.items(),
    ]
    console.print(facts([(key, plain(value)) for key, value in rows if value]))
    console.print()
    console.print(_process(worker))
    for note in found.notes:
        console.print(Text.assemble(("note: ", "bold yellow"), plain(note)))
    if worker["ok"]:
        console.print(Text("Sanderling can run models there: optimize and bench --device.", "green"))


def _process(worker: dict[str, Any]) -> Text:
    """One line: whether a process of its own could load a model."""
    if not worker["ok"]:
        return Text(f"isolated process: {plain(worker['reason'])}", "red")
    took = format_seconds(worker["seconds"])
    return Text.assemble("isolated process: ", ("ready", "green"), f", started and loaded a model in {took}")


def _gpu(gpu: Gpu) -> Text:
    """One line: number, name, and what decides what it can run."""
    kind = "software" if gpu.kind == "CPU" else gpu.kind
    buffer = format_bytes(gpu.limits["max_storage_buffer_binding_size"])
    threads = gpu.limits["max_compute_invocations_per_workgroup"]
    shared = format_bytes(gpu.limits["max_compute_workgroup_storage_size"])
    words = [
        kind, gpu.backend, *([plain(gpu.driver)] if gpu.driver else []), "f16" if gpu.f16 else "no f16",
        f"through {gpu.library}",
        f"buffers to {buffer}", f"{threads} threads and {shared} a workgroup",
    ]  # fmt: skip
    mark = (" (in use)", "green") if gpu.chosen else ""
    return Text.assemble(f"gpu {gpu.number} ", (plain(gpu.name), "bold"), mark, f": {', '.join(words)}")
