"""The shape of the house: layers, sizes, names, and what an import may cost."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sanderling"
# Without the programs that are copied into bundles: they are not imported here.
FILES = sorted(p for p in SOURCE.rglob("*.py") if "/files/" not in p.as_posix())

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
# What may be longer, each with its reason: "tflite/read.py" or "tflite/read.py:read" → why.
MAY_BE_LONGER: dict[str, str] = {
    "cli/commands/optimize.py:optimize": "the command line: one parameter per option",
    "samples/load.py:load_samples": "one keyword argument per option, each documented",
    "verbs/__init__.py:optimize": "the public face: one keyword argument per option, each documented",
}

# Names that say nothing about what is inside, as a whole word of a file's or folder's name.
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}

HEAVY = {
    "PIL", "ai_edge_litert", "cv2", "h5py", "jax", "jinja2", "keras", "litert_quantizer", "litert_torch",
    "onnx", "onnxruntime", "optuna", "plotly", "rich", "scipy", "sqlalchemy", "tensorflow", "tokenizers",
    "torch", "typer", "wgpu",
}  # fmt: skip


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def too_long() -> dict[str, int]:
    """Every file and function past its limit, with its length in lines."""
    found = {}
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            found[relative(path)] = lines
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found[f"{relative(path)}:{function.name}"] = length
    return found


def test_imports_go_down_the_house() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = python("-c", command, "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout), done.stdout


def test_no_module_imports_the_public_face_from_inside() -> None:
    """``sanderling/__init__.py`` stands above all folders, unseen by the layers: only the top uses it."""
    offenders = []
    for path in FILES:
        if relative(path).split("/")[0] in {"__init__.py", "__main__.py", "cli"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            plain = isinstance(node, ast.Import) and any(a.name == "sanderling" for a in node.names)
            # ``from sanderling import zoo`` names a folder, which the layers do see.
            face = isinstance(node, ast.ImportFrom) and node.module == "sanderling" and node.level == 0
            if plain or (face and any(not _is_module(a.name) for a in node.names)):
                offenders.append(f"{relative(path)}:{node.lineno}")
    assert not offenders


def _is_module(name: str) -> bool:
    return (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file()


def test_files_and_functions_are_small() -> None:
    unexpected = {name: lines for name, lines in too_long().items() if name not in MAY_BE_LONGER}
    assert not unexpected, f"split these, or give the reason in MAY_BE_LONGER: {unexpected}"


def test_exceptions_to_the_sizes_are_still_needed() -> None:
    assert set(MAY_BE_LONGER) <= set(too_long())
    assert all(MAY_BE_LONGER.values())


def test_names_say_what_is_inside() -> None:
    parts = {part for path in SOURCE.rglob("*") for part in path.relative_to(SOURCE).parts}
    empty = {part for part in parts if EMPTY_NAMES & set(re.split(r"[_.]", part.lower()))}
    assert not empty


def test_importing_sanderling_loads_nothing_heavy() -> None:
    done = python("-c", "import sys, sanderling; print(*sorted({m.split('.')[0] for m in sys.modules}))")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "sanderling" in loaded
    assert not loaded & HEAVY


# Networks are classes of PyTorch, imported when one is built.
IN_TORCH = {f"architectures/{name}.py" for name in ("attention", "blocks", "count")}


# The command line is Typer and Rich from its first line.
@pytest.mark.parametrize("path", [p for p in FILES if not relative(p).startswith("cli/")], ids=relative)
def test_heavy_libraries_are_imported_late(path: Path) -> None:
    """At the top of a file stands only what is cheap; an import for the type checker costs nothing."""
    if relative(path) in IN_TORCH:
        return
    top = ast.parse(path.read_text(encoding="utf-8")).body
    names = {
        name.split(".")[0]
        for node in top
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    assert not names & HEAVY
