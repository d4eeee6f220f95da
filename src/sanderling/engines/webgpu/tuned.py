"""Which variant of a kernel was fastest for which operator, kept on disk.

A file per (adapter, driver, versions, kernel texts) in ``SANDERLING_CACHE``: whatever model has such an
operator uses it. Any other version starts anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from sanderling import files
from sanderling.engines.webgpu.compiler.half import halved
from sanderling.engines.webgpu.driver.adapters import Adapter
from sanderling.engines.webgpu.remember import versions
from sanderling.graph.graph import Graph, Node
from sanderling.settings import settings

FORMAT = 1
MOST = 20_000  # operators in a file
_LIMIT = 8 * 2**20  # bytes of a file


def signature(graph: Graph, node: Node, *, half: bool = False) -> str:
    """Returns: what operators share that take the same time on a device: settings, shapes and types.

    Args:
        half: what flows through it is stored in 16 bits.
    """

    def told(index: int) -> list[object]:
        if index < 0:
            return []
        tensor = graph.tensors[index]
        return [tensor.dtype.value, list(tensor.shape), tensor.is_constant, tensor.type.is_quantized]

    settings_of_node = {k: v for k, v in node.attrs.items() if isinstance(v, (bool, int, float, str))}
    parts = [node.op, settings_of_node, [told(i) for i in node.inputs], [told(i) for i in node.outputs], half]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def choices(
    graph: Graph, tuned: Mapping[str, str], *, half: bool = False, wide: Collection[str] = ()
) -> dict[int, str]:
    """Returns: position of a node → name of the variant that was fastest for one like it.

    Args:
        half, wide: see ``half.halved``.
    """
    if not tuned:
        return {}
    keys = (signature(graph, n, half=halved(graph, n, half=half, wide=wide)) for n in graph.nodes)
    found = {position: tuned.get(key) for position, key in enumerate(keys)}
    return {position: name for position, name in found.items() if name is not None}


def recall(adapter: Adapter) -> dict[str, str]:
    """Returns: signature → name of the fastest variant, as far as this adapter was tuned."""
    if not any((settings().cache / "webgpu").glob("tuned-*.json")):
        return {}  # nothing was ever tuned: no need to fingerprint the kernels
    try:
        with _path(adapter).open("rb") as file:
            text = file.read(_LIMIT + 1)
        value = json.loads(text) if len(text) <= _LIMIT else {}
    except (OSError, ValueError, RecursionError):
        return {}  # it can be measured again
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return {}
    found = value.get("variants")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def keep(adapter: Adapter, tuned: Mapping[str, str]) -> None:
    """Adds what was found out to the adapter's file.

    Raises:
        OSError: it cannot be written.
    """
    known = {**recall(adapter), **tuned}
    latest = dict(list(known.items())[-MOST:])
    path = _path(adapter)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps({"format": FORMAT, "variants": latest}, indent=1))


def _path(adapter: Adapter) -> Path:
    key = hashlib.sha256("\n".join((adapter.identity, versions(), kernels_hash())).encode()).hexdigest()
    return settings().cache / "webgpu" / f"tuned-{key[:32]}.json"


@cache
def kernels_hash() -> str:
    """Returns: the fingerprint of all kernel texts and of the code that chooses among them."""
    digest = hashlib.sha256()
    for file in sorted(resources.files("sanderling.ops").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".wgsl") or file.name.startswith("_gpu"):
            digest.update(file.name.encode())
            digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()
