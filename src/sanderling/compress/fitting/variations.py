"""More calibration feeds out of few: pictures moved by a pixel or two; the original answers them as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sanderling.analysis.cost import rows
from sanderling.compress.calibration import Feeds, load_feeds, save_feeds
from sanderling.compress.technique import Work
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

_FARTHEST = 2  # pixels
_SMALLEST_SIDE = 16
_ENOUGH = 4096  # feeds; more are not made
_COPIES = 8
_MACS = 3e11  # spent on running the model over what is added
_VALUES = 2**28  # kept on disk


def varied(model: Model, feeds: Feeds, work: Work) -> Feeds:
    """Adds moved copies of pictures, as many as pay.

    Args:
        model: with one float input; of other models nothing is added.
        feeds: the user's.
        work: where to put them.

    Returns: the feeds, and after each round of all of them one of moved ones.
    """
    macs = float(sum(row.macs or 0 for row in rows(model.main)))
    copies = _copies(model, len(feeds), macs)
    if copies == 0:
        return feeds
    return load_feeds(save_feeds(_moved(feeds, copies), work.folder / "varied"))


def _copies(model: Model, count: int, macs: float) -> int:
    graph = model.main
    shape = graph.tensors[graph.inputs[0]].shape if len(graph.inputs) == 1 else ()
    pictures = len(shape) == 4 and min(shape[1:3]) >= _SMALLEST_SIDE and shape[3] in (1, 3, 4)
    if not pictures or not graph.tensors[graph.inputs[0]].dtype.is_float:
        return 0
    size = int(np.prod(shape))
    most = min(_ENOUGH, int(_MACS / max(macs, 1.0)), _VALUES // size)
    return min(_COPIES, max(0, most // count - 1))


def _moved(feeds: Feeds, copies: int) -> Iterator[Mapping[str, Array]]:
    yield from feeds
    for copy in range(copies):
        for number, feed in enumerate(feeds):
            rng = np.random.default_rng((copy, number))
            down, right = (int(v) for v in rng.integers(-_FARTHEST, _FARTHEST + 1, 2))
            yield {name: _shifted(value, down, right) for name, value in feed.items()}


def _shifted(picture: Array, down: int, right: int) -> Array:
    """Returns: a picture [N, H, W, C] moved; what comes into view repeats the edge."""
    rows = np.clip(np.arange(picture.shape[1]) - down, 0, picture.shape[1] - 1)
    columns = np.clip(np.arange(picture.shape[2]) - right, 0, picture.shape[2] - 1)
    return picture[:, rows][:, :, columns]
