"""What each width of each group of channels takes, measured for real."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sanderling.compress.slimming.channels import trace
from sanderling.search.bench import Bench
from sanderling.search.clock import Clock
from sanderling.search.widths import measured_widths
from sanderling.search.workshop import Workshop
from tests.models import Net, save


class _Notes:
    """Remembers in memory what a study remembers on disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def remember(self, key: str, value: Any) -> None:
        self.kept[key] = value

    def recall(self, key: str) -> Any | None:
        return self.kept.get(key)


def test_widths_are_timed_once_and_remembered(tmp_path: Path) -> None:
    model = Net((1, 24, 24, 3)).conv(64).conv(64).conv(4).model()
    subject: Any = SimpleNamespace(path=save(model, tmp_path / "m.tflite"), hash="0" * 64, name="m")
    clock, study = Clock(20.0), _Notes()
    bench = Bench(clock)
    (tmp_path / "scratch").mkdir()
    workshop = Workshop(tmp_path / "made", tmp_path / "scratch", clock)
    told: list[tuple[int, int]] = []
    try:
        arguments: Any = (workshop, bench, study, subject, (), 1)
        table = measured_widths(*arguments, lambda done, total: told.append((done, total)))
        bench.close()
        assert measured_widths(*arguments) == table  # without an engine: it is known
        assert len(study.kept) == 1
        other: Any = (*arguments[:-1], 2)
        clock.seconds = 0.0
        assert measured_widths(*other) == {}  # there is no time
    finally:
        bench.close()
        workshop.close()
    assert told == [(0, 2), (1, 2)]
    assert set(table) == {group.name for group in trace(model.main).groups}
    for row in table.values():
        assert list(row) == ["64", "48", "24", "8"]
        assert 0 < row["8"] < row["64"]
    assert not list((tmp_path / "scratch").rglob("*.tflite"))
