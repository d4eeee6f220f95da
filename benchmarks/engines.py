"""Every engine on ten zoo models, in float and in int8: makes docs/engines.md.

    python benchmarks/engines.py -o OUT [--engine LIST] [--docs docs/engines.md]

Each model is timed on all engines by turns, on one thread, and the trust gate compares every answer with
LiteRT's. The int8 files are made here and calibrated on noise, so they say how fast int8 is and nothing about
its accuracy. What was measured is kept in OUT: the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sanderling import files
from sanderling.cli.show_suite import show_suite
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.engines import registry
from sanderling.errors import SanderlingError
from sanderling.measure.bench import Wanted
from sanderling.measure.suite import run_suite
from sanderling.report.suite_markdown import markdown
from sanderling.report.write_bench import write_suite
from sanderling.runtime.loading import read_model
from sanderling.samples.load import load_samples
from sanderling.verbs.find import find_zoo_model

MODELS = (
    "digits", "keyword_on_off", "face_detection_short_range", "face_landmark", "hand_landmark_lite",
    "iris_landmark", "selfie_segmentation", "palm_detection_lite", "pose_detection", "efficientnet_lite0",
)  # fmt: skip
INT8 = Recipe("int8", (Step("static_int8", {"calibration": "minmax"}),))
CALIBRATED_ON = 16
# Their kernels are not made to be fast, and a row each would only say so.
LEFT_OUT = ("reference", "litert:builtin", "litert:reference")
SECONDS = 3.0  # for one model on all engines
WANTED = Wanted(start=0, steady=False, slowest=1.0)


def engines() -> list[str]:
    """Returns: every way to run models here, slow ones included."""
    return ["litert", *(str(v) for v in registry.every_variant() if str(v) not in (*LEFT_OUT, "litert"))]


def pairs(names: Sequence[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields each model's name and file, in float and in int8; those that cannot be had are told."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            model = find_zoo_model(name)
            yield f"{name} f32", model
            yield f"{name} int8", _int8(name, model, folder)
        except SanderlingError as error:
            print(f"{name}: {error}", file=sys.stderr)


def _int8(name: str, model: Path, folder: Path) -> Path:
    target = folder / f"{name}_int8.tflite"
    if not target.exists():
        samples = load_samples(None, read_model(model), limit=CALIBRATED_ON, count_synthetic=CALIBRATED_ON)
        feeds = [samples[position] for position in range(len(samples))]
        apply(INT8, model, target, calibration=save_feeds(feeds, folder / f"{name}-feeds"))
    return target


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where figures are kept")
    parser.add_argument("--engine", help="engines, with commas; default: all of them")
    parser.add_argument("--model", action="append", help="a zoo model; may be repeated; default: ten of them")
    parser.add_argument("--docs", type=Path, help="also write the table there, for example docs/engines.md")
    given = parser.parse_args()
    models = dict(pairs(given.model or MODELS, given.output / "int8"))
    suite = run_suite(
        models, given.output, engines=given.engine.split(",") if given.engine else engines(), seconds=SECONDS,
        wanted=WANTED, tell=_Lines(),
    )  # fmt: skip
    write_suite(suite, given.output)
    if given.docs is not None:
        files.write_text(given.docs, markdown(suite, "Every engine on ten models"))
    show_suite(suite)
    return 0


class _Lines:
    """Prints what is done, a line whenever that is something else."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._last:
            print(f"{done:4d}/{total} s  {what}", file=sys.stderr)
        self._last = what


if __name__ == "__main__":
    sys.exit(main())
