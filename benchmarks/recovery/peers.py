"""Stock quantizers as peers: the same float model and samples, each in an environment of its own.

All are spared what they cannot read: constants are folded, names unique, operators canonical, and there is a
signature. Where a tool has several ways, each is an entry, and the page shows the best.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sanderling.compress.prepare import fold
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model, Signature
from sanderling.onnx.write import export
from sanderling.passes import run
from sanderling.settings import settings
from sanderling.tflite import read, write

TIME_LIMIT = 1800.0
_PROGRAMS = Path(__file__).parent / "stock"
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Peer:
    """A stock tool.

    Attributes:
        name: for the page.
        packages: what its environment holds, pinned.
        program: which of ``stock/`` drives it.
        prepare: writes the float model as the tool reads it, to a path without suffix; returns the file.
        suffix: of the files that it makes.
        variants: its ways.
        for_transformers: further ways, for transformers.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    prepare: Callable[[Path, Path], Path]
    suffix: str
    variants: tuple[str, ...]
    for_transformers: tuple[str, ...] = ()


class PeerFailed(Exception):
    """The tool made no model. The text is its reason."""


def plain(model: Model) -> Model:
    """Returns: the model as every reader understands it, of known sizes and with one signature ``main``."""
    graph = compact(run(fold(model), ("replace_transpose_conv_bias",))[0]).main
    tensors = tuple(
        replace(tensor, name=f"tensor_{i}", shape_signature=()) for i, tensor in enumerate(graph.tensors)
    )
    signature = Signature(
        "main",
        tuple((f"input_{p}", i) for p, i in enumerate(graph.inputs)),
        tuple((f"output_{p}", i) for p, i in enumerate(graph.outputs)),
    )
    return Model((replace(graph, tensors=tensors),), signatures=(signature,))


def _as_tflite(source: Path, target: Path) -> Path:
    file = target.with_suffix(".tflite")
    write(plain(read(source)), file)
    return file


def _as_onnx(source: Path, target: Path) -> Path:
    file = target.with_suffix(".onnx")
    file.write_bytes(export(plain(read(source))))
    return file


PEERS = (
    Peer(
        "litert-quantizer", ("litert-quantizer==0.11.0",), "with_litert_quantizer.py", _as_tflite, ".tflite",
        ("min-max", "mse", "octav"),
    ),
    Peer(
        "nncf", ("nncf==3.4.0", "openvino==2026.4.1"), "with_nncf.py", _as_tflite, ".xml",
        ("performance", "mixed", "mixed+accurate"), ("performance+transformer",),
    ),
    Peer(
        "onnxruntime", ("onnxruntime==1.32.0", "onnx==1.23.2", "sympy"), "with_onnxruntime.py", _as_onnx,
        ".onnx", ("minmax", "entropy", "percentile", "minmax+heavy"), ("dynamic",),
    ),
)  # fmt: skip


def environment(peer: Peer) -> Path:
    """Makes a peer's environment where it is not there yet. Returns: its Python."""
    folder = settings().cache / "peers" / peer.name
    python, done = folder / "bin" / "python", folder / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != list(peer.packages):
        print(f"making an environment of {', '.join(peer.packages)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *peer.packages], check=True)
        done.write_text(json.dumps(list(peer.packages)))
    return python


def quantize(peer: Peer, variant: str, source: Path, feeds: Path, target: Path) -> Path:
    """Lets a peer quantize a model.

    Args:
        source: the float ``.tflite``.
        feeds: calibration feeds as ``save_feeds`` writes them.
        target: where the model goes, without a suffix.

    Returns: the model's file.

    Raises:
        PeerFailed: the tool made none.
        SanderlingError: the model cannot be written in the tool's format.
    """
    python = environment(peer)
    given = peer.prepare(source, target.with_name(f"{target.name}-float"))
    out = Path(f"{target}{peer.suffix}")
    program = _PROGRAMS / peer.program
    try:
        done = subprocess.run(
            [str(python), str(program), str(given), str(feeds), str(out), variant],
            capture_output=True, text=True, check=False, timeout=TIME_LIMIT, cwd=target.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"not done in {TIME_LIMIT:.0f} s") from None
    if done.returncode or not out.exists():
        raise PeerFailed(_reason(done))
    return out


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if not lines:
        return f"it ended with exit code {done.returncode}"
    return lines[-1][:_LONGEST_REASON]


def size_bytes(file: Path) -> int:
    """Returns: bytes of a model, OpenVINO's weights beside it included."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if file.suffix == ".xml" else 0)
