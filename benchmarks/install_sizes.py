"""What the core and each extra cost to install: seconds and megabytes, each in an environment of its own.

    python benchmarks/install_sizes.py [--extras keras,onnx] [--json FILE]

Run it twice: downloads count the first time, and come out of pip's cache the second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


def megabytes(folder: Path) -> float:
    """Returns: the size of all files below, each counted once."""
    return sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file()) / 1e6


def install(extra: str, folder: Path) -> dict[str, object]:
    """Installs the core with one extra into a new environment.

    Returns: seconds, megabytes in ``site-packages``, and the number of packages.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    packages = next(folder.glob("lib/python*/site-packages"))
    before = megabytes(packages)
    wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
    began = time.perf_counter()
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile",
         "--constraint", ROOT / "tools" / "constraints.txt", wanted],
        check=True, capture_output=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    count = len(list(packages.glob("*.dist-info")))
    return {
        "extra": extra or "(core)",
        "seconds": round(seconds, 1),
        "megabytes": round(megabytes(packages) - before),
        "packages": count,
    }


def table(rows: list[dict[str, object]]) -> str:
    """Returns: the rows as Markdown."""
    lines = ["| extra | MB | seconds | packages |", "|---|---:|---:|---:|"]
    return "\n".join(
        lines + [f"| {r['extra']} | {r['megabytes']:,} | {r['seconds']} | {r['packages']} |" for r in rows]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", default=",".join(["", *(e for e in EXTRAS if e != "dev")]))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for extra in given.extras.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(install(extra, Path(folder) / "env"))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
