"""ONNX files by our importer and by onnx2tf, run side by side in LiteRT with one thread.

onnx2tf lives in an environment of its own (it wants Python 3.12), given by its Python:

    python3.12 -m venv /tmp/o2tf && /tmp/o2tf/bin/pip install onnx2tf==2.6.9
    python benchmarks/onnx_conversion.py --onnx2tf /tmp/o2tf/bin/python net.onnx big.onnx:x=1,3,320,320

Sizes that a file leaves open are stated behind it. Files are timed interleaved, A B A B …; speed is ours over
theirs. What one of both cannot do is a row, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from converters import interleaved
from rich.console import Console
from rich.table import Table

import sanderling as sd


def by_onnx2tf(python: str, source: Path, shapes: dict[str, tuple[int, ...]], folder: Path) -> Path | str:
    """Returns: the float32 .tflite that onnx2tf makes, or why there is none."""
    fixed = [f"{name}:{','.join(map(str, sizes))}" for name, sizes in shapes.items()]
    done = subprocess.run(
        [str(Path(python).with_name("onnx2tf")), "-i", str(source), "-o", str(folder), "-n",
         *(["-ois", *fixed] if fixed else [])],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    made = sorted(folder.glob("*_float32.tflite"))
    return made[0] if made else f"onnx2tf made none (exit code {done.returncode})"


def compare(source: Path, shapes: dict[str, tuple[int, ...]], python: str, seconds: float) -> dict[str, Any]:
    """Converts a file in both ways and times the results."""
    row: dict[str, Any] = {"net": source.stem}
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "ours.tflite"
        made = sd.convert(source, ours, shape=shapes or None, strict=False)
        row |= {"error": made.proof.worst.relative, "ours_seconds": made.convert_seconds}
        if not made.ok:
            return row | {"why": made.proof.sentence()}
        theirs = by_onnx2tf(python, source, shapes, Path(folder) / "theirs")
        if isinstance(theirs, str):
            return row | {"why": theirs}
        try:
            our_ms, their_ms = interleaved([ours, theirs], seconds, channels_last(made))
        except (RuntimeError, ValueError) as error:
            return row | {"why": f"LiteRT: {str(error).splitlines()[0][:80]}"}
        return row | {"ours_ms": our_ms, "onnx2tf_ms": their_ms, "speed": their_ms / our_ms}


def channels_last(made: Any) -> tuple[int, ...]:
    """Returns: the first input's sizes as onnx2tf has them: of images with channels last."""
    shape = made.model.main.tensors[made.model.main.inputs[0]].shape
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def parsed(text: str) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Reads ``net.onnx:x=1,3,320,320``."""
    path, _, rest = text.partition(".onnx:")
    shapes = {}
    for each in filter(None, rest.split(":")):
        name, _, sizes = each.partition("=")
        shapes[name] = tuple(map(int, sizes.split(",")))
    return Path(f"{path}.onnx" if rest else text), shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--onnx2tf", required=True, help="Python of an environment with onnx2tf")
    parser.add_argument("--seconds", type=float, default=5.0, help="timing per net")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = Table("net", "ours ms", "onnx2tf ms", "speed", "error", "convert s", "")
    rows = []
    for file in given.files:
        row = compare(*parsed(file), given.onnx2tf, given.seconds)
        rows.append(row)
        figures = [f"{row[key]:.4g}" if key in row else "" for key in ("ours_ms", "onnx2tf_ms")]
        speed = f"{row['speed']:.2f}×" if "speed" in row else ""
        seconds = f"{row['ours_seconds']:.1f}"
        table.add_row(row["net"], *figures, speed, f"{row['error']:.0e}", seconds, row.get("why", ""))
    Console(width=130).print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
