"""Where PyTorch comes from: imported late, with one sentence when it is not there."""

from __future__ import annotations

import os
import sys
from typing import Any

from sanderling.errors import MissingExtra
from sanderling.settings import cores, settings

# A step of less arithmetic than this is faster on one thread than shared out.
_WORTH_SHARING = 2e9


def pytorch(feature: str = "training") -> Any:
    """Returns: the module ``torch``.

    Args:
        feature: what needs it, for the error.

    Raises:
        MissingExtra: it is not installed.
    """
    if "torch" not in sys.modules:
        # Threads that wait for each other give way to other programs instead of holding a core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
    except ImportError:
        raise MissingExtra(feature, "train") from None
    return torch


def settle_threads(torch: Any, macs: float) -> None:
    """Chooses how many threads a step takes: by its size alone, so that the same is computed everywhere.

    Args:
        torch: the module.
        macs: multiply-accumulates of a batch forwards.
    """
    most = settings().threads or cores()
    torch.set_num_threads(1 if macs < _WORTH_SHARING else most)


def available() -> bool:
    """Returns: whether PyTorch is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("torch") is not None
