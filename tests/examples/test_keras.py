"""The worked examples, in a small setting."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(script: str, *arguments: str, folder: Path) -> str:
    """Runs an example in a folder of its own. Returns: what it printed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *arguments],
        capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_digits_in_keras(tmp_path: Path) -> None:
    told = printed("digits_keras.py", "--epochs", "3", "--seconds", "5", folder=tmp_path)
    assert "matches its source on 64 samples" in told
    assert re.search(r"CPU: \d \(sure by \d+%\); it is \d", told)
    assert (tmp_path / "digits-keras" / "digits.tflite").is_file()


def test_the_classic_converter(tmp_path: Path) -> None:
    told = printed("classic_converter.py", "--epochs", "4", folder=tmp_path)
    shares = [int(share) for share in re.findall(r"(\d+)% right", told)]
    sizes = [int(size) for size in re.findall(r"(\d+) bytes", told)]
    assert len(shares) == 4
    assert max(shares) - min(shares) <= 5
    assert shares[0] > 40  # ten would be chance
    assert sizes[0] > sizes[2] > sizes[1]


def test_the_classic_mobilenet_v2(tmp_path: Path) -> None:
    told = printed("classic_mobilenet_v2.py", "--size", "64", folder=tmp_path)
    errors = [float(error) for error in re.findall(r"error (\S+) of", told)]
    sizes = [int(size.replace(",", "")) for size in re.findall(r"([\d,]+) bytes", told)]
    assert len(errors) == len(sizes) == 3
    assert errors[0] < 1e-5
    assert max(errors) < 0.1
    assert sizes[0] > 3 * sizes[2]
