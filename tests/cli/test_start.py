"""What it costs to start, and what is there without being loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sanderling
from sanderling.cli import main

ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "ai_edge_litert", "optuna", "PIL", "litert_quantizer", "jinja2", "scipy", "sqlalchemy"}


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_after("import sanderling") & (HEAVY | {"typer", "rich"})


def test_help_loads_nothing_heavy() -> None:
    code = "from sanderling.cli import main\nassert main(['--help']) == 0\nmain(['optimize', '--help'])"
    assert not loaded_after(code) & HEAVY


def test_every_public_name_is_there() -> None:
    for name in sanderling.__all__:
        assert getattr(sanderling, name) is not None
    assert set(sanderling.__all__) <= set(dir(sanderling))


def test_every_error_is_public() -> None:
    from sanderling import errors

    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert kinds <= set(sanderling.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'optimise'"):
        _ = sanderling.optimise  # type: ignore[attr-defined]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sanderling {sanderling.__version__}\n"


@pytest.mark.parametrize("command", ["optimize", "check", "analyze", "bench", "diff", "doctor", "zoo"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"sanderling {command}" in out
    assert "--json" in out or command == "zoo"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "optimize" in captured.out + captured.err
    assert "error:" not in captured.err


def test_the_shell_can_complete_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling.cli.options import _models, sample_paths

    (tmp_path / "net.tflite").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "nested").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _models("n") == ["nested/", "net.tflite"]
    assert _models("dig") == ["digits"]
    assert _models(f"{tmp_path}/ne") == [f"{tmp_path}/nested/", f"{tmp_path}/net.tflite"]
    assert sample_paths("nes") == ["nested/"]
    assert _models("no/such/") == []
