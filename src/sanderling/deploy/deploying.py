"""From an order to a folder: refused in a sentence, or built, tried, and put in place whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.deploy.bundle import write_bundle
from sanderling.deploy.order import Order
from sanderling.deploy.place import check_free, new_folder
from sanderling.deploy.target import Built, Check, Target, Tell
from sanderling.deploy.text import render
from sanderling.errors import DeployError


@dataclass(frozen=True, slots=True)
class Deployed:
    """A bundle in its place.

    Attributes:
        folder: where it is.
        target: for what.
        built: what is known of it.
        checks: how it was tried.
        bundle: the content of its ``bundle.json``.
    """

    folder: Path
    target: Target
    built: Built
    checks: tuple[Check, ...]
    bundle: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {"folder": str(self.folder), **self.bundle}


def check_order(order: Order, target: Target, folder: Path) -> None:
    """Makes sure that something can be built, before time is spent on it.

    Raises:
        DeployError: the target does not take the model, or the folder is taken.
    """
    check_free(folder)
    reason = target.refuse(order)
    if reason:
        raise DeployError(reason, where=order.file.name)


def deploy(order: Order, target: Target, folder: Path, tell: Tell) -> Deployed:
    """Builds a bundle.

    Args:
        folder: where it goes; it must be empty, or not exist.
        tell: is called with what is going on.

    Raises:
        DeployError: it cannot be built or written, or its answers are not the model's; nothing is left.
    """
    check_order(order, target, folder)
    with new_folder(folder) as place:
        built = target.build(order, place, tell)
        write_bundle(place, order, target, built, ())
        checks = tuple(target.check(order, place, tell))
        _require_right(order, checks)
        package = f"sanderling.deploy.{target.name.replace('-', '_')}"
        readme = render(package, "README.md.j2", order=order, target=target, built=built, checks=checks)
        files.write_text(place / "README.md", readme)
        bundle = write_bundle(place, order, target, built, checks)
    return Deployed(folder, target, built, checks, bundle)


def _require_right(order: Order, checks: Sequence[Check]) -> None:
    for check in checks:
        if not check.reason and not check.passed:
            raise DeployError(
                f"on {check.where} output {check.output!r} is off by {check.worst:.3g} times what is allowed",
                where=order.file.name,
                hint="report it, with the model; there is no bundle that answers wrongly",
            )
