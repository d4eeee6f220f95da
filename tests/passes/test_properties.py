"""On random graphs every pass keeps the answers and the interface, and finds nothing more the next time."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.passes.registry import find, names
from tests.graphs_made import floats
from tests.graphs_stored import integers
from tests.passes.rewrites import TOLERANCE, kinds, resizable, run, run_builtin

ALONE = [name for name in names() if not name.startswith("lower_")]
PIPELINES = {
    "LOSSLESS": passes.LOSSLESS, "PLAIN_WEIGHTS": passes.PLAIN_WEIGHTS, "CANONICAL": passes.CANONICAL,
    "FASTER": passes.FASTER, "STATIC": passes.STATIC,
}  # fmt: skip
STEPS = 2  # an int8 model's answers may move where two roundings became one


def same(model: Model, result: Model, *, exact: bool, batch: int | None = None) -> None:
    """Compares answers and interface before and after."""
    verify(result)
    assert result.input_names() == model.input_names()
    assert result.output_names() == model.output_names()
    assert [t.name for t in interface(result)] == [t.name for t in interface(model)]
    assert [t.type for t in interface(result)] == [t.type for t in interface(model)]
    assert [s.key for s in result.signatures] == [s.key for s in model.signatures]
    assert result.metadata == model.metadata
    before, after = run(model, batch), run(result, batch)
    if exact:
        assert all(map(np.array_equal, before, after))
        return
    for place, (a, b) in enumerate(zip(before, after, strict=True)):
        assert a.shape == b.shape
        scale = max(float(np.abs(a).max(initial=0)), 1e-6)
        error = float(np.abs(a.astype(np.float64) - b).max(initial=0))
        if error > TOLERANCE * scale:
            # What two sets of LiteRT's own kernels differ by is noise that the graph amplifies.
            noise = np.abs(a.astype(np.float64) - run_builtin(model, batch)[place]).max(initial=0)
            assert error <= 2 * noise, f"{error / scale:.1e} of the output's scale"


def interface(model: Model) -> list[object]:
    graph = model.main
    return [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]


def is_usable(model: Model) -> bool:
    """Returns: whether LiteRT gives finite answers, some of which are not zero."""
    return all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 1e6 for a in run(model))


def transposed(model: Model) -> int:
    tensors = model.main.tensors
    return sum(prod(tensors[n.outputs[0]].shape) for n in model.main.nodes if n.op == "TRANSPOSE")


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(floats())
def test_every_pass_alone_keeps_the_answers(model: Model) -> None:
    assume(is_usable(model))
    clean, _ = passes.run(model, ["drop_dead_code"])
    for name in ALONE:
        one = find(name)
        result, notes = one.apply(clean)
        assert all(isinstance(note, str) and note for note in notes)
        if not notes:
            assert result is clean or kinds(result) == kinds(clean)
            continue
        result, _ = passes.run(result, ["drop_no_ops", "drop_dead_code"])
        same(model, result, exact=one.exact)
        if not one.grows:
            assert len(result.main.nodes) <= len(clean.main.nodes) or transposed(result) < transposed(
                clean
            ), name
        # Whatever it has done once it does not do again to the same end.
        settled, _ = passes.run(result, [name, "drop_no_ops", "drop_dead_code"])
        assert passes.run(settled, [name, "drop_dead_code"])[1] == [], name


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(floats(), st.sampled_from(sorted(PIPELINES)), st.booleans())
def test_pipelines_keep_the_answers(model: Model, name: str, open_batch: bool) -> None:
    assume(is_usable(model))
    pipeline = PIPELINES[name]
    fixed = {"RESHAPE", "TRANSPOSE_CONV", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"} & set(kinds(model))
    if open_batch and not fixed and model.main.tensors[0].shape[0] == 1:
        model = resizable(model)
        if name != "STATIC":
            same(model, passes.run(model, pipeline)[0], exact=name in ("LOSSLESS", "PLAIN_WEIGHTS"), batch=3)
    result, notes = passes.run(model, pipeline)
    if name == "STATIC":
        model, _ = passes.run(model, ["static_batch"])
    same(model, result, exact=name in ("LOSSLESS", "PLAIN_WEIGHTS"))
    assert set(passes.counted(notes)) <= set(pipeline)
    assert passes.run(result, pipeline)[1] == []


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(integers(), st.sampled_from(sorted(PIPELINES)))
def test_stored_integers_keep_the_answers(model: Model, name: str) -> None:
    result, notes = passes.run(model, PIPELINES[name])
    verify(result)
    (before,), (after,) = run(model), run(result)
    step = float(model.main.tensors[model.main.nodes[-1].inputs[0]].quant.scale[0])
    requantized = any(note.endswith("became one QUANTIZE") for note in notes)
    np.testing.assert_allclose(after, before, rtol=0, atol=STEPS * step if requantized else 0)
    assert passes.run(result, PIPELINES[name])[1] == []


@pytest.mark.parametrize("name", ALONE)
def test_stored_integers_are_left_or_kept_exactly(name: str) -> None:
    @settings(max_examples=3, suppress_health_check=list(HealthCheck))
    @given(integers())
    def each(model: Model) -> None:
        result, notes = find(name).apply(model)
        if notes and not any(note.endswith("became one QUANTIZE") for note in notes):
            same(model, passes.run(result, ["drop_no_ops", "drop_dead_code"])[0], exact=True)

    each()
