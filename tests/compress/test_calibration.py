"""Feeds on disk."""

from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.calibration import load_feeds, save_feeds
from sanderling.errors import SampleError


def test_feeds_come_back_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    feeds = [
        {
            "a/b:0": rng.random((1, 2 + i, 3), np.float32),
            "ids;é": np.array([i, 2], np.int64),
            "s": np.float32(i),
        }
        for i in range(3)
    ]
    for place in (tmp_path / "feeds.npz", tmp_path / "folder"):
        file = save_feeds((f for f in feeds), place)
        for path in (file, place):
            loaded = load_feeds(path)
            assert len(loaded) == 3
            for _ in range(2):  # again and again
                for got, expected in zip(loaded, feeds, strict=True):
                    assert got.keys() == expected.keys()
                    assert all(np.array_equal(got[k], expected[k]) for k in got)
                    assert got["s"].shape == ()


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="no feeds"):
        save_feeds([], tmp_path / "none.npz")
    with pytest.raises(SampleError, match="feed 1 has inputs"):
        save_feeds([{"a": np.zeros(1)}, {"b": np.zeros(1)}], tmp_path / "differ.npz")
    with pytest.raises(SampleError, match="text or objects"):
        save_feeds([{"a": np.array(["x"], object)}], tmp_path / "text.npz")
    with pytest.raises(SampleError, match="not readable"):
        load_feeds(tmp_path / "absent.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK nonsense")
    with pytest.raises(SampleError, match="not readable"):
        load_feeds(tmp_path / "broken.npz")
