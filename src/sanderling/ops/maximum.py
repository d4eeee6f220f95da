"""MAXIMUM: the larger of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import SHARED, binary

OP = binary("MAXIMUM", np.maximum, options="MaximumMinimumOptions", quant=SHARED)
