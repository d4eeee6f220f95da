"""What compression gives back, beside stock tools on the same samples: makes docs/recovery.md.

    python -m benchmarks.recovery [--subject NAME] [--only TEXT] [--limit N] [--again] [--render]

Every entry (a model, a way to compress it, a seed) is made, judged and timed in a process of its own and kept
as a file of benchmarks/results/recovery/; the same command goes on where it stopped. Models and data that no
package has are looked for in the folder that SANDERLING_ZOO names, or shared/zoo beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.recovery.entry import Entry, entries, perform
from benchmarks.recovery.material import Sources
from benchmarks.recovery.table import render
from sanderling import files
from sanderling.settings import settings

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "recovery"
PAGE = ROOT / "docs" / "recovery.md"
TIME_LIMIT = 7200


def main() -> int:
    """Runs what is not done, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--subject", action="append", default=[], help="a model; may be repeated")
    parser.add_argument("--only", action="append", default=[], help="entries whose file's name holds this")
    parser.add_argument("--limit", type=int, help="stop after so many entries")
    parser.add_argument("--again", action="store_true", help="also entries that are done")
    parser.add_argument("--unsteady", action="store_true", help="also entries timed on a busy machine")
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--perform", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.perform:
        return _perform(Entry(**json.loads(given.perform)))
    wanted = [] if given.render else entries(given.subject)
    if given.only:
        wanted = [entry for entry in wanted if any(text in entry.file for text in given.only)]
    missing = [
        entry
        for entry in wanted
        if given.again or not entry.is_done(RESULTS) or (given.unsteady and entry.is_unsteady(RESULTS))
    ]
    for number, entry in enumerate(missing[: given.limit], 1):
        print(
            f"{number}/{len(missing)} {entry.subject}: {entry.tool}, {entry.variant}, {entry.seed}",
            file=sys.stderr,
        )
        _apart(entry)
    files.write_text(PAGE, render(PAGE.read_text(), RESULTS))
    return 0


def _apart(entry: Entry) -> None:
    """Performs an entry in a process of its own: whatever an engine does to it is a result, too."""
    asked = json.dumps({name: getattr(entry, name) for name in ("subject", "tool", "variant", "seed")})
    command = [sys.executable, "-m", "benchmarks.recovery", "--perform", asked]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=TIME_LIMIT)
    if done.returncode:
        print(f"  the process ended with {done.returncode}; nothing is kept", file=sys.stderr)


def _perform(entry: Entry) -> int:
    folder = Path(os.environ.get("SANDERLING_ZOO", ROOT.parent / "shared" / "zoo"))
    work = settings().cache / "recovery"
    sources = Sources(folder.parent / "data", work)
    result = perform(entry, folder / "tflite", sources)
    path = RESULTS / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(result, indent=2) + "\n")
    drop = result.get("figures", {}).get("drop")
    print(
        f"  {result['status']}",
        result.get("reason", ""),
        "" if drop is None else f"drop {drop:.4f}, {result['speedup']:.2f}x, {result['size_bytes']} bytes",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
