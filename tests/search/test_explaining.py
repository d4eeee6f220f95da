"""A search asks once why int8 loses accuracy, with a share of its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sanderling.compress.recipe import Recipe, Step
from sanderling.search.clock import Clock
from sanderling.search.explaining import LEAST_SECONDS, MOST_SECONDS, SHARE_OF_TIME, explained
from sanderling.search.trial import Trial

REWRITTEN = Recipe("r", (Step("rewrite"), Step("static_int8")))


@dataclass
class Memory:
    values: dict[str, Any] = field(default_factory=dict)

    def recall(self, key: str) -> Any:
        return self.values.get(key)

    def remember(self, key: str, value: Any) -> None:
        self.values[key] = value


@dataclass
class Shop:
    clock: Clock
    asked: list[dict[str, Any]] = field(default_factory=list)

    def make(self, subject: Any, recipe: Recipe) -> tuple[Path, None]:
        return Path("/" + "+".join(step.technique for step in recipe.steps)), None

    def calibration(self, subject: Any) -> Path:
        return Path("/feeds")

    def call(self, function: str, *, on_progress: Any, **given: Any) -> dict[str, Any]:
        on_progress([1, 2])
        self.asked.append(given)
        return {"culprits": []}


def trial(recipe: Recipe) -> Trial:
    return Trial("id", "static int8", "net", recipe, "litert", 1)


@pytest.mark.parametrize("seconds, given", [(100.0, 100 * SHARE_OF_TIME), (None, MOST_SECONDS)])
def test_it_takes_its_share_of_the_time_once(seconds: float | None, given: float) -> None:
    shop, memory, told = Shop(Clock(seconds)), Memory(), []
    ask: Any = explained
    found = [
        ask(shop, memory, None, trial(REWRITTEN), lambda done, total: told.append((done, total)))
        for _ in range(2)
    ]
    assert found == [{"culprits": []}] * 2
    (asked,) = shop.asked
    assert asked["seconds"] == pytest.approx(given, rel=0.05)
    assert (asked["source"], asked["quantized"]) == ("/rewrite", "/rewrite+static_int8")
    assert told == [(1, 2)]


def test_without_time_it_is_left_out() -> None:
    shop = Shop(Clock(0.9 * LEAST_SECONDS / SHARE_OF_TIME))
    ask: Any = explained
    assert ask(shop, Memory(), None, trial(REWRITTEN)) is None
    assert shop.asked == []
