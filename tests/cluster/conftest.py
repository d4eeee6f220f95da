"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.local_ray import LocalRay
from sanderling.cluster.connect import QUIET

for _name, _value in QUIET.items():  # before any test imports Ray, which reads them then
    os.environ.setdefault(_name, _value)


@pytest.fixture(scope="package")
def cluster() -> Iterator[LocalRay]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'sanderling[cluster]'")
    with LocalRay(nodes=2) as started:
        yield started
