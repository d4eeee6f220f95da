"""Where PyTorch comes from: imported late, with one sentence when it is not there."""

from __future__ import annotations

from typing import Any

from sanderling.errors import MissingExtra


def pytorch(feature: str = "training") -> Any:
    """Returns: the module ``torch``.

    Args:
        feature: what needs it, for the error.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra(feature, "train") from None
    return torch


def available() -> bool:
    """Returns: whether PyTorch is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("torch") is not None
