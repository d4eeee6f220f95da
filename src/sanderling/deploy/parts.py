"""The part of this package that a bundle needs: copied as it is, so that pictures are read and answers
understood there exactly as here."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.resources import files as resources
from pathlib import Path

_PACKAGE = "sanderling"


def copy_modules(roots: Iterable[str], folder: Path) -> list[str]:
    """Copies modules of this package, all that they import from it (functions' own imports included), and the
    tables (JSON) beside them.

    Args:
        roots: modules, or packages with all that is in them: ``sanderling.tasks.answers.*``.
        folder: which will hold the folder ``sanderling``.

    Returns: the modules' names, sorted.
    """
    home = Path(str(resources(_PACKAGE))).parent
    found = _closure(home, [name for root in roots for name in _expanded(home, root)])
    tables = {table for source in found.values() for table in source.parent.glob("*.json")}
    for source in (*found.values(), *tables):
        target = folder / source.relative_to(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return sorted(found)


def _expanded(home: Path, root: str) -> list[str]:
    if not root.endswith(".*"):
        return [root]
    package = root.removesuffix(".*")
    return [
        package,
        *(f"{package}.{p.stem}" for p in sorted(home.joinpath(*package.split(".")).glob("*.py"))),
    ]


def _closure(home: Path, roots: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        file = _file(home, name)
        if file is None or name in found:
            continue
        found[name] = file
        parents = name.split(".")
        waiting += [".".join(parents[:depth]) for depth in range(1, len(parents))]
        waiting += [each for each in _imports(ast.parse(file.read_bytes())) if each.startswith(_PACKAGE)]
    return found


def _file(home: Path, name: str) -> Path | None:
    """Returns: the file of a module or package, None for what is a name inside of one."""
    path = home.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def _imports(node: ast.AST) -> Iterator[str]:
    """Yields: the names of all that is imported, but for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _imports(other)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _imports(child)
