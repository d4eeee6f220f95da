"""EXP: e to the power of x."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary

OP = unary("EXP", np.exp, options="ExpOptions")
