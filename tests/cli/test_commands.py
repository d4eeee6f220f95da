"""The commands on the bundled model, and on real ones where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sanderling.cli import main
from tests.models import classifier, save

ARGUMENTS = {
    "analyze": ["analyze", "digits"],
    "bench": ["bench", "digits", "digits", "--seconds", "100ms"],
    "diff": ["diff", "digits", "digits"],
    "check": ["check", "digits", "digits", "--limit", "30", "--max-drop", "5%"],
    "doctor": ["doctor"],
    "zoo": ["zoo", "list"],
}


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Runs a command with --json. Returns: the one document on stdout."""
    assert main([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    assert err == "" or code
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("command", ["analyze", "diff", "doctor", "zoo"])
@pytest.mark.parametrize("columns", ["80", "200"])
def test_tables_fit_the_terminal(
    command: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(ARGUMENTS[command]) == 0
    out = capsys.readouterr().out
    assert out.strip()
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= int(columns)


def test_analyze(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "analyze", "digits")
    assert found["summary"]["precision"] == "float32"
    assert found["summary"]["macs"] == sum(row["macs"] for row in found["rows"])
    assert [row["kind"] for row in found["rows"]][:2] == ["CONV_2D", "MAX_POOL_2D"]
    assert all(row["engines"]["litert"] == "ok" for row in found["rows"])
    assert found["inputs"][0]["shape"] == [1, 28, 28, 1]
    assert sum(kind["count"] for kind in found["kinds"]) == len(found["rows"])


def test_analyze_top_shows_the_costliest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "digits", "--top", "1"]) == 0
    table = capsys.readouterr().out.rsplit("output", 1)[1]
    assert "conv2d_1" in table
    assert "probabilities" not in table


def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, *ARGUMENTS["bench"], "--threads", "1,2")
    rows = found["rows"]
    assert [(row["name"], row["threads"]) for row in rows] == [("digits", 1), ("digits", 2)] * 2
    for row in rows:
        latency = row["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"]
        assert latency["load_ms"] > 0
        assert 500 < row["per_second"] < 500_000  # in another stretch of time than p50: the load may differ
        assert row["peak_memory_bytes"] > 100_000
        assert row["cold_ms"] > 0
        assert row["first_ms"] > 0
        assert row["error"] == 0
    assert rows[0]["latency_ms"]["speedup"] == 1.0
    assert bool(found["meter"]) != bool(found["no_meter"])


def test_bench_goes_on_past_a_model_that_cannot_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from sanderling import load
    from sanderling.tflite import write

    model = load("digits")
    graph = model.main
    odd = replace(graph.nodes[0], op="CUSTOM", custom_code="NobodyHasThis", options="", attrs={})
    path = tmp_path / "odd.tflite"
    write(model.with_main(replace(graph, nodes=(odd, *graph.nodes[1:]))), path)
    found = run_json(capsys, "bench", "digits", str(path), "--seconds", "100ms", code=1)
    assert [row["reason"] == "" for row in found["rows"]] == [True, False]
    assert "NobodyHasThis" in found["rows"][1]["reason"]
    assert main(["analyze", str(path)]) == 0
    assert "litert cannot run it: 1 operator has no kernel" in capsys.readouterr().out


def test_bench_takes_variants_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["digits", "--engine", "litert,litert:builtin", "--seconds", "200ms", "--sustained", "300ms"]
    found = run_json(capsys, "bench", *arguments, "-o", str(out))
    assert [row["engine"] for row in found["rows"]] == ["litert", "litert:builtin"]
    assert all(row["sustained"]["calls"] > 0 for row in found["rows"])
    assert found["machine"]["versions"]["litert"]
    assert "litert:builtin" in (out / "bench.html").read_text()


def test_bench_all_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        save(classifier(), tmp_path / "models" / f"{name}.tflite")
    out = tmp_path / "out"
    arguments = ["--all", str(tmp_path / "models"), "--engine", "litert,reference", "--seconds", "200ms"]
    found = run_json(capsys, "bench", *arguments, "-o", str(out))
    assert [model["name"] for model in found["models"]] == ["a", "sub/b"]
    assert found["columns"] == ["litert, 1 thread", "reference"]
    assert main(["bench", *arguments, "-o", str(out)]) == 0  # from what was kept
    shown = capsys.readouterr().out
    assert "geometric mean" in shown
    assert "bench.md" in shown


def test_a_model_does_not_differ_from_itself(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "diff", "digits", "digits")
    assert found["first"] is None
    assert len(found["rows"]) == 8
    assert all(row["relative_error"] == 0 and row["sqnr_db"] == "Infinity" for row in found["rows"])
    assert found["alone_a"] == found["alone_b"] == 0


def test_diff_names_the_operator_that_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    import numpy as np

    from sanderling import load
    from sanderling.tflite import write

    model = load("digits")
    graph = model.main
    weights = graph.nodes[2].inputs[1]
    tensor = graph.tensors[weights]
    assert tensor.data is not None
    changed = replace(tensor, data=np.asarray(tensor.data) * np.float32(1.05))
    tensors = tuple(changed if i == weights else t for i, t in enumerate(graph.tensors))
    path = tmp_path / "changed.tflite"
    write(model.with_main(replace(graph, tensors=tensors)), path)
    found = run_json(capsys, "diff", "digits", str(path))
    assert found["first"] == 2
    row = found["rows"][2]
    assert row["kind_a"] == "CONV_2D"
    assert 0.01 < row["own_error"] < 0.2
    # The damage is done there and only passed on by what follows it.
    assert found["guilty"] == 2
    assert all(later["own_error"] < 1e-5 < later["relative_error"] for later in found["rows"][3:])
    assert main(["diff", "digits", str(path)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(
        "the models part at operator 2, CONV_2D (conv2d_1): fed A's values, its own error"
    )


def test_diff_of_two_engines(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "diff", "digits", "--engines", "litert, litert:builtin")
    assert found["engines"] == ["litert", "litert:builtin"]
    assert len(found["rows"]) == 8
    assert all(row["own_error"] < 1e-5 for row in found["rows"])
    assert found["guilty"] is None
    run_json(capsys, "diff", "digits", code=2)
    error = run_json(capsys, "diff", "digits", "--engines", "nothing", code=2)["error"]
    assert error["what"] == "there is no engine 'nothing'"


def test_outputs_of_another_shape_end_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    five, seven = (
        save(classifier(), tmp_path / "a.tflite"),
        save(classifier(classes=7), tmp_path / "b.tflite"),
    )
    assert main(["diff", str(five), str(seven)]) == 1
    said = "error: b.tflite: output 'y' has shape 1x7, 'y' of a.tflite has 1x5; compare models with the same"
    assert capsys.readouterr().err.splitlines()[-1].startswith(said)


def test_diff_of_float_and_integer_twins(zoo_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stem = str(zoo_dir / "tflite" / "mlperf_tiny_resnet8_cifar10")
    found = run_json(
        capsys, "diff", f"{stem}_fp32.tflite", f"{stem}_int8.tflite", "--limit", "2", "--time", "4s"
    )
    assert found["alone_a"] == 0
    assert found["tolerance"] == 0.1
    assert {row["kind_a"] for row in found["rows"]} >= {"CONV_2D", "ADD", "SOFTMAX"}
    assert all(0 < row["relative_error"] < 2 for row in found["rows"])
    assert found["why"]["explanation"]["culprits"]
    assert found["why"]["remedies"]["attempts"][0]["remedy"] == "calibration"
    assert "both made and judged" in found["why"]["note"]


def test_diff_of_models_with_other_inputs(zoo_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = zoo_dir / "tflite" / "mlperf_tiny_vww_fp32.tflite"
    assert main(["diff", "digits", str(other)]) == 1
    assert "both models must take the same inputs" in capsys.readouterr().err


def test_check_passes_and_fails_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, *ARGUMENTS["check"])
    assert found["ok"]
    assert found["reason"] == ""
    assert found["fidelity"]["drop"] == 0
    found = run_json(capsys, *ARGUMENTS["check"], "--max-size", "1KB", code=1)
    assert not found["ok"]
    assert "too large" in found["reason"]
    assert found["budget"]["max_size_bytes"] == 1000


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_THREDS", "2")
    found = run_json(capsys, "doctor")
    assert found["ok"]
    assert found["worker"]["ok"]
    assert found["packages"]["numpy"]
    assert [engine["name"] for engine in found["engines"]].count("litert") == 1
    assert found["cpu"]["cores"] >= 1
    assert any("SANDERLING_THREDS" in warning for warning in found["warnings"])


def test_doctor_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["doctor"]) == 1
    assert "cannot be written: set SANDERLING_CACHE" in " ".join(capsys.readouterr().out.split())


def test_the_zoo_lists_what_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    listed = run_json(capsys, "zoo", "list")
    names = [model["name"] for model in listed]
    assert "digits" in names
    for model in (model for model in listed if "model" in model):  # those that are bundled
        assert Path(model["model"]).is_file()
        assert Path(model["samples"]).is_file()


def test_every_real_model_can_be_analyzed(zoo_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = sorted((zoo_dir / "tflite").glob("*.tflite"))
    assert models
    for path in models:
        found = run_json(capsys, "analyze", str(path))
        assert found["summary"]["parameters"] > 0
        assert len(found["engines"][0]["refusals"]) == 0
        assert main(["analyze", str(path), "--top", "3"]) == 0
        capsys.readouterr()
