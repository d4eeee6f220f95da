"""The command line as a process: streams, signals, pipes, exit codes; and a search from end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A test runner in the background hands down an ignored SIGINT.
HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
START = f"{HEED}; import sys; from sanderling.cli import main; sys.exit(main())"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", START, *arguments]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")} | more


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A short search on the bundled model: its folder, and what the process said."""
    folder = tmp_path_factory.mktemp("search") / "out"
    done = run("optimize", "digits", "--limit", "60", "--time", "8s", "-o", str(folder), "--json")
    return folder, done


def test_optimize_gives_one_json_document(
    searched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = searched
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["output"] == str(folder)
    assert report["best"] in [trial["id"] for trial in report["trials"]]
    assert report["samples"]["count"] == 60
    written = json.loads((folder / "report.json").read_text())
    assert written == {key: value for key, value in report.items() if key != "output"}
    for name in ("best.tflite", "best.json", "report.html", "study.db"):
        assert (folder / name).stat().st_size > 0


def test_what_was_optimized_passes_the_gate(
    searched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    done = run("check", "digits", str(searched[0] / "best.tflite"), "--limit", "100", "--max-drop", "20%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_a_search_without_a_winner_fails_and_still_reports(tmp_path: Path) -> None:
    done = run(
        "optimize",
        "digits",
        "--limit",
        "40",
        "--time",
        "6s",
        "--max-size",
        "1KB",
        "-o",
        str(tmp_path / "out"),
    )
    assert done.returncode == 1, done.stderr
    assert "fits the budget" in " ".join(done.stdout.split())
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "best.tflite").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_keep_what_was_measured(tmp_path: Path, number: int, code: int) -> None:
    folder = tmp_path / "out"
    process = subprocess.Popen(
        command("optimize", "digits", "--limit", "60", "--time", "2m", "-o", str(folder)),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("ok "):
            break
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)  # closes the pipes, too
    assert process.returncode == code
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("interrupted: ")
    assert f"kept in {folder}; run the same command with --resume to go on" in last
    assert "Traceback" not in err
    again = run("optimize", "digits", "--limit", "60", "--time", "8s", "-o", str(folder), "--resume")
    assert "known from the study" in again.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    arguments = command("analyze", "digits", "--json")
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_no_color_is_honoured_and_ascii_terminals_work() -> None:
    done = run("analyze", "digits", NO_COLOR="1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()


def test_the_module_is_the_command_with_its_exit_code() -> None:
    module = [sys.executable, "-m", "sanderling", "bench", "digits", "--limit", "0"]
    assert subprocess.run(module, env=environment(), capture_output=True, check=False).returncode == 2


def test_usage_errors_exit_with_2() -> None:
    done = run("optimize", "digits", "--max-latency", "fast")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --max-latency: got 'fast'")
