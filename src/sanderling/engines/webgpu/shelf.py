"""Programs that were compiled before, kept on disk: pure data, checked when read, never older than the code.

A folder per (model, target, versions, our own files): a program is only read back by the code that wrote it.
Its fingerprint lies beside it, so that a damaged file is compiled again and not run. Models that call
operators of an application's own are left out: their kernels are not ours to know.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from sanderling import files
from sanderling.engines.webgpu.compiler import program as programs
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.remember import fingerprint, hash_of, versions
from sanderling.errors import FormatError
from sanderling.graph.graph import CUSTOM, Graph
from sanderling.settings import settings

MOST_BYTES = 2**30  # of all programs; those that were not used for the longest time go first
_LIMIT = 2**24  # bytes of a file of verdicts
MOST_WEIGHTS = 2**28  # of one: reading more takes longer than it saves
_OURS = ("ops", "engines/webgpu", "passes", "graph", "tflite")  # whose files say how programs come about
_log = logging.getLogger("sanderling.webgpu")


class Shelf:
    """The programs of one model for one target and one set of input shapes.

    Args:
        folder: of them; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._unkept: list[tuple[Program, Path]] = []

    @classmethod
    def of(cls, path: Path, graph: Graph, target: Target, told: Sequence[object]) -> Shelf:
        """Returns: the shelf of a model.

        Args:
            path: its file.
            graph: with the shapes in force.
            target: what programs are compiled for.
            told: whatever else changes them: shapes, say.
        """
        digest = hash_of(path)
        if not digest or any(node.op == CUSTOM for node in graph.nodes):
            return cls(None)
        parts = [digest, versions(), _stamp(), target.told(), repr(told)]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        return cls(settings().cache / "webgpu" / "programs" / key)

    def verdicts(self, count: int, make: Callable[[], dict[int, str]]) -> dict[int, str]:
        """Returns: position → why a node cannot run on the GPU, from the disk or found out now and kept.

        Args:
            count: nodes of the graph.
            make: finds it out.
        """
        if self._folder is None:
            return make()
        file = self._folder / "verdicts.json"
        try:
            with file.open("rb") as opened:
                value = json.loads(opened.read(_LIMIT))
            known = {int(position): str(reason) for position, reason in value.items()}
            if all(0 <= position < count for position in known):
                return known
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # it is found out again
        found = make()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(file, json.dumps(found))
        except OSError as error:
            _log.warning("what runs on the GPU cannot be kept in %s (%s)", file, error.strerror)
        return found

    def program(self, piece: object, graph: Graph, make: Callable[[], Program]) -> tuple[Program, str]:
        """Returns: the program of a piece of the model, from the disk or made now and kept (see ``flush``);
        and its fingerprint where that is known, else "".

        Args:
            piece: which.
            graph: what it is compiled from.
            make: compiles it.
        """
        if self._folder is None:
            return make(), ""
        place = self._folder / hashlib.sha256(repr(piece).encode()).hexdigest()[:16]
        # From 3 on people want to see a program being made.
        found = _read(place) if settings().debug < 3 else None
        if found is not None and _fits(found[0], graph):
            return found
        made = make()
        if made.weights.size <= MOST_WEIGHTS:
            self._unkept.append((made, place))
        return made, ""

    def flush(self) -> None:
        """Begins to write what was made, in a thread: nobody waits for it before the next process does."""
        waiting, self._unkept = self._unkept, []
        if waiting:
            threading.Thread(target=_keep, args=(waiting,), name="sanderling-keep").start()


def _read(place: Path) -> tuple[Program, str] | None:
    """Returns: a program that is whole, and its fingerprint."""
    try:
        wanted = (place / "fingerprint").read_text(encoding="ascii")
        found = programs.load(place)
        os.utime(place.parent)
    except (OSError, ValueError, FormatError):
        return None
    return (found, wanted) if fingerprint(found) == wanted else None


def _fits(program: Program, graph: Graph) -> bool:
    """Returns: whether a program's ports are a graph's, and its dispatches compute nodes of it."""
    for ports, indices in ((program.inputs, graph.inputs), (program.outputs, graph.outputs)):
        types = [graph.tensors[i].type for i in indices]
        if [(p.dtype, p.shape) for p in ports] != [(t.dtype.value, t.shape) for t in types]:
            return False
    return all(0 <= n < len(graph.nodes) for d in program.dispatches for n in d.nodes)


def _keep(waiting: Sequence[tuple[Program, Path]]) -> None:
    for program, place in waiting:
        _write(program, place)


def _write(program: Program, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        _log.warning("the program cannot be kept in %s (%s)", place, error.strerror)
        return
    try:
        programs.save(program, unfinished, indent=None)
        files.write_text(unfinished / "fingerprint", fingerprint(program))
        shutil.rmtree(place, ignore_errors=True)
        os.replace(unfinished, place)
        _trim(place.parents[1])
    except OSError as error:
        # Threads and processes may keep the same program at the same time, and trim: one of them is enough.
        if error.errno not in (errno.EEXIST, errno.ENOENT, errno.ENOTEMPTY):
            _log.warning("the program cannot be kept in %s (%s)", place, error.strerror)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _trim(folder: Path) -> None:
    """Deletes the models that were not used for the longest time, until what is left is little enough."""
    sizes: Mapping[Path, int] = {
        model: sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        for model in sorted(folder.iterdir(), key=lambda one: -one.stat().st_mtime)
    }
    total = 0
    for model, size in sizes.items():
        total += size
        if total > MOST_BYTES:
            shutil.rmtree(model, ignore_errors=True)


@cache
def _stamp() -> str:
    """Returns: the fingerprint of our own files, by name, size and time: reading them would take longer than
    it saves."""
    return hashlib.sha256("\n".join(sorted(own_files())).encode()).hexdigest()


def own_files() -> Iterator[str]:
    """Yields: a line for every file of ours that programs depend on: path, size, time."""
    house = Path(__file__).parents[2]
    waiting = [str(house / name) for name in _OURS]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir() and entry.name != "__pycache__":
                    waiting.append(entry.path)
                elif entry.name.endswith((".py", ".wgsl")):
                    now = entry.stat()
                    yield f"{os.path.relpath(entry.path, house)} {now.st_size} {now.st_mtime_ns}"
