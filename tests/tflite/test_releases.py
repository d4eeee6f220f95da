"""Which release of TensorFlow Lite runs an operator of a certain version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sanderling import zoo
from sanderling.ops import registry
from sanderling.runtime.loading import read_model
from sanderling.tflite.releases import model_needs, needs, parse, releases, told, too_new
from sanderling.tflite.schema import schema
from tests.models import classifier


def test_the_table_names_operators_of_the_schema_only() -> None:
    assert set(releases()) <= set(schema().enums["BuiltinOperator"])
    unknown = {name for name in registry.names() if name not in releases()}
    assert unknown <= {"CALL"} | {name for name in unknown if registry.find(name) is None}


def test_later_versions_came_later_or_together() -> None:
    for name, found in releases().items():
        known = [release for release in found if release is not None]
        assert known == sorted(known), name


@pytest.mark.parametrize(
    "operator, version, release",
    [
        ("CONV_2D", 1, (1, 5)), ("CONV_2D", 3, (1, 14)), ("FULLY_CONNECTED", 12, (2, 17)),
        ("BROADCAST_TO", 1, None), ("GELU", 2, (2, 9)), ("CONV_2D", 99, None), ("NO_SUCH", 1, None),
    ],
)  # fmt: skip
def test_releases(operator: str, version: int, release: tuple[int, ...] | None) -> None:
    assert needs(operator, version) == release


def test_reading_and_telling() -> None:
    assert told(parse("2.14")) == "2.14"
    assert parse("1.13.1") > parse("1.13")
    assert parse("2.9") < parse("2.10")
    for text in ("", "2", "2.x", "2.1.3.4", "-1.2", "2.99999"):
        with pytest.raises(ValueError, match="is no release"):
            parse(text)


def test_a_model_needs_what_its_newest_operator_needs() -> None:
    model = classifier()
    main = model.main
    newer = main.nodes[0]
    changed = model.with_main(replace(main, nodes=(replace(newer, version=8), *main.nodes[1:])))
    need = model_needs(changed)
    assert need is not None
    assert (need.operator, need.version, need.release) == (newer.op, 8, needs(newer.op, 8))
    assert [n.version for n in too_new(changed, (2, 14))] == [8]
    assert too_new(changed, (2, 15)) == []
    unknown = model.with_main(replace(main, nodes=(replace(newer, version=77), *main.nodes[1:])))
    assert too_new(unknown, (2, 23))[0].version == 77  # newer than all that is known


def test_real_models_run_where_they_were_made_to(zoo_dir: Path) -> None:
    """Streaming with variables came with 2.6; a float network of 2017 runs in the first releases."""
    found = {file.stem: model_needs(read_model(file)) for file in (zoo_dir / "tflite").glob("*.tflite")}
    assert str(found["okay_nabu_streaming_int8"]) == "VAR_HANDLE version 1 needs TensorFlow Lite 2.6"
    nabu, rps = found["okay_nabu_streaming_int8"], found["rock_paper_scissors_fp32"]
    assert nabu is not None
    assert rps is not None
    assert (nabu.release, rps.release) == ((2, 6), (1, 5))


def test_the_bundled_model_is_told() -> None:
    need = model_needs(read_model(zoo.model_path("digits")))
    assert need is not None
    assert need.release == (2, 0)
