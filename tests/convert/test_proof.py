"""The comparison that ends every conversion: what passes, what fails, and what is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sanderling as sd
from sanderling.convert import registry
from sanderling.convert.compare import Comparison
from sanderling.convert.conversion import Conversion, Converter, Wishes
from sanderling.convert.convert import cached, convert
from sanderling.convert.proof import litert, prove
from sanderling.graph.types import Array
from sanderling.samples.load import load_samples
from sanderling.tflite import read
from tests.models import classifier, save


class Source:
    """What a test hands to ``convert`` in the place of a framework's model."""

    def __init__(self, model: Any, change: Any = None) -> None:
        self.model, self.change, self.called = model, change, 0

    def conversion(self) -> Conversion:
        session = sd.Session(self.model.source)
        names = self.model.output_names()

        def reference(arrays: Sequence[Array]) -> list[Array]:
            self.called += 1
            answer = session(dict(zip(self.model.input_names(), arrays, strict=True)))
            found = [answer[name] for name in names] if isinstance(answer, dict) else [answer]
            return [np.array(each) for each in (self.change(found) if self.change else found)]

        return Conversion(self.model, reference, "a test")


@pytest.fixture
def net(tmp_path: Path) -> Any:
    return read(save(classifier(), tmp_path / "net.tflite"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``Source`` a framework."""
    own = Converter(
        "test", "a test's source", "keras", lambda path: path.suffix == ".test",
        lambda source: isinstance(source, Source), lambda source, _: source.conversion(),  # type: ignore[attr-defined]
    )  # fmt: skip
    monkeypatch.setattr(registry, "converters", lambda: (own,))


def changed(output: Array, value: float) -> Array:
    output = np.array(output)
    output.reshape(-1)[0] = value
    return output


@pytest.mark.usefixtures("known")
def test_what_matches_is_written(net: Any, tmp_path: Path) -> None:
    done = convert(Source(net), tmp_path / "out.tflite")
    assert done.ok
    assert done.path == tmp_path / "out.tflite"
    assert done.proof.synthetic
    assert any("SYNTHETIC NOISE" in note for note in done.notes)
    assert json.loads(json.dumps(done.to_json()))["proof"]["ok"] is True
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.tflite", "out.tflite"]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "change, says",
    [
        (lambda outputs: [outputs[0] * 1.001], "of its scale in sample"),
        (lambda outputs: [changed(outputs[0], np.nan)], "has a NaN or infinity"),
        (lambda outputs: [outputs[0][None]], r"shape \[1, \d+\], the source has \[1, 1, \d+\]"),
        (lambda outputs: [outputs[0].astype(np.int32)], "dtype float32, the source has int32"),
    ],
)
def test_what_differs_is_not_written(change: Any, says: str, net: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    out.write_bytes(b"older")
    with pytest.raises(sd.ConvertError, match=f"output .* does not match its source: .*{says}"):
        sd.convert(Source(net, change), out)
    assert out.read_bytes() == b"older"
    done = sd.convert(Source(net, change), out, strict=False)
    assert not done.ok
    assert done.path is None


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("apart, ok", [(0.0, True), (0.5, False)])
def test_where_rewrites_move_the_answer_the_careful_model_is_taken(
    apart: float, ok: bool, net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = net.main
    weights = next(i for i, each in enumerate(graph.tensors) if each.is_constant and each.dtype.is_float)
    moved = replace(graph.tensors[weights], data=np.asarray(graph.tensors[weights].data) * np.float32(1.1))
    tensors = tuple(moved if i == weights else each for i, each in enumerate(graph.tensors))
    other = replace(net.with_main(replace(graph, tensors=tensors)), source=None)
    source = Source(net, lambda outputs: [each + apart for each in outputs])
    plain = source.conversion()
    monkeypatch.setattr(source, "conversion", lambda: replace(plain, model=other, careful=net))
    done = convert(source, tmp_path / "out.tflite")
    assert done.ok == ok
    assert any("rounding alone moves" in note for note in done.notes) == ok
    assert (done.model is net) == ok
    assert (tmp_path / "out.tflite").exists() == ok


@pytest.mark.usefixtures("known")
def test_the_tolerance_is_a_share_of_the_scale(net: Any, tmp_path: Path) -> None:
    source = Source(net, lambda outputs: [outputs[0] + 1e-3])
    done = sd.convert(source, tmp_path / "out.tflite", tolerance=4e-3)
    assert done.proof.worst.max_error == pytest.approx(1e-3, rel=0.02)
    assert done.proof.worst.relative == pytest.approx(1e-3 / done.proof.worst.scale, rel=0.02)
    with pytest.raises(sd.UsageError, match="expected a share from 0 to 1"):
        sd.convert(source, tmp_path / "out.tflite", tolerance=2)


@pytest.mark.usefixtures("known")
def test_given_samples_are_what_is_compared(net: Any, tmp_path: Path) -> None:
    shape = net.main.tensors[net.main.inputs[0]].shape
    x = np.random.default_rng(0).random((5, *shape[1:])).astype(np.float32)
    source = Source(net)
    done = sd.convert(source, tmp_path / "out.tflite", samples=x)
    assert (done.proof.samples, source.called, done.proof.synthetic) == (5, 5, False)


@pytest.mark.usefixtures("known")
def test_another_number_of_outputs(net: Any, tmp_path: Path) -> None:
    with pytest.raises(sd.ConvertError, match="one of both has 2 outputs, the other 1"):
        sd.convert(Source(net, lambda outputs: outputs * 2), tmp_path / "out.tflite")


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=20), st.floats(1e-6, 1.0))
def test_errors_are_measured_as_they_are(values: list[float], error: float) -> None:
    a = np.array([values], np.float64)
    b = a.copy()
    b[0, -1] += error
    compared = Comparison(["y"])
    compared.add([a], [b])
    (row,) = compared.rows()
    scale = np.abs(a).max() or 1.0
    assert row.max_error == pytest.approx(abs(b - a).max())
    assert row.relative == pytest.approx(row.max_error / scale)
    assert row.agreement == float(a.argmax() == b.argmax())


def test_alike_infinities_and_nans_are_no_difference() -> None:
    x = np.array([[np.inf, np.nan, 1.0]])
    compared = Comparison(["y"])
    compared.add([x], [x.copy()])
    assert compared.rows()[0].reason == ""
    assert compared.rows()[0].relative == 0


def test_integers_are_counted() -> None:
    compared = Comparison(["y"])
    compared.add([np.arange(1000)], [np.arange(1000)])
    compared.add([np.arange(1000)], [np.r_[np.arange(990), np.zeros(10, int)]])
    (row,) = compared.rows()
    assert (row.exact, row.relative, row.worst) == (True, 0.005, 1)


def test_a_file_is_converted_once(net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    calls = []

    def made(source: object, _: Wishes) -> Conversion:
        calls.append(source)
        return Source(net).conversion()

    converter = Converter("test", "x", "keras", lambda _: True, lambda _: False, made)
    monkeypatch.setattr(registry, "converters", lambda: (converter,))
    source, said = tmp_path / "net.test", list[str]()
    source.write_bytes(b"one")
    first = cached(source, converter, said.append)
    assert cached(source, converter, said.append) == first
    assert (len(calls), len(said)) == (1, 1)
    assert "was converted to .tflite (a test); matches its source on" in said[0]
    source.write_bytes(b"two")
    assert cached(source, converter, said.append) != first


def test_open_sizes_are_settled_where_there_is_an_option_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that convert on the way have no ``--shape``: the sentence says which one has."""
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))

    def made(source: object, _: Wishes) -> Conversion:
        hint = "for example --shape x=1,3,224,224"
        raise sd.UsageError("input 'x' leaves sizes open", where="--shape", hint=hint)

    converter = Converter("test", "x", "keras", lambda _: True, lambda _: False, made)
    monkeypatch.setattr(registry, "converters", lambda: (converter,))
    source = tmp_path / "net.test"
    source.write_bytes(b"one")
    with pytest.raises(sd.UsageError) as told:
        cached(source, converter, print)
    assert told.value.where == str(source)
    assert f"sanderling convert {source} -o net.tflite --shape x=1,3,224,224" in told.value.hint


def test_converters_are_found_and_tell_their_files() -> None:
    names = [each.name for each in registry.converters()]
    assert {"keras", "saved_model", "onnx"} <= set(names)
    assert names == sorted(names)
    assert not any(each.reads(Path(__file__)) for each in registry.converters())


def test_a_stateful_result_is_fed_in_order(net: Any) -> None:
    samples = load_samples(None, net, count_synthetic=3)
    seen: list[Array] = []
    conversion = Source(net).conversion()

    def reference(arrays: Sequence[Array]) -> Sequence[Array]:
        seen.extend(arrays)
        return conversion.reference(arrays)

    with litert(net.source) as result:
        assert prove(net, result, reference, samples).ok
    for ours, feed in zip(seen, (samples[i] for i in range(3)), strict=True):
        np.testing.assert_array_equal(ours, next(iter(feed.values())))
