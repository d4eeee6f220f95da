"""UNSORTED_SEGMENT_PROD: the product of the rows of each segment."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import segments
from sanderling.ops._segment import unsorted_segment

OP = unsorted_segment(
    "UNSORTED_SEGMENT_PROD",
    np.multiply,
    lambda dtype: 1,
    options="UnsortedSegmentProdOptions",
    gpu=segments("PROD", 1.0, 1),
    torch="prod",
)
