"""What was found out about a model on an adapter, kept on disk: the plan that was fastest, the operators
whose answers were wrong, the programs that were compared with LiteRT.

A file per (model, adapter, driver, versions) in ``SANDERLING_CACHE``: any other version asks again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import files
from sanderling.engines.webgpu.driver.adapters import Adapter
from sanderling.engines.webgpu.versions import version_of
from sanderling.settings import settings

if TYPE_CHECKING:
    from sanderling.engines.webgpu.compiler.program import Program

FORMAT = 1
_TOLD = ("shaders", "dispatches", "buffers", "arenas", "inputs", "outputs", "features")  # not the weights
_LIMIT = 4 * 2**20  # bytes of a file
_MOST_PROGRAMS = 32
_log = logging.getLogger("sanderling.webgpu")


@dataclass(slots=True)
class Memory:
    """What is known of one model on one adapter. All of it can be found out again.

    Attributes:
        path: its file; None keeps nothing.
        wrong: outputs of an operator, as text → how wrong its answer on the GPU was.
        wide: names of tensors that have to be stored in 32 bits, for an operator is wrong otherwise → why.
        programs: fingerprints of programs whose answers were right.
        choices: what was chosen for which input shapes and settings: see ``auto.py``.
    """

    path: Path | None
    wrong: dict[str, str] = field(default_factory=dict)
    wide: dict[str, str] = field(default_factory=dict)
    programs: list[str] = field(default_factory=list)
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)

    def forget_answers(self) -> None:
        """Forgets which operators were wrong, as they are going to be computed in another precision."""
        self.wrong.clear()
        self.wide.clear()

    def save(self) -> None:
        """Writes the file. A cache that cannot be written is told in the log and costs only time."""
        if self.path is None:
            return
        value = {
            "format": FORMAT,
            "wrong": self.wrong,
            "wide": self.wide,
            "programs": self.programs[-_MOST_PROGRAMS:],
            "choices": self.choices,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(self.path, json.dumps(value, indent=1))
        except OSError as error:
            _log.warning("what was measured cannot be kept in %s (%s)", self.path, error.strerror)


def recall(model_hash: str, adapter: Adapter, **settings_of_run: object) -> Memory:
    """Reads what is known.

    Args:
        model_hash: of the model's bytes.
        adapter: the GPU.
        settings_of_run: whatever else changes the answers: precision, pins, threads …
    """
    parts = {
        "model": model_hash,
        "adapter": adapter.identity,
        "versions": versions(),
        **{name: str(value) for name, value in settings_of_run.items()},
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
    path = settings().cache / "webgpu" / f"{key}.json"
    value = _read(path)
    return Memory(
        path,
        {str(k): str(v) for k, v in _mapping(value, "wrong").items()},
        {str(k): str(v) for k, v in _mapping(value, "wide").items()},
        [str(p) for p in value.get("programs", []) if isinstance(p, str)],
        {str(k): dict(v) for k, v in _mapping(value, "choices").items() if isinstance(v, dict)},
    )


def _read(path: Path) -> dict[str, Any]:
    """Returns: the file's content, {} where there is none of use: it is found out again."""
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
        value = json.loads(text) if len(text) <= _LIMIT else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and value.get("format") == FORMAT else {}


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def versions() -> str:
    """Returns: the versions whose change asks everything again."""
    packages = ("sanderling", "ai-edge-litert")
    return ", ".join(f"{package} {version_of(package)}" for package in packages)


def hash_of(path: Path) -> str:
    """Returns: the fingerprint of a file's bytes; "" where it cannot be read, which is never remembered."""
    try:
        now = path.stat()
        return _hashed(path, now.st_size, now.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _hashed(path: Path, _size: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(program: Program) -> str:
    """Returns: what two programs that compute the same in the same way share."""
    digest = hashlib.sha256(repr([getattr(program, name) for name in _TOLD]).encode())
    digest.update(program.weights.data)
    return digest.hexdigest()[:32]
