"""UNSORTED_SEGMENT_MAX: the largest of the rows of each segment, element by element."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import LARGEST, segments
from sanderling.ops._segment import lowest, unsorted_segment

OP = unsorted_segment(
    "UNSORTED_SEGMENT_MAX",
    np.maximum,
    lowest,
    options="UnsortedSegmentMaxOptions",
    gpu=segments("MAX", -LARGEST, -(2**31)),
    torch="amax",
)
