"""Delegates: our engines by name, and shared libraries, which are LiteRT's to load."""

from __future__ import annotations

import gc
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from sanderling import lite
from sanderling.engines import registry
from sanderling.errors import SanderlingError
from sanderling.graph.types import no
from tests.engines import models
from tests.lite.both import assert_same_outcome, assert_says, outcome

X = np.ones((1, 4), np.float32)

# A delegate that takes no operator, written down from the C interface of external delegates.
LIBRARY = r"""
#include <stdint.h>
#include <stddef.h>
typedef struct Delegate {
  void* data;
  int (*prepare)(void* context, struct Delegate* delegate);
  void* copy_from; void* copy_to; void* free_handle;
  int64_t flags;
  void* builder;
} Delegate;
static int prepared = 0;
static int prepare(void* context, Delegate* delegate) { prepared++; return 0; }
static Delegate the_delegate;
int times_prepared(void) { return prepared; }
void* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  for (size_t i = 0; i < count; ++i)
    if (keys[i][0] == 'f') { report("told to fail with "); report(values[i]); return NULL; }
  the_delegate.prepare = prepare;
  return &the_delegate;
}
void tflite_plugin_destroy_delegate(void* delegate) {}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make a delegate with")
    folder = tmp_path_factory.mktemp("delegate")
    (folder / "delegate.c").write_text(LIBRARY)
    made = folder / "libdelegate.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(folder / "delegate.c")], check=True)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return models.save(models.add_one(), tmp_path)


def answer(interpreter: lite.Interpreter) -> np.ndarray:
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, X)
    interpreter.invoke()
    return interpreter.get_tensor(2)


def test_a_shared_library_is_litert_s_to_load(path: Path, library: Path) -> None:
    import ctypes

    delegate = lite.load_delegate(str(library))
    assert isinstance(delegate, lite.Delegate)
    interpreter = lite.Interpreter(str(path), experimental_delegates=[delegate])
    np.testing.assert_array_equal(answer(interpreter), X + 1)
    interpreter.resize_tensor_input(0, [3, 4])
    interpreter.allocate_tensors()
    assert ctypes.CDLL(str(library)).times_prepared() > 0
    assert isinstance(lite.load_delegate(library, {"speed": 1}), lite.Delegate)


def test_what_a_library_says_when_it_fails(library: Path) -> None:
    for make in (litert.load_delegate, lite.load_delegate):
        with pytest.raises(ValueError, match=r"Failed to load delegate from .*\ntold to fail with 7"):
            make(str(library), {"fail": 7})


# LiteRT's half-made delegate complains when it is collected, which is to happen within this test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["nope.so", "libc.so.6", "./no_such_engine"])
def test_what_is_no_delegate(name: str) -> None:
    a, b = outcome(lambda: litert.load_delegate(name)), outcome(lambda: lite.load_delegate(name))
    assert_same_outcome(a, b)
    assert_says(b, name)
    assert a.error is not None
    del a, b
    gc.collect()


@pytest.mark.parametrize("name", ["litert", "reference"])
def test_an_engine_by_its_name(path: Path, name: str) -> None:
    delegate = lite.load_delegate(name)
    assert repr(delegate) == f"EngineDelegate('{name}')"
    np.testing.assert_array_equal(
        answer(lite.Interpreter(str(path), experimental_delegates=[delegate])), X + 1
    )


def test_the_gpu_is_the_engine_webgpu() -> None:
    delegate = lite.GpuDelegate({"precision": "float32"})
    assert (delegate.engine, dict(delegate.options)) == ("webgpu", {"precision": "float32"})


def test_an_engine_that_cannot_be_used_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts try ``load_delegate`` and go on without it on a ValueError."""
    engine = registry.find("reference")
    monkeypatch.setattr(type(engine), "available", lambda self: no("no adapter was found; install a driver"))
    sentence = "engine reference cannot be used: no adapter was found; install a driver"
    with pytest.raises(ValueError, match=f"^Failed to load delegate from reference: {sentence}$"):
        lite.load_delegate("reference")
    with pytest.raises(ValueError, match=f"^{sentence}$") as caught:
        lite.Interpreter(str(path), experimental_delegates=[lite.EngineDelegate("reference")])
    assert isinstance(caught.value, SanderlingError)


def test_an_engine_that_does_not_exist_is_named(path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no engine 'abacus'; choose one of: .*litert"):
        lite.Interpreter(str(path), experimental_delegates=[lite.EngineDelegate("abacus")])


def test_an_engine_runs_the_whole_model_alone(path: Path) -> None:
    with pytest.raises(ValueError, match="got 2 delegates, of which EngineDelegate"):
        lite.Interpreter(
            str(path), experimental_delegates=[lite.EngineDelegate("litert"), lite.EngineDelegate("litert")]
        )
    with pytest.raises(ValueError, match="kernel sets and custom operators belong to LiteRT"):
        lite.Interpreter(
            str(path),
            experimental_delegates=[lite.EngineDelegate("litert")],
            experimental_op_resolver_type=lite.OpResolverType.BUILTIN_REF,
        )


def test_an_engine_s_options_are_checked_by_it(path: Path) -> None:
    for options, words in (({"speed": 1}, "has no option 'speed'"), ({"precision": "float16"}, "float16")):
        with pytest.raises(ValueError, match=words) as caught:
            lite.Interpreter(str(path), experimental_delegates=[lite.EngineDelegate("litert", options)])
        assert isinstance(caught.value, SanderlingError)


def test_a_model_that_an_engine_refuses(tmp_path: Path) -> None:
    path = models.save(models.custom("Mine"), tmp_path)
    for engine in ("litert", "reference"):
        with pytest.raises(ValueError, match="Mine"):
            lite.Interpreter(str(path), experimental_delegates=[lite.load_delegate(engine)])


def test_an_engine_that_fails_while_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling.engines.reference.runner import ReferenceRunner
    from sanderling.errors import DeviceLost

    path = models.save(models.add_one(), tmp_path)
    interpreter = lite.Interpreter(str(path), experimental_delegates=[lite.load_delegate("reference")])
    answer(interpreter)

    def lost(self: object, inputs: object) -> None:
        raise DeviceLost("the device went away", hint="plug it in")

    monkeypatch.setattr(ReferenceRunner, "run", lost)
    with pytest.raises(RuntimeError, match="the device went away; plug it in"):
        interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(2), X + 1)
