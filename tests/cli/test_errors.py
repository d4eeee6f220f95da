"""What a user reads when something is wrong, and how the process ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanderling.cli import main
from sanderling.cli.failure import Interrupted, parts
from sanderling.errors import FormatError, UsageError

WRONG_USAGE = [
    ("analyze", "missing argument 'MODEL'"),
    ("anlyze digits", "did you mean 'analyze'?"),
    ("analyze digits --tpo 3", "there is no option --tpo; did you mean --top?"),
    ("analyze digits --top 0", "--top: expected at least 1"),
    ("optimize digits --max-drop 5", "--max-drop: got '5', which could mean 5% or 500%"),
    ("optimize digits --max-latency 5", "--max-latency: got '5', which has no unit"),
    (
        "optimize digits --max-size 1QB",
        "--max-size: got '1QB', expected a size; for example --max-size 1.5MB",
    ),
    ("optimize digits --min-throughput 5ms", "--min-throughput: got '5ms', expected a rate"),
    ("optimize digits --time 0", "--time: got '0', expected more than 0; for example --time 10m"),
    ("optimize digits --threads 0", "--threads: got 0, expected at least 1"),
    ("optimize digits --seed -1", "--seed: got -1, expected 0 or more"),
    ("optimize digits --zigzag", "there is no option --zigzag; see: sanderling optimize --help"),
    ("optimize digits --time soon", "--time: got 'soon', expected a time"),
    (
        "optimize digits --target hexagon --io float",
        "--io: got float, and a Snapdragon's NPU takes and gives integers; leave it out",
    ),
    (
        "optimize digits --oldest-runtime new",
        "--oldest-runtime: 'new' is no release; for example 2.14 (TensorFlow Lite) or litert-1.2 (LiteRT)",
    ),
    (
        "optimize digits --target microcontroller --io float",
        "--io: got float, and a microcontroller takes and gives integers; leave it out",
    ),
    ("optimize digits --target andriod", "--target: there is no 'andriod'; did you mean 'android'?"),
    ("optimize digits --device telnet:1", "there is no device 'telnet:1'"),
    ("optimize digits --cluster local", "--cluster: 'local' is no cluster's address"),
    (
        "optimize digits --cluster 127.0.0.1:9 --device ssh://pi@board",
        "--cluster: a cluster is of no use here: candidates run on its nodes, or on ssh://pi@board",
    ),
    (
        "optimize digits --cluster auto --target microcontroller",
        "--cluster: a cluster is of no use here: nothing is timed for microcontroller that nodes could do",
    ),
    (
        "optimize digits --study mysql://me:secret@host/trials",
        "--study: that is no database for a study: 'mysql' is not postgresql; write it like postgresql://",
    ),
    ("optimize digits --study postgresql://host", "--study: that is no database for a study: it names no"),
    ("optimize digits --study trials.db", "--study: that is no database for a study: 'something without a"),
    ("optimize digits --minimize energie", "--minimize: there is no 'energie'; did you mean 'energy'?"),
    (
        "optimize digits --minimize speed",
        "--minimize: there is no 'speed'; choose one of: latency, size, memory, energy",
    ),
    ("optimize digits --io int4", "--io: there is no 'int4'; did you mean"),
    (
        "optimize digits --allow-ops CONV2D",
        "--allow-ops: there is no operator 'CONV2D'; did you mean CONV_2D?",
    ),
    ("optimize digits --without-pass fuse_pads", "there is no pass 'fuse_pads'; did you mean fuse_pad?"),
    ("optimize digits --resume --recipe best.json", "--recipe: "),
    ("optimize digits --threads none", "--threads: "),
    ("bench digits --engine litter", "--engine: there is no 'litter'; did you mean 'litert'?"),
    (
        "bench digits --engine litert:bf17",
        "--engine: engine litert has no variant 'bf17' here; choose one of",
    ),
    ("bench digits --sustained 5", "--sustained: got '5', which has no unit"),
    ("bench", "no model was given; give at least one, or --all zoo"),
    ("bench digits --all zoo", "MODEL: does not go with --all"),
    ("bench --all zoo --samples x", "--samples: does not go with --all"),
    ("bench --all /no/such/folder", "/no/such/folder: there is no such folder"),
    ("bench digits --threads 1,x", "--threads: got '1,x', expected a list of whole numbers"),
    ("bench digits --limit 0", "--limit: got 0, expected at least 1"),
    ("bench digits --mean red", "--mean: got 'red', expected a number"),
    ("diff digits digits --tolerance 3", "--tolerance: got '3', which could mean"),
]
FAILED = [
    ("analyze digts", "digts: there is no such file or zoo model; did you mean digits?"),
    ("analyze no/such/model.tflite", "the folder no/such does not exist either"),
    ("optimize digits --samples no-such-folder", "no-such-folder: there are no such samples"),
    ("check digits nowhere.tflite", "nowhere.tflite: there is no such file or zoo model"),
    ("bench digits --power-meter /no/such", "--power-meter: '/no/such' cannot be started (No such file"),
    ("optimize digits --recipe no-such.json", "no-such.json: cannot be read"),
]


@pytest.mark.parametrize("command, said", WRONG_USAGE, ids=[c for c, _ in WRONG_USAGE])
def test_wrong_usage_is_one_sentence_and_exit_2(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_sentence(command, said, 2, capsys)


@pytest.mark.parametrize("command, said", FAILED, ids=[c for c, _ in FAILED])
def test_what_fails_is_one_sentence_and_exit_1(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_sentence(command, said, 1, capsys)


def check_sentence(command: str, said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_with_json_the_error_is_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimize", "digits", "--max-latency", "5", "--json"]) == 2
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error == {
        "what": "got '5', which has no unit",
        "where": "--max-latency",
        "hint": "write 5ms, 5s or 5m",
    }
    assert err.startswith("error: --max-latency: ")


def test_a_folder_names_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.tflite").write_bytes(b"")
    assert main(["analyze", str(tmp_path)]) == 1
    assert f"did you mean {tmp_path / 'net.tflite'}?" in capsys.readouterr().err


def test_other_formats_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(b"onnx")
    assert main(["analyze", str(source)]) == 1
    assert "net.onnx" in capsys.readouterr().err


def test_a_file_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"certainly no model")
    assert main(["bench", str(bad)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {bad}: is not a .tflite model")


def test_debug_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDERLING_DEBUG", "1")
    assert main(["analyze", "digts"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "find_model" in err


def test_an_unexpected_exception_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(model: object) -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("sanderling.verbs.analyze", broken)
    assert main(["analyze", "digits"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: internal error: ZeroDivisionError: one; "
        "run again with SANDERLING_DEBUG=1 and report what it prints\n"
    )


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(model: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sanderling.verbs.analyze", interrupted)
    assert main(["analyze", "digits"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "evil\x1b[2J.tflite"]) == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, code",
    [
        (UsageError("x"), 2),
        (FormatError("x"), 1),
        (Interrupted("kept"), 130),
        (MemoryError(), 1),
        (PermissionError(13, "Permission denied", "file"), 1),
        (RuntimeError("x"), 1),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert parts(error)[3] == code


def test_a_system_error_is_put_into_words() -> None:
    assert parts(PermissionError(13, "Permission denied", "file"))[:2] == ("permission denied", "file")
