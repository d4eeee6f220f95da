"""Which samples a bundle's examples are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sanderling.deploy.examples import examples_of
from sanderling.runtime.loading import read_model
from sanderling.tflite import write
from sanderling.verbs.answering import make_pipeline
from tests.models import Net


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls a pixel foreground where it is bright."""
    net = Net((1, 16, 16, 3))
    half = net.constant(np.full(1, 0.5, np.float32), "half")
    net.op("SUB", (1, 16, 16, 3), (half,), "SubOptions", fused_activation_function="NONE")
    file = tmp_path_factory.mktemp("cutter") / "cutter.tflite"
    write(net.model(), file)
    return file


def chosen(cutter: Path, folder: Path, bright: set[int], of: int, count: int) -> list[str]:
    folder.mkdir()
    for number in range(of):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:8] = 255 * (number in bright)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    pipeline = make_pipeline(cutter, engine="litert", task="segment:scores=logit", mean=0, std=255)
    found = examples_of(pipeline, cutter, read_model(cutter), str(folder), count)
    pipeline.close()
    return [example.name for example in found]


def test_those_go_first_in_which_there_is_something_to_see(cutter: Path, tmp_path: Path) -> None:
    assert chosen(cutter, tmp_path / "a", {3, 5}, 8, 3) == ["03.png", "05.png", "00.png"]


def test_where_nothing_is_seen_the_first_are_taken(cutter: Path, tmp_path: Path) -> None:
    assert chosen(cutter, tmp_path / "b", set(), 5, 3) == ["00.png", "01.png", "02.png"]


def test_it_does_not_look_for_ever(cutter: Path, tmp_path: Path) -> None:
    assert chosen(cutter, tmp_path / "c", {29}, 30, 2) == ["00.png", "01.png"]
