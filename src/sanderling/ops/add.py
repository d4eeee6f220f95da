"""ADD: left + right, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import binary

OP = binary("ADD", np.add, options="AddOptions", fused=True)
