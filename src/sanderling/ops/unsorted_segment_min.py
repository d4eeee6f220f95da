"""UNSORTED_SEGMENT_MIN: the smallest of the rows of each segment, element by element."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import LARGEST, segments
from sanderling.ops._segment import highest, unsorted_segment

OP = unsorted_segment(
    "UNSORTED_SEGMENT_MIN",
    np.minimum,
    highest,
    options="UnsortedSegmentMinOptions",
    gpu=segments("MIN", LARGEST, 2**31 - 1),
    torch="amin",
)
