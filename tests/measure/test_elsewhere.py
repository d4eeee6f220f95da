"""Results of other machines: read, refused in a sentence, and shown beside what is measured here."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import UsageError
from sanderling.measure.elsewhere import read_results

PHONE: dict[str, Any] = {
    "sanderling_bench": 1,
    "model": "digits",
    "sha256": "ab" * 32,
    "engine": "webgpu",
    "device": {
        "vendor": "qualcomm",
        "architecture": "adreno-7xx",
        "device": "",
        "fallback": False,
        "user_agent": "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
    },
    "precision": "float16",
    "p50_ms": 1.25,
    "p90_ms": 2,
    "runs": 200,
    "others": [{"precision": "float32", "p50_ms": 2.5, "p90_ms": 3.0, "runs": 199}],
    "correct": True,
    "date": "2026-11-28T18:28:09.123Z",
}
BOARD = {
    **{name: value for name, value in PHONE.items() if name not in ("others", "correct")},
    "engine": "litert",
    "device": {"name": "Raspberry Pi 5 Model B Rev 1.0", "system": "Linux aarch64", "cores": 4},
    "precision": "float32",
    "threads": 4,
    "p50_ms": 0.5,
}


def save(folder: Path, content: Any, name: str = "result.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_page_tells_of_every_precision(tmp_path: Path) -> None:
    half, single = read_results(save(tmp_path, PHONE))
    assert (half.precision, half.p50_ms, half.p90_ms, half.runs) == ("float16", 1.25, 2.0, 200)
    assert (single.precision, single.p50_ms, single.runs) == ("float32", 2.5, 199)
    assert half.device == single.device == "qualcomm adreno-7xx, Chrome 131 on Android"
    assert half.correct is True
    assert half.threads is None


def test_a_board_says_its_name_and_a_list_is_taken_too(tmp_path: Path) -> None:
    rows = read_results(save(tmp_path, [BOARD, PHONE]))
    assert [row.engine for row in rows] == ["litert", "webgpu", "webgpu"]
    assert rows[0].device == "Raspberry Pi 5 Model B Rev 1.0"
    assert rows[0].threads == 4
    (named,) = read_results(save(tmp_path, BOARD | {"device": "a box"}))
    assert named.device == "a box"
    (unnamed,) = read_results(save(tmp_path, BOARD | {"device": {}}))
    assert unnamed.device == "not told"
    assert read_results(save(tmp_path, "\ufeff" + json.dumps(BOARD)))  # as Windows' editor saves it


WRONG: list[tuple[Any, str]] = [
    ("", "is not JSON"),
    ("[" * 200_000, "is not JSON"),
    ('{"a":' * 5000 + "1" + "}" * 5000, "is not JSON|is no result"),
    (json.dumps(PHONE).replace("1.25", "NaN"), "is not JSON"),
    (json.dumps(PHONE).replace("1.25", "9" * 5000), "is not JSON"),
    (json.dumps(PHONE).replace("1.25", "1e999"), "'p50_ms' is no time"),
    (json.dumps(PHONE) + " " * (1 << 20), "is larger than 1 MB"),
    ([], "holds 0 results, expected 1 to 100"),
    ([BOARD] * 101, "holds 101 results"),
    ("null", "is no result of a bundle's benchmark"),
    ([[BOARD]], "is no result of a bundle's benchmark"),
    ({"ok": True, "rows": []}, "is no result of a bundle's benchmark"),
    (PHONE | {"sanderling_bench": 2}, "is a result of version 2, expected 1"),
    (PHONE | {"sanderling_bench": True}, "version True"),
    (PHONE | {"sanderling_bench": "1"}, "version something else"),
    (PHONE | {"model": 5}, "'model' is no text"),
    (PHONE | {"model": "x" * 121}, "'model' is no text of at most 120 characters"),
    (PHONE | {"engine": " "}, "'engine' is no text"),
    (PHONE | {"sha256": "AB" * 32}, "'sha256' is no SHA-256"),
    (PHONE | {"sha256": None}, "'sha256' is no text"),
    (PHONE | {"p50_ms": "1"}, "'p50_ms' is no time"),
    (PHONE | {"p50_ms": True}, "'p50_ms' is no time"),
    (PHONE | {"p50_ms": 0}, "'p50_ms' is no time"),
    (PHONE | {"p50_ms": -1}, "'p50_ms' is no time"),
    (PHONE | {"p50_ms": 1e9, "p90_ms": 1e9}, "'p50_ms' is no time"),
    (PHONE | {"p50_ms": 10**400}, "'p50_ms' is no time"),
    (PHONE | {"p90_ms": 1}, "'p90_ms' is less than 'p50_ms'"),
    (PHONE | {"runs": 1.5}, "'runs' is no number"),
    (PHONE | {"runs": 0}, "'runs' is no number"),
    (PHONE | {"runs": 10**10}, "'runs' is no number"),
    (PHONE | {"threads": "4"}, "'threads' is no number"),
    (PHONE | {"date": "yesterday"}, "'date' is no date"),
    (PHONE | {"date": 5}, "'date' is no text"),
    (PHONE | {"device": None}, "'device' is no object"),
    (PHONE | {"device": [1]}, "'device' is no object"),
    (PHONE | {"device": {str(i): i for i in range(41)}}, "'device' is no object"),
    (PHONE | {"device": {"a": {"b": 1}}}, "'device' holds something else"),
    (PHONE | {"device": {"a": "x" * 1001}}, "'device' holds something else"),
    (PHONE | {"device": {"a": 10**400}}, "'device' holds something else"),
    (PHONE | {"others": {}}, "'others' is no list"),
    (PHONE | {"others": [{}] * 17}, "'others' is no list of at most 16"),
    (PHONE | {"others": [1]}, "'others' holds something else than objects"),
    (PHONE | {"others": [{}]}, "is no time"),
]


@pytest.mark.parametrize("content, words", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_no_result_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, words: str
) -> None:
    assert main(["bench", "--from", str(save(tmp_path, content))]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search(words, line), line
    assert len(line) < 400


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(json.dumps(BOARD).encode().replace(b"Pi 5", b"Pi \xff"))
    for name, words in (
        ("none", "no such file"), ("", "no such file"), ("pipe", "no such file"), ("latin", "not JSON")
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            read_results(tmp_path / name)
    with pytest.raises(UsageError, match="no such file"):
        read_results("/dev/zero")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    changes=st.dictionaries(st.sampled_from(sorted(PHONE)), json_values, min_size=1, max_size=3),
    left_out=st.sets(st.sampled_from(sorted(PHONE)), max_size=1),
)
def test_whatever_stands_in_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], left_out: set[str]
) -> None:
    found = {name: value for name, value in (PHONE | changes).items() if name not in left_out}
    path = save(tmp_path_factory.getbasetemp(), found, "drawn.json")
    try:
        rows = read_results(path)
    except UsageError:
        return
    for row in rows:
        assert 0 < row.p50_ms <= row.p90_ms
        json.dumps(row.to_json(), allow_nan=False)


def test_they_stand_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, board = save(tmp_path, PHONE), save(tmp_path, BOARD, "board.json")
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["bench", "--from", str(board), "--from", str(phone)]) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if line.startswith("digits")]
    assert "Raspberry Pi 5" in lines[0]
    assert [re.search(r"[\d.]+×", line)[0] for line in lines] == ["1.00×", "0.40×", "0.20×"]  # type: ignore[index]
    assert printed.err == ""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["bench", "--from", str(board), "--from", str(phone)]) == 0
    narrow = capsys.readouterr().out.splitlines()
    assert max(map(len, narrow)) <= 80
    assert [line.split()[0] for line in narrow if "×" in line] == ["digits"] * 3
    assert main(["bench", "--from", str(board), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["elsewhere"]
    assert row["p50_ms"] == 0.5
    assert row["facts"]["cores"] == 4


def test_they_stand_beside_what_is_measured_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    digest = hashlib.sha256((zoo.model_path("digits") or Path()).read_bytes()).hexdigest()
    same, other = save(tmp_path, BOARD | {"sha256": digest}), save(tmp_path, PHONE, "other.json")
    arguments = ["bench", "digits", "--seconds", "100ms", "--from", str(same), "--from", str(other)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    table = printed.out[printed.out.index("device") :].splitlines()
    assert "this machine" in table[2]
    assert "Raspberry Pi 5" in table[3]
    assert "other.json: digits is another file than what was measured here" in " ".join(printed.err.split())
    assert str(same) not in printed.err
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["rows"]) == 1
    assert len(told["elsewhere"]) == 3


def test_wrong_answers_and_odd_letters_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = {"name": "\x1b[31mred\x1b]0;title\x07\nx\u202e"}
    path = save(tmp_path, PHONE | {"correct": False, "device": device, "model": "m\x1b[2J", "others": []})
    assert main(["bench", "--from", str(path)]) == 0
    printed = capsys.readouterr()
    assert "webgpu float16 !" in printed.out
    assert "the answers there were not those of the model" in " ".join(printed.err.split())
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", printed.out + printed.err)
    assert main(["bench", "--from", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["elsewhere"][0]["model"] == "m\x1b[2J"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--all", "zoo"], "--from: does not go with --all"),
        (["-o", "out"], "--output: writes what is measured here"),
    ],
)
def test_what_does_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["bench", "--from", str(save(tmp_path, PHONE)), *arguments]) == 2
    assert words in capsys.readouterr().err
