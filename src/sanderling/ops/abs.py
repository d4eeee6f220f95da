"""ABS: the absolute value."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary

OP = unary("ABS", np.abs, options="AbsOptions", whole=True)
