"""IMAG: the imaginary part of complex numbers."""

from __future__ import annotations

import numpy as np

from sanderling.ops._complex import part

OP = part("IMAG", np.imag, torch=lambda torch, x: torch.imag(x))
