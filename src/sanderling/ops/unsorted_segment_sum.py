"""UNSORTED_SEGMENT_SUM: the sum of the rows of each segment."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import segments
from sanderling.ops._segment import unsorted_segment

OP = unsorted_segment(
    "UNSORTED_SEGMENT_SUM",
    np.add,
    lambda dtype: 0,
    options="UnsortedSegmentSumOptions",
    gpu=segments("SUM", 0.0, 0),
    torch="sum",
)
