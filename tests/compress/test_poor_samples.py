"""Samples that are few, all the same, broken or show nothing, and a full disk: a sentence, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling as sd
from sanderling import tflite, zoo
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.registry import techniques
from sanderling.errors import SampleError, SanderlingError
from sanderling.search.events import Note
from tests.models import Net, save

# Enough to go through every part of a technique.
SHORT: dict[str, dict[str, Any]] = {"recover": {"steps": 2, "batch": 4}}
OPTIONAL = {"static_int8": [{"rounding": "learned", "steps": 2}, {"calibration": "entropy"}]}
CASES = [(name, SHORT.get(name, {})) for name in sorted(techniques())]
CASES += [(name, settings) for name, several in OPTIONAL.items() for settings in several]
POOR = ("three", "one", "identical", "zeros", "nan", "infinite", "huge")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier: [1,8,8,3] → [1,4]."""
    made = Net((1, 8, 8, 3)).conv(8).depthwise().conv(16)
    made.op(
        "MEAN",
        (1, 16),
        (made.constant(np.array([1, 2], np.int32), "axes"),),
        "ReducerOptions",
        keep_dims=False,
    )
    weights = made.rng.standard_normal((4, 16)).astype(np.float32)
    made.op(
        "FULLY_CONNECTED", (1, 4), (made.constant(weights, "w"), -1), "FullyConnectedOptions",
        fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=False,
        asymmetric_quantize_inputs=False,
    )  # fmt: skip
    return save(made.model(), tmp_path_factory.mktemp("net") / "net.tflite")


def _poor(kind: str) -> list[np.ndarray]:
    good = np.random.default_rng(0).random((16, 1, 8, 8, 3), np.float32)
    if kind == "nan":
        good[15] = np.nan
    if kind == "infinite":
        good[15, 0, 2, 2] = np.inf
    if kind == "huge":
        good *= np.float32(1e38)
    chosen = {"three": good[:3], "one": good[:1], "identical": np.repeat(good[:1], 16, 0)}
    return list(np.zeros_like(good) if kind == "zeros" else chosen.get(kind, good))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("kind", POOR)
@pytest.mark.parametrize("technique, settings", CASES)
def test_a_technique_makes_a_model_that_runs_or_says_why_not(
    technique: str, settings: dict[str, Any], kind: str, net: Path, tmp_path: Path
) -> None:
    name = tflite.read(net).input_names()[0]
    feeds = save_feeds([{name: value} for value in _poor(kind)], tmp_path / "feeds.npz")
    out = tmp_path / "out.tflite"
    refusal = ""
    try:
        apply(Recipe(technique, (Step(technique, settings),)), net, out, calibration=feeds)
    except SanderlingError as error:
        refusal = str(error)
    assert bool(refusal) != out.exists()
    assert "\n" not in refusal
    if refusal:
        return
    answer = sd.Session(out, engine="litert")(_poor("three")[0])
    assert np.isfinite(answer).all()


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    folder = Path(zoo.__file__).parent / "digits"
    with np.load(folder / "samples.npz", allow_pickle=False) as archive:
        return archive["images"][:40, ..., None].astype(np.float32) / 255


def _notes(samples: np.ndarray, folder: Path, model: str | Path = "digits") -> list[str]:
    """Searches for a moment. Returns: what was said aloud."""
    said: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Note) and event.loud:
            said.append(event.text)

    sd.optimize(model, samples, output=folder, seconds=2, listen=listen)
    assert (folder / "report.json").exists()
    return said


def test_three_samples_are_said_to_be_few(digits: np.ndarray, tmp_path: Path) -> None:
    assert any("only 3 samples: too few to split" in text for text in _notes(digits[:3], tmp_path))


def test_identical_samples_are_said_to_show_little(digits: np.ndarray, tmp_path: Path) -> None:
    said = _notes(np.repeat(digits[:1], 40, axis=0), tmp_path)
    assert any("samples are identical" in text for text in said)


def test_different_samples_are_not_complained_about(digits: np.ndarray, tmp_path: Path) -> None:
    assert not any("identical" in text or "same answer" in text for text in _notes(digits, tmp_path))


def test_a_model_that_always_answers_the_same_is_said_to_show_nothing(tmp_path: Path) -> None:
    made = Net((1, 8, 8, 3)).conv(4)
    made.op("MUL", (1, 8, 8, 4), (made.constant(np.zeros(4, np.float32), "zero"),), "MulOptions",
            fused_activation_function="NONE")  # fmt: skip
    model = save(made.model(), tmp_path / "dead.tflite")
    samples = np.random.default_rng(0).random((40, 8, 8, 3), np.float32)
    said = _notes(samples, tmp_path / "out", model)
    assert any("gives the same answer to the first" in text for text in said)


def test_a_broken_sample_is_named_before_time_is_spent(digits: np.ndarray, tmp_path: Path) -> None:
    digits = digits.copy()
    digits[33] = np.nan
    with pytest.raises(SampleError, match=r"1 of 40 rows .* the first is row 33"):
        sd.optimize("digits", digits, output=tmp_path, seconds=60)


# RLIMIT_FSIZE stops a file that grows, as a full disk would.
_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from sanderling.cli import main
sys.argv = ["sanderling", "optimize", "digits", "--time", "3s", "-o", sys.argv[1]]
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "best.tflite").write_bytes(b"an earlier result")
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert (tmp_path / "best.tflite").read_bytes() == b"an earlier result"
