"""The examples that train on data of their own making, in a small setting."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed(script: str, folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "", "HOME": str(folder)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.timeout(300)
def test_recommender_knows_pairs_that_it_has_not_seen(tmp_path: Path) -> None:
    told = printed("recommender.py", tmp_path, "--users", "120", "--items", "80", "--epochs", "10")
    share = re.search(r"right on ([\d.]+)% of 1000 pairs", told)
    assert share is not None
    assert float(share[1]) > 65  # tossing a coin gives 50
    assert (tmp_path / "recommender.tflite").is_file()


@pytest.mark.timeout(300)
def test_keyword_spotting_hears_what_was_said(tmp_path: Path) -> None:
    told = printed("keyword_spotting.py", tmp_path, "--clips", "400", "--epochs", "10")
    share = re.search(r"right on ([\d.]+)% of 200", told)
    assert share is not None
    assert float(share[1]) > 85
    heard = re.findall(r"^([\d.]+)–([\d.]+) s (\w+) ", told, re.MULTILINE)
    # Words begin at 0.4, 1.6, 2.8 … seconds and last about half a second.
    for i, word in enumerate(("rise", "flutter", "fall", "bend", "rise")):
        middle = 0.4 + 1.2 * i + 0.25
        assert any(w == word and float(a) <= middle <= float(b) for a, b, w in heard), (word, told)
    assert (tmp_path / "keywords" / "recording.png").is_file()
