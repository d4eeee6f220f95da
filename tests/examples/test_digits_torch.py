"""The example in PyTorch runs from top to bottom and reads its digit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_digits_in_pytorch(tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "digits_torch.py")
    done = subprocess.run(
        [sys.executable, script, "--epochs", "5", "--seconds", "8", "--output", str(tmp_path)],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    right = re.search(r"PyTorch: (\d+)% of 100 digits", done.stdout)
    assert right is not None
    assert int(right[1]) >= 70
    assert "matches its source on 64 samples" in done.stdout
    cpu = re.search(r"CPU: (\d) .* it is (\d)", done.stdout)
    assert cpu is not None
    assert cpu[1] == cpu[2]
    assert "GPU: " in done.stdout
    assert (tmp_path / "optimized" / "report.html").is_file()
