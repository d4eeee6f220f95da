"""What others print stays off the terminal, and what we print does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
SCRIPT = """
import logging, os, sys, threading, warnings
from sanderling.convert.quiet import quiet
handler = None
with quiet() as said:
    os.system("echo loud; echo louder >&2")
    os.write(2, b"from C\\n")
    warnings.warn("careful")
    logging.warning("watch out")
    handler = logging.StreamHandler()  # a library that keeps the stream
    print("from Python")
    ours = threading.Thread(target=lambda: (print("ours"), print("progress", file=sys.stderr)))
    ours.start()
    ours.join()
    said.seek(0)
    heard = said.read()
assert heard == b"loud\\nlouder\\nfrom C\\nfrom Python\\n", heard
logging.getLogger().addHandler(handler)
logging.getLogger().warning("later")
print("after")
"""


def test_only_our_own_words_are_seen() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == "ours\nafter\n"
    assert "progress\n" in done.stderr
    assert "later" in done.stderr
    assert not {"careful", "watch", "louder", "from C"} & set(done.stderr.split())
