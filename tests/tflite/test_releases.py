"""Which release of TensorFlow Lite or LiteRT runs an operator of a certain version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling import zoo
from sanderling.graph.graph import Model
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.ops import registry
from sanderling.runtime.loading import read_model
from sanderling.tflite import introduced
from sanderling.tflite.releases import (
    METADATA,
    Need,
    Runtime,
    model_needs,
    parse,
    settled,
    tflite_releases,
    too_new,
)
from sanderling.tflite.schema import schema
from tests.models import classifier


def test_the_tables_name_operators_of_the_schema_only() -> None:
    assert set(tflite_releases()) <= set(schema().enums["BuiltinOperator"])
    unknown = {name for name in registry.names() if name not in tflite_releases()}
    assert unknown <= {"CALL"} | {name for name in unknown if registry.find(name) is None}
    rows = [line.split()[1:] for line in introduced.LITERT.strip().splitlines()]
    listed = [text for row in rows for text in row]
    assert len(listed) == len(set(listed))
    assert {text.partition(":")[0] for text in listed} <= set(tflite_releases())


def test_later_versions_came_later_or_together() -> None:
    for name, found in tflite_releases().items():
        known = [release for release in found if release is not None]
        assert known == sorted(known), name
        litert = [first for version in range(1, len(found) + 3) if (first := Need(name, version).litert)]
        assert litert == sorted(litert), name


@pytest.mark.parametrize(
    "operator, version, tflite, litert",
    [
        ("CONV_2D", 1, (1, 5), (1, 0)), ("CONV_2D", 3, (1, 14), (1, 0)),
        ("FULLY_CONNECTED", 12, (2, 17), (1, 0)), ("FULLY_CONNECTED", 14, (2, 21), (2, 1)),
        ("CAST", 7, (2, 17), (1, 1)), ("GELU", 2, (2, 9), (1, 0)), ("SOFTMAX", 4, None, (2, 1, 6)),
        ("BROADCAST_TO", 1, None, None), ("CONV_2D", 99, None, None), ("NO_SUCH", 1, None, None),
        ("STABLEHLO_CBRT", 1, (2, 17), None),
    ],
)  # fmt: skip
def test_releases(
    operator: str, version: int, tflite: tuple[int, ...] | None, litert: tuple[int, ...] | None
) -> None:
    need = Need(operator, version)
    assert (need.tflite, need.litert) == (tflite, litert)
    assert need.known is (tflite is not None or litert is not None)
    assert need.met(Runtime((9, 9))) is (tflite is not None)
    assert need.met(Runtime((9, 9), litert=True)) is (litert is not None)


def test_what_is_told() -> None:
    assert str(Need("CAST", 7)) == "CAST version 7 needs TensorFlow Lite 2.17 or LiteRT 1.1"
    assert str(Need("SOFTMAX", 4)) == "SOFTMAX version 4 needs LiteRT 2.1.6"
    assert str(Need("CAST", 99)) == "no known release has CAST version 99"
    special = Need("CONV_2D", 7, "int4 weights and float data")
    assert str(special) == "CONV_2D with int4 weights and float data needs LiteRT 1.1"


def test_reading() -> None:
    assert str(parse("2.14")) == "TensorFlow Lite 2.14"
    assert parse(" tflite-2.14 ") == parse("2.14") == Runtime((2, 14))
    for text in ("litert-1.2", "LiteRT 1.2", "litert=1.2", "litert1.2"):
        assert parse(text) == Runtime((1, 2), litert=True)
    assert parse("1.13.1").release > parse("1.13").release
    assert parse("2.9").release < parse("2.10").release
    for text in ("", "2", "2.x", "2.1.3.4", "-1.2", "2.99999", "litert-0.9", "litert", "torch-2.1"):
        with pytest.raises(ValueError, match="is no release"):
            parse(text)


def _first_at(version: int) -> Model:
    model = classifier()
    first, *rest = model.main.nodes
    return model.with_main(replace(model.main, nodes=(replace(first, version=version), *rest)))


def test_a_model_needs_what_its_newest_operator_needs() -> None:
    changed = _first_at(8)
    need = model_needs(changed)
    assert need is not None
    assert (need.operator, need.version, need.tflite) == (changed.main.nodes[0].op, 8, (2, 15))
    assert [n.version for n in too_new(changed, parse("2.14"))] == [8]
    assert too_new(changed, parse("2.15")) == []
    assert too_new(changed, parse("litert-1.0")) == []
    assert too_new(_first_at(77), parse("2.23"))[0].version == 77  # newer than all that is known


def test_what_is_made_says_what_runs_it() -> None:
    """Padded to 16 bytes, as converters do. What another graph needed is forgotten."""
    stale = replace(_first_at(8), metadata=((METADATA, np.frombuffer(b"2.15.0", np.uint8)),))
    made = settled(stale)
    assert made.main.nodes[0].version == 1
    assert [(name, bytes(data)) for name, data in made.metadata] == [(METADATA, b"1.5.0".ljust(16, b"\0"))]


def test_real_models_run_where_they_were_made_to(zoo_dir: Path) -> None:
    """Streaming with variables came with 2.6; a float network of 2017 runs in the first releases."""
    found = {file.stem: model_needs(read_model(file)) for file in (zoo_dir / "tflite").glob("*.tflite")}
    nabu, rps = found["okay_nabu_streaming_int8"], found["rock_paper_scissors_fp32"]
    assert nabu is not None
    assert rps is not None
    assert str(nabu) == "VAR_HANDLE version 1 needs TensorFlow Lite 2.6 or LiteRT 1.0"
    assert rps.tflite == (1, 5)


def test_an_old_converter_may_have_said_too_little(zoo_dir: Path) -> None:
    """Its float16 weights are read by DEQUANTIZE version 3, and the file says 2."""
    need = model_needs(read_model(zoo_dir / "tflite" / "face_landmark_fp16.tflite"))
    assert need is not None
    assert (need.operator, need.version, need.tflite) == ("DEQUANTIZE", 3, (1, 15))


def test_the_bundled_model_is_told() -> None:
    need = model_needs(read_model(zoo.model_path("digits")))
    assert need is not None
    assert need.tflite == (2, 0)


def test_what_no_version_tells() -> None:
    """TensorFlow Lite 2.14 takes int4 weights with float data by their version, and answers nonsense."""
    model = classifier()
    first = model.main.nodes[0]
    assert first.op == "CONV_2D"
    tensors = list(model.main.tensors)
    stored = TensorType(tensors[first.inputs[1]].shape, DType.INT4, Quant.of(0.1))
    tensors[first.inputs[1]] = replace(tensors[first.inputs[1]], type=stored)
    changed = model.with_main(replace(model.main, tensors=tuple(tensors)))
    assert [need.special for need in too_new(changed, parse("2.14"))] == ["int4 weights and float data"]
    assert too_new(changed, parse("litert-1.0")) == too_new(changed, parse("2.14"))
    assert too_new(changed, parse("litert-1.1")) == []
    assert all(need.special == "" for need in too_new(model, parse("1.4")))
