"""COMPLEX_ABS: the absolute value of complex numbers."""

from __future__ import annotations

import numpy as np

from sanderling.ops._complex import part

OP = part("COMPLEX_ABS", np.abs, torch=lambda torch, x: torch.abs(x))
