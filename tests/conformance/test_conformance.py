"""Every case of every operator, as it is and in integers, on every engine, against LiteRT."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from sanderling.engines import registry
from sanderling.engines.engine import Runner
from sanderling.engines.isolated import IsolatedRunner
from sanderling.errors import ModelError
from sanderling.graph.graph import Model
from sanderling.isolation.client import Worker
from tests.conformance.exceptions import (
    EXPECTED_FAILURES,
    NO_KERNEL,
    NO_KERNEL_CASES,
    expected_failure,
    has_kernel,
)
from tests.conformance.oracle import NoKernelError, answer, weight_only_answer
from tests.conformance.tolerances import CLOSE, EXACT, HALF, QUANT_1LSB, Tolerance
from tests.conformance.variants import FLOAT, HALF_WEIGHTS, HYBRID_OPERATORS, Variant, every_variant

Load = Callable[[str, Path, Model], Runner]
# They multiply float activations by real weights, whatever integers store them.
WEIGHT_ONLY = ("litert_gpu", "onnxruntime", "openvino", "webgpu")
# Its own comparison with LiteRT, which would move a wrong operator to the CPU, is left out.
OPTIONS = {"webgpu": {"trust": True}}
COMPLETE = ("litert", "reference")  # they must take every operator; others may refuse, with a reason
DECIDES_AT_LOAD = ("litert_gpu",)  # what its delegate takes, only the delegate knows
# Starting a GPU's pipelines takes seconds on software adapters: on a desk those engines take a part only.
FAST = (*COMPLETE, "onnxruntime", "tflite_micro")
THOROUGH = bool(os.environ.get("EXPECT_GPU") or os.environ.get("CI"))
ENGINES = [name for name in registry.names() if registry.find(name).available()]
VARIANTS = list(every_variant())
RUN = [v for v in VARIANTS if has_kernel(v.kind, v.op.name, v.id)]
REFUSED = [v for v in VARIANTS if not has_kernel(v.kind, v.op.name, v.id)]


def tolerance_of(engine: str, variant: Variant) -> Tolerance:
    """Returns: how near the engine must come. Integer kernels of our own follow the oracle's bit for bit."""
    if variant.kind in (FLOAT, HALF_WEIGHTS, *HYBRID_OPERATORS):
        return CLOSE
    own = variant.op.integer is not None or variant.op.moves_data
    return EXACT if engine == "reference" and own else QUANT_1LSB


def sample(variants: list[Variant]) -> list[Variant]:
    """Returns: of every operator the first case in float and in int8."""
    first: dict[tuple[str, str], Variant] = {}
    for variant in variants:
        if variant.kind in (FLOAT, "int8"):
            first.setdefault((variant.op.name, variant.kind), variant)
    return list(first.values())


def pairs() -> list[object]:
    """Returns: (engine, variant), those known to fail marked strictly."""
    found: list[object] = []
    for engine in ENGINES:
        for variant in RUN if THOROUGH or engine in FAST else sample(RUN):
            reason = expected_failure(engine, variant.id)
            marks = [pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError)] if reason else []
            found.append(pytest.param(engine, variant, id=f"{engine}-{variant.id}", marks=marks))
    return found


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(scope="session")
def load() -> Iterator[Load]:
    """Loads into an engine; isolated ones have one process each for the whole session."""
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}

        def loaded(name: str, path: Path, model: Model) -> Runner:
            engine, options = registry.find(name), OPTIONS.get(name)
            if not engine.isolated:
                return engine.load(path, model, options=options)
            if name not in workers:
                workers[name] = stack.enter_context(Worker(name=f"process of engine {name}"))
            return IsolatedRunner(name, path, model, options=options, worker=workers[name])

        yield loaded


@pytest.mark.parametrize("name, variant", pairs())
def test_engines_agree_with_litert(name: str, variant: Variant, models: Path, load: Load) -> None:
    model, path, fed, wanted = answer(variant, models)
    if name in WEIGHT_ONLY and variant.kind in HYBRID_OPERATORS:
        wanted = weight_only_answer(variant, models)
    for verdict in registry.find(name).supports(model):
        if not verdict and name not in COMPLETE:
            pytest.skip(f"{name} leaves it to another engine: {verdict.reason}")
        assert verdict, verdict.reason
    try:
        runner = load(name, path, model)
    except ModelError as error:
        if name in DECIDES_AT_LOAD and "refuses the model" in error.what:
            pytest.skip(str(error))
        raise
    try:
        got = runner.run([array.copy() for array in fed])
    finally:
        runner.close()
    tolerance = tolerance_of(name, variant)
    for mine, theirs in zip(got, wanted, strict=True):
        tolerance.check(mine, theirs)


@pytest.mark.parametrize("variant", [v for v in RUN if v.kind == HALF_WEIGHTS], ids=lambda v: v.id)
def test_float16_weights_stay_near_the_float_model(variant: Variant, models: Path) -> None:
    _, _, _, half = answer(variant, models)
    float_twin = next(v for v in VARIANTS if v.kind == FLOAT and v.case is variant.case)
    _, _, _, full = answer(float_twin, models)
    for mine, theirs in zip(half, full, strict=True):
        HALF.check(mine, theirs)


@pytest.mark.parametrize("variant", REFUSED, ids=lambda v: v.id)
def test_what_is_said_to_have_no_kernel_has_none(variant: Variant, models: Path) -> None:
    with pytest.raises(NoKernelError):
        answer(variant, models)


def test_no_exception_is_without_an_object() -> None:
    ids = {variant.id for variant in VARIANTS}
    for engine, listed in EXPECTED_FAILURES.items():
        assert engine in registry.names()
        for pattern in listed:
            assert any(fnmatchcase(name, pattern) for name in ids), f"{engine}: {pattern} matches nothing"
    kinds = {(variant.kind, variant.op.name) for variant in VARIANTS}
    listed_kinds = {(kind, operator) for kind, operators in NO_KERNEL.items() for operator in operators}
    assert listed_kinds <= kinds, f"no case for {sorted(listed_kinds - kinds)}"
    assert ids >= NO_KERNEL_CASES


def test_a_model_that_an_engine_gets_wrong_is_noticed(models: Path) -> None:
    """The suite itself can fail: a relative error of 1e-4, or two steps, is beyond every bound."""
    variant = next(v for v in RUN if v.id == "CONV_2D-same-float")
    _, _, _, (wanted,) = answer(variant, models)
    with pytest.raises(AssertionError):
        CLOSE.check(wanted * 1.0001, wanted)
    steps = next(v for v in RUN if v.id == "CONV_2D-same-int8")
    _, _, _, (stored,) = answer(steps, models)
    QUANT_1LSB.check(stored.clip(-126, 125) + 1, stored.clip(-126, 125))
    with pytest.raises(AssertionError):
        QUANT_1LSB.check(stored.clip(-126, 125) + 2, stored.clip(-126, 125))
