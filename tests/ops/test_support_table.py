"""``docs/operators.md`` is what the operators say of themselves today, and nothing is left unsaid."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from sanderling.ops.declined import why_not
from sanderling.ops.registry import names
from sanderling.tflite.schema import schema

TOOL = Path(__file__).parents[2] / "tools" / "make_support_tables.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_support_tables", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh() -> None:
    made = tool()
    written = made.TARGET.read_text(encoding="utf-8")
    assert written == made.page(), "run: python tools/make_support_tables.py"


def test_every_builtin_operator_has_a_file_or_a_reason() -> None:
    unknown = why_not("no such operator")
    for name in set(schema().enums["BuiltinOperator"]) - names():
        assert why_not(name) != unknown, name
    assert "application" in why_not("CUSTOM")
