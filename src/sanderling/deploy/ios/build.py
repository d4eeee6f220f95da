"""Writes a project for Xcode: Swift code that is the same for every model, and what this one needs of it."""

from __future__ import annotations

import re
from importlib.resources import files as resources
from pathlib import Path

from sanderling import files
from sanderling.deploy.app import check_assets, crop_record, plans, refusal, write_assets
from sanderling.deploy.ios.cpp import self_test
from sanderling.deploy.order import Order
from sanderling.deploy.plan import Plan
from sanderling.deploy.target import Built, Check, Tell
from sanderling.deploy.text import render
from sanderling.errors import DeployError, UsageError
from sanderling.samples.inputs import model_inputs

_PACKAGE = "sanderling.deploy.ios"
_SOURCES = "Deployed/Sources/Deployed"
ASSETS = f"{_SOURCES}/Assets"
_COPIED = {"Deployed": _SOURCES, "App": "App", "Tests": "Deployed/Tests/DeployedTests", "cpp": "cpp"}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9-]*)+")


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can."""
    _bundle_id(order)
    reason = refusal(order)
    if reason:
        return reason
    for each in model_inputs(order.model):
        if any(size < 0 for size in each.dims):
            return (
                f"input {each.name!r} takes any size ({each}), which the app cannot settle: export the "
                "model with the sizes that it is to be run with"
            )
    return ""


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the project. See ``Target.build``."""
    model, detector = plans(order)
    for port in model.record.fields["outputs"]:
        if -1 in port.fields["dims"].values:
            raise DeployError(
                f"output {port.fields['name']!r} has another size for every input, which the app cannot read",
                where=order.file.name,
            )
    own = resources(_PACKAGE) / "files"
    for part, target in _COPIED.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for each in (own / part).iterdir():
            (place / each.name).write_bytes(each.read_bytes())
    (folder / "Deployed" / "Package.swift").write_bytes((own / "Package.swift").read_bytes())
    crop = crop_record(order.spec.crop) if detector is not None and order.spec.crop is not None else None
    swift = render(
        _PACKAGE, "Plans.swift.j2", model=model.record, crop=crop, why=model.why,
        detector=None if detector is None else detector.record,
    )  # fmt: skip
    files.write_text(folder / _SOURCES / "Plans.swift", swift)
    project = render(_PACKAGE, "project.pbxproj.j2", order=order, app_id=_bundle_id(order))
    (folder / "App.xcodeproj").mkdir()
    files.write_text(folder / "App.xcodeproj" / "project.pbxproj", project)
    files.write_text(folder / "cpp" / "plan.h", _header(order, model))
    notes = write_assets(order, model, detector, folder / ASSETS)
    if order.threads:
        notes.append("the app leaves the number of threads to LiteRT; the C++ program takes the given one")
    return Built(
        notes=(*notes, *([model.why] if model.why else [])),
        start="open App.xcodeproj in Xcode 16 or newer, choose a team for signing, and run 'App'",
    )


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the model on this machine, and the C++ program where it can be compiled. See ``Target.check``."""
    return (
        check_assets(order, folder / ASSETS, tell),
        self_test(order, folder, folder / ASSETS, tell),
        Check(
            "iOS", reason="not built here, since Xcode runs on macOS alone and no Swift compiler was at hand"
        ),
    )


def _header(order: Order, model: Plan) -> str:
    """Returns: what the C++ program must know of the model."""
    told = model.record.fields
    outputs = [
        (port.fields["type"].name, allowed, on_gpu)
        for port, allowed, on_gpu in zip(
            told["outputs"], told["tolerance"].values, told["gpuTolerance"].values, strict=True
        )
    ]
    return render(
        _PACKAGE,
        "plan.h.j2",
        threads=order.threads or 4,
        examples=len(order.examples),
        inputs=len(told["inputs"]),
        outputs=outputs,
    )


def _bundle_id(order: Order) -> str:
    """Returns: the app's id.

    Raises:
        UsageError: the one that was given is none.
    """
    given = order.options.get("bundle-id", "")
    if given and not _ID.fullmatch(given):
        raise UsageError(
            f"{given!r} is no id of an app", where="--set bundle-id", hint="give one such as com.example.app"
        )
    return given or f"com.example.{order.name.replace('_', '-')}"
