"""REAL: the real part of complex numbers."""

from __future__ import annotations

import numpy as np

from sanderling.ops._complex import part

OP = part("REAL", np.real, torch=lambda torch, x: torch.real(x))
