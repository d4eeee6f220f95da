"""Engines are found by scanning the folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sanderling.engines import registry
from sanderling.errors import UsageError


def test_litert_is_found_and_usable() -> None:
    assert "litert" in registry.names()
    engine = registry.find("litert")
    assert engine.name == "litert"
    assert engine.available()
    assert engine.version()[0].isdigit()


def test_every_engine_is_named_after_its_folder() -> None:
    for name in registry.names():
        assert registry.find(name).name == name


def test_an_unknown_engine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"there is no engine 'tpu'; choose one of: .*litert"):
        registry.find("tpu")


def test_finding_an_engine_does_not_import_its_library() -> None:
    code = (
        "import sys; from sanderling.engines import registry; registry.find('litert'); "
        "sys.exit('ai_edge_litert' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", _with_path(code)], check=False).returncode == 0


def _with_path(code: str) -> str:
    return f"import sys; sys.path[:0] = {sys.path!r}; {code}"
