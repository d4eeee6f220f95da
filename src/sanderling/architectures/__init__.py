"""Networks worth training, as PyTorch modules of any width, depth and resolution.

The folder is the registry: what a file beside this one lists as ``ARCHITECTURES`` is found by scanning. Most
are tables of blocks (``plan.py``) and share one assembly (``blocks.py``).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from sanderling.architectures.plan import Architecture
from sanderling.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["Architecture", "build", "describe", "load_weights", "macs", "names", "parameters"]


def names() -> tuple[str, ...]:
    """Returns: the names of all architectures, sorted."""
    return tuple(sorted(_known()))


@cache
def _known() -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for each in pkgutil.iter_modules(__path__):
        if each.name not in _TORCH:
            module = importlib.import_module(f"{__name__}.{each.name}")
            found |= {one.name: one for one in getattr(module, "ARCHITECTURES", ())}
    return found


# Files that are PyTorch from their first line, imported when something is built.
_TORCH = frozenset({"attention", "blocks", "count"})


def describe(name: str) -> Architecture:
    """Returns: what is known of an architecture.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in _known():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of: {', '.join(names())}"
        raise UsageError(f"there is no architecture {name!r}", hint=hint)
    return _known()[name]


def build(name: str, **wishes: Any) -> torch.nn.Module:
    """Makes an untrained network.

    Args:
        name: one of ``names()``.
        wishes: ``width`` and ``depth`` (factors), ``resolution`` (pixels a side), ``classes``, ``channels``
            of the input; for ``bert`` its own (see ``bert.py``). Left out, they are the architecture's.

    Returns: a module whose ``example`` is the tuple of its inputs, images as [N,C,H,W].

    Raises:
        MissingExtra: PyTorch is not installed.
        UsageError: there is no such architecture or wish, or a number is out of range.
    """
    found = describe(name)
    unknown = sorted(set(wishes) - set(found.defaults))
    if unknown:
        takes = ", ".join(found.defaults)
        raise UsageError(f"{name} takes no {unknown[0]!r}", hint=f"it takes {takes}")
    for key, value in wishes.items():
        if isinstance(value, int | float) and value <= 0 and key != "heads":
            raise UsageError(f"{key} is {value}, expected more than 0", where=name)
    _need_torch()
    module: torch.nn.Module = found.build(**{**found.defaults, **wishes})
    return module


def parameters(module: torch.nn.Module) -> int:
    """Returns: the number of trained values; running means and variances are not."""
    return sum(each.numel() for each in module.parameters())


def macs(module: torch.nn.Module) -> int:
    """Returns: the multiplications of convolutions and matrix products for its ``example``."""
    _need_torch()
    from sanderling.architectures.count import count_macs

    return count_macs(module)


def load_weights(module: torch.nn.Module, tensors: dict[str, Any]) -> None:
    """Puts trained values into a module: by name, or in order where the names are another's.

    Args:
        tensors: name → tensor, in the order in which the network uses them.

    Raises:
        UsageError: a shape or a kind does not fit, with the first place where they part.
    """
    _need_torch()
    from sanderling.architectures.count import assign

    assign(module, tensors)


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("building a network", "torch")
