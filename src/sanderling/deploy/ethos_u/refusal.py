"""Which models no Ethos-U can run, and for what a bundle is to be compiled."""

from __future__ import annotations

from sanderling.deploy.integers import refusal
from sanderling.deploy.order import Order
from sanderling.errors import UsageError
from sanderling.measure import vela


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can.

    Raises:
        MissingExtra: Vela is not installed.
        UsageError: a setting has a wrong value.
    """
    setup_of(order)
    vela.require()
    return refusal(order.model, " --target ethos-u", "an Ethos-U")


def setup_of(order: Order) -> vela.Setup:
    """Returns: what the user asks for.

    Raises:
        UsageError: a setting has a wrong value.
    """
    given = order.options
    wanted = given.get("optimise", "performance")
    if wanted not in ("performance", "size"):
        raise UsageError(f"got {wanted!r}", where="optimise", hint="it is performance or size")
    return vela.Setup(
        given.get("npu", vela.USUAL), given.get("system", ""), given.get("memory", ""), wanted == "size"
    )
