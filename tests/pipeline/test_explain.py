"""What an answer rests on: a disc decides, and the map has to find it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.errors import UsageError
from tests.pipeline.nets import disc, red_mask, red_or_not, weighed_sum


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("box", [(20, 20, 70, 70), (90, 60, 140, 110)])
def test_a_class_rests_on_the_disc(tmp_path: Path, box: tuple[int, int, int, int], resize: str) -> None:
    image = disc((160, 120), box)
    task = f"classify:mean=0,std=255,resize={resize}"
    (answered,) = sd.run(red_or_not(tmp_path), image, task=task, explain=True)
    heat = answered.heat
    assert heat is not None
    assert heat.shape == (120, 160)
    assert heat.max() == pytest.approx(1)
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    assert box[0] - 8 <= x <= box[2] + 8
    assert box[1] - 8 <= y <= box[3] + 8
    inside = np.zeros(heat.shape, bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    assert heat[inside].mean() > 5 * heat[~inside].mean()
    assert "rests most on what is around (" in answered.text
    drawn = answered.drawn()
    assert drawn is not None
    assert drawn.size == image.size


def test_a_mask_rests_on_the_disc(tmp_path: Path) -> None:
    image = disc((160, 120), (100, 70, 140, 110))
    task = "segment:scores=probability,mean=0,std=255"
    (answered,) = sd.run(red_mask(tmp_path), image, task=task, explain=True)
    assert answered.heat is not None
    assert answered.heat[70:110, 100:140].mean() > 10 * answered.heat[:60, :80].mean()


def test_what_cannot_be_explained_is_one_sentence(tmp_path: Path) -> None:
    arrays = {"a": np.ones((1, 3)), "b": np.ones((1, 3))}
    with pytest.raises(UsageError, match="only answers about pictures can be explained"):
        list(sd.run(weighed_sum(tmp_path), arrays, explain=True))
