"""MINIMUM: the smaller of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import SHARED, binary

OP = binary("MINIMUM", np.minimum, options="MaximumMinimumOptions", quant=SHARED)
