"""Every method, called on LiteRT's interpreter and on ours: the same results and the same kinds of errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter as litert
import numpy as np
import pytest

from sanderling import lite
from sanderling.errors import SanderlingError
from tests.engines import models
from tests.lite import networks
from tests.lite.both import (
    BACKENDS,
    assert_same,
    assert_same_outcome,
    assert_says,
    ours,
    outcome,
    quiet_preserving,
    theirs,
)

X = np.array([[1, -2, 3, 4]], np.float32)
Call = Callable[[Any], Any]


def sample(detail: dict[str, Any], seed: int = 0) -> np.ndarray:
    """Values for any input, also of texts."""
    shape, dtype = tuple(detail["shape"]), detail["dtype"]
    if dtype is np.bytes_:
        return np.array([b"one", b"", "dr\u00ef".encode()][: shape[0]], object)
    return (np.random.default_rng(seed).standard_normal(shape) * 20).astype(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", networks.ALL)
def test_descriptions_and_answers(tmp_path: Path, name: str, backend: str) -> None:
    path = models.save(networks.ALL[name](), tmp_path)
    a, b = theirs(path), ours(path, backend)
    for describe in ("get_input_details", "get_output_details", "get_signature_list", "num_subgraphs"):
        assert_same(getattr(a, describe)(), getattr(b, describe)(), describe)
    assert_same(a._get_full_signature_list(), b._get_full_signature_list())
    for subgraph in range(a.num_subgraphs()):
        assert_same(a.get_tensor_details(subgraph), b.get_tensor_details(subgraph))
    assert_same(a._get_ops_details(), b._get_ops_details())
    assert a.allocate_tensors() is b.allocate_tensors() is None
    for step in range(3):
        for detail in a.get_input_details():
            value = sample(detail, step)
            assert a.set_tensor(detail["index"], value) is b.set_tensor(detail["index"], value) is None
            assert_same(a.get_tensor(detail["index"]), b.get_tensor(detail["index"]))
        assert a.invoke() is b.invoke() is None
        for detail in a.get_output_details():
            assert_same(a.get_tensor(detail["index"]), b.get_tensor(detail["index"]), name, ulps=4)
    if backend == "itself":  # LiteRT lists its own operators and temporary tensors as well
        assert_same(a._get_ops_details(), b._get_ops_details())
        assert_same(a.get_tensor_details(), b.get_tensor_details())


def test_nothing_of_the_interpreter_is_missing() -> None:
    for name in ("Interpreter", "SignatureRunner", "InterpreterWithCustomOps", "load_delegate"):
        a, b = getattr(litert, name), getattr(lite, name)
        assert list(inspect.signature(a).parameters) == list(inspect.signature(b).parameters), name
    for member, value in vars(litert.Interpreter).items():
        if callable(value) and member not in ("__init__", "__del__"):
            own = getattr(lite.Interpreter, member)
            assert list(inspect.signature(value).parameters) == list(inspect.signature(own).parameters)
    here = inspect.signature(lite.Interpreter).parameters
    for name, parameter in inspect.signature(litert.Interpreter).parameters.items():
        if name != "experimental_op_resolver_type":
            assert parameter.default == here[name].default, name
    assert [m.name for m in litert.OpResolverType] == [m.name for m in lite.OpResolverType]
    assert lite.Delegate is litert.Delegate
    assert lite.experimental.load_delegate is lite.load_delegate


def allocated(call: Call) -> Call:
    def both(interpreter: Any) -> Any:
        interpreter.allocate_tensors()
        return call(interpreter)

    return both


def resized(
    interpreter: Any, shape: Any, *, index: int = 0, strict: bool = False, allocate: bool = True
) -> Any:
    interpreter.resize_tensor_input(index, shape, strict)
    if allocate:
        interpreter.allocate_tensors()
    return [d["shape"] for d in interpreter.get_input_details()]


def fails(interpreter: Any) -> Any:
    """Asks for a shape that does not fit, and goes on with one that does."""
    with pytest.raises(RuntimeError):
        resized(interpreter, [5, 5])
    resized(interpreter, [2, 4])
    return answer(interpreter, np.repeat(X, 2, axis=0))


def answer(interpreter: Any, x: np.ndarray) -> Any:
    interpreter.set_tensor(0, x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def keeps_its_answer(interpreter: Any) -> Any:
    answer(interpreter, X)
    interpreter.set_tensor(0, X * 9)
    interpreter.allocate_tensors()
    interpreter.resize_tensor_input(0, [7, 4])
    return interpreter.get_tensor(2)


def written_through(interpreter: Any) -> Any:
    interpreter.tensor(0)()[:] = X
    interpreter.invoke()
    read = interpreter.tensor(2)
    return [np.array(read()), read().flags.writeable, read().dtype, read().shape]


def held(interpreter: Any, call: str, *arguments: Any) -> Any:
    view = interpreter.tensor(0)()[0, 1:3]  # a slice counts as much as the whole
    assert view.shape == (2,)
    return getattr(interpreter, call)(*arguments)


# What is called on ``add_one`` (x [?,4] = tensor 0, a constant = 1, y = 2), and words of both errors.
CALLS: dict[str, tuple[Call, str]] = {
    "get before allocate": (lambda i: i.get_tensor(0), "allocate_tensors"),
    "set before allocate": (lambda i: i.set_tensor(0, X), "Tensor is unallocated.*allocate_tensors"),
    "invoke before allocate": (lambda i: i.invoke(), "Invoke called on model that is not ready"),
    "view before allocate": (lambda i: i.tensor(0)(), "allocate_tensors"),
    "reset before allocate": (lambda i: i.reset_all_variables(), ""),
    "constant before allocate": (lambda i: i.get_tensor(1), ""),
    "allocate twice": (allocated(lambda i: i.allocate_tensors()), ""),
    "index too large": (allocated(lambda i: i.get_tensor(99)), "Invalid tensor index 99 exceeds"),
    "index negative": (allocated(lambda i: i.get_tensor(-1)), "Invalid tensor index -1 exceeds"),
    "index of set": (allocated(lambda i: i.set_tensor(7, X)), "Invalid tensor index 7 exceeds"),
    "index of view": (allocated(lambda i: i.tensor(99)()), "Invalid tensor index 99 exceeds"),
    "index is text": (allocated(lambda i: i.get_tensor("x")), ""),
    "index is a fraction": (allocated(lambda i: i.set_tensor(0.5, X)), ""),
    "index is NumPy's": (allocated(lambda i: i.get_tensor(np.int64(1))), ""),
    "subgraph": (allocated(lambda i: i.get_tensor(0, 3)), "Invalid subgraph index 3 exceeds"),
    "subgraph of details": (lambda i: i.get_tensor_details(5), "subgraph_index is out of range: 5"),
    "operator": (lambda i: i._get_op_details(1000), "[Ii]nvalid node index"),
    "operator negative": (lambda i: i._get_op_details(-1), "[Ii]nvalid node index"),
    "set a list": (
        allocated(lambda i: i.set_tensor(0, X.tolist())),
        "type FLOAT64 but expected type FLOAT32",
    ),
    "set float64": (
        allocated(lambda i: i.set_tensor(0, X.astype(float))),
        "FLOAT64.*FLOAT32 for input 0, name: x",
    ),
    "set int64": (allocated(lambda i: i.set_tensor(0, X.astype(int))), "INT64.*FLOAT32"),
    "set float16": (allocated(lambda i: i.set_tensor(0, X.astype(np.float16))), "FLOAT16.*FLOAT32"),
    "set bool": (allocated(lambda i: i.set_tensor(0, X > 0)), "BOOL.*FLOAT32"),
    "set complex": (allocated(lambda i: i.set_tensor(0, X + 0j)), "COMPLEX64.*FLOAT32"),
    "set text": (allocated(lambda i: i.set_tensor(0, "abc")), "STRING.*FLOAT32"),
    "set nothing": (allocated(lambda i: i.set_tensor(0, None)), "STRING.*FLOAT32"),
    "set ragged": (allocated(lambda i: i.set_tensor(0, [[1.0], [2.0, 3.0]])), "[Ff]ailed to convert"),
    "set rank": (
        allocated(lambda i: i.set_tensor(0, X[0])),
        "Dimension mismatch. Got 1 but expected 2 for input 0",
    ),
    "set size": (
        allocated(lambda i: i.set_tensor(0, X[:, :3])),
        "Dimension mismatch. Got 3 but expected 4 for dimension 1 of input 0",
    ),
    "set empty": (allocated(lambda i: i.set_tensor(0, X[:0])), "Dimension mismatch. Got 0 but expected 1"),
    "set strided": (allocated(lambda i: answer(i, np.repeat(X, 2, axis=1)[:, ::2])), ""),
    "set transposed": (allocated(lambda i: answer(i, np.asfortranarray(X))), ""),
    "set masked": (allocated(lambda i: answer(i, np.ma.masked_array(X))), ""),
    "resize": (lambda i: resized(i, [5, 4]), ""),
    "resize, not allocated": (lambda i: resized(i, (5, 4), allocate=False), ""),
    "resize to NumPy": (lambda i: resized(i, np.array([5, 4], np.int64)), ""),
    "resize to nothing": (lambda i: resized(i, [0, 4]), ""),
    "resize wrong": (lambda i: resized(i, [5, 5]), ""),
    "resize then set": (
        allocated(lambda i: (resized(i, [5, 4], allocate=False), i.set_tensor(0, np.repeat(X, 5, axis=0)))),
        "unallocated",
    ),
    "resize then get": (allocated(lambda i: (resized(i, [5, 4], allocate=False), i.get_tensor(0))), "null"),
    "resize then invoke": (
        allocated(lambda i: (resized(i, [5, 4], allocate=False), i.invoke())),
        "not ready",
    ),
    "resize to the same": (allocated(lambda i: (resized(i, [1, 4], allocate=False), i.invoke())), ""),
    "resize there and back": (
        allocated(lambda i: (resized(i, [3, 4]), resized(i, [1, 4]), answer(i, X))),
        "",
    ),
    "resize strictly": (lambda i: resized(i, [5, 4], strict=True), ""),
    "resize too strictly": (
        lambda i: resized(i, [5, 5], strict=True),
        "Attempting to resize dimension 1 of tensor 0 with value 4 to 5",
    ),
    "resize strict rank": (lambda i: resized(i, [5], strict=True), ""),
    "resize to -1": (lambda i: resized(i, [-1, 4]), ""),
    "resize to -1 twice": (lambda i: resized(i, [-1, -4]), ""),
    "resize to 2**40": (lambda i: resized(i, [2**40, 4]), "int32"),
    "resize to too much": (lambda i: resized(i, [2**30, 4]), ""),
    "resize to a number": (lambda i: resized(i, 7), "Shape should be 1D instead of 0"),
    "resize to a matrix": (lambda i: resized(i, [[1, 4]]), "Shape should be 1D instead of 2"),
    "resize to text": (lambda i: resized(i, "ab"), ""),
    "resize to None": (lambda i: resized(i, None), ""),
    "resize a constant": (lambda i: resized(i, [5, 4], index=1), "Attempting to resize a fixed-size tensor"),
    "resize nowhere": (lambda i: resized(i, [5, 4], index=99), ""),
    "resize by text": (lambda i: resized(i, [5, 4], index="x"), ""),  # type: ignore[arg-type]
    "allocate after failing": (allocated(fails), ""),
    "answers stay": (allocated(keeps_its_answer), ""),
    "views": (allocated(written_through), ""),
    "view of a constant": (allocated(lambda i: np.array(i.tensor(1)())), ""),
    "invoke under a view": (allocated(lambda i: held(i, "invoke")), "at least 1 reference to internal data"),
    "allocate under a view": (allocated(lambda i: held(i, "allocate_tensors")), "at least 1 reference"),
    "resize under a view": (
        allocated(lambda i: held(i, "resize_tensor_input", 0, [1, 4])),
        "at least 1 reference",
    ),
    "set under a view": (allocated(lambda i: held(i, "set_tensor", 0, X)), ""),
    "reset under a view": (allocated(lambda i: held(i, "reset_all_variables")), ""),
    "after a view": (allocated(lambda i: (outcome(lambda: held(i, "invoke")).kind, i.invoke())), ""),
    "no signature": (lambda i: i.get_signature_runner(), "signature_key is None and model has 0 Signatures"),
    "unknown signature": (lambda i: i.get_signature_runner("a"), 'Invalid signature_key provided: "a"'),
    "empty signature": (lambda i: i.get_signature_runner(""), "None signature_key provided"),
    "compression": (lambda i: i.experimental_compress_quantization_zero_points, ""),
    "arguments": (lambda i: i.invoke(0), "takes 1 positional argument"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CALLS)
def test_a_call(tmp_path: Path, name: str, backend: str) -> None:
    call, words = CALLS[name]
    path = models.save(models.add_one(), tmp_path)
    a, b = outcome(lambda: call(theirs(path))), outcome(lambda: call(ours(path, backend)))
    assert_same_outcome(a, b, name)
    for side in (a, b):
        assert_says(side, words)
    if isinstance(b.error, SanderlingError):
        assert "\n" not in str(b.error)


TEXTS: dict[str, tuple[Call, str]] = {
    "bytes": (lambda i: (i.set_tensor(0, np.array([b"a", b"", b"c"])), i.get_tensor(0)), ""),
    "unicode": (lambda i: (i.set_tensor(0, np.array(["a", "\u00fc", "c"])), i.get_tensor(0)), ""),
    "objects": (lambda i: (i.set_tensor(0, np.array([b"a", "b", b"c"], object)), i.get_tensor(0)), ""),
    "numbers": (lambda i: i.set_tensor(0, np.array([1, 2, 3], object)), ""),
    "floats": (lambda i: i.set_tensor(0, np.ones(3)), "type FLOAT64 but expected type STRING"),
    "a list": (lambda i: i.set_tensor(0, [b"a", b"b", b"c"]), "not a numpy array, got type list"),
    "too many": (lambda i: i.set_tensor(0, np.array([b"a"] * 4)), "Got 4 but expected 3 for dimension 0"),
    "rank": (lambda i: i.set_tensor(0, b"a"), ""),
    "run": (lambda i: answer(i, np.array([b"a", b"", b"long" * 9])), ""),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TEXTS)
def test_texts(tmp_path: Path, name: str, backend: str) -> None:
    call, words = TEXTS[name]
    path = models.save(models.texts(), tmp_path)
    a, b = (outcome(lambda i=i: allocated(call)(i)) for i in (theirs(path), ours(path, backend)))
    assert_same_outcome(a, b, name)
    for side in (a, b):
        assert_says(side, words)


def test_shapes_that_the_file_fixes_can_be_changed_too(tmp_path: Path) -> None:
    path = models.save(models.two_by_two(), tmp_path)
    for shapes in (([3, 4], [1, 4]), ([3, 4], [3, 4]), ([3, 4], [2, 4])):

        def resize(interpreter: Any, shapes: Any = shapes) -> Any:
            for index, shape in enumerate(shapes):
                interpreter.resize_tensor_input(index, shape)
            interpreter.allocate_tensors()
            for index, shape in enumerate(shapes):
                interpreter.set_tensor(index, np.full(shape, index + 2, np.float32))
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in (2, 3)], interpreter.get_output_details()

        assert_same_outcome(outcome(lambda: resize(theirs(path))), outcome(lambda: resize(ours(path))))


@pytest.mark.parametrize("resolver", lite.OpResolverType, ids=lambda r: r.name)
def test_kernel_sets_and_preserved_tensors(tmp_path: Path, resolver: lite.OpResolverType) -> None:
    path = models.save(networks.constants(), tmp_path)
    own = litert.OpResolverType[resolver.name]
    x = np.ones((2, 4), np.float32)
    a = quiet_preserving(theirs, path, experimental_op_resolver_type=own)
    for given in (resolver, own):
        b = quiet_preserving(ours, path, experimental_op_resolver_type=given)
        for interpreter in (a, b):
            interpreter.allocate_tensors()
            interpreter.set_tensor(0, x)
            interpreter.invoke()
        for index in range(5):
            assert_same(a.get_tensor(index), b.get_tensor(index), str(index))


def test_preserving_all_tensors_warns_as_litert_does(tmp_path: Path) -> None:
    path = models.save(models.add_one(), tmp_path)
    with pytest.warns(UserWarning, match="experimental_preserve_all_tensors"):
        ours(path, experimental_preserve_all_tensors=True)


def test_engines_that_keep_every_tensor_show_them(tmp_path: Path) -> None:
    path = models.save(models.running_sum(), tmp_path)
    options = {"kernels": "builtin"}
    delegate = lite.EngineDelegate("litert", options)
    interpreter = lite.Interpreter(
        str(path), experimental_delegates=[delegate], experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    for _ in range(2):
        answer(interpreter, X)
    np.testing.assert_array_equal(interpreter.get_tensor(2), X)


def test_handles_and_variables(tmp_path: Path) -> None:
    path = models.save(models.running_sum(), tmp_path)

    def run(interpreter: Any) -> Any:
        interpreter.allocate_tensors()
        told = [answer(interpreter, X), answer(interpreter, X)]
        interpreter.reset_all_variables()  # resource variables are not what it resets
        told.append(answer(interpreter, X))
        interpreter.allocate_tensors()
        return [*told, answer(interpreter, X), outcome(lambda: interpreter.get_tensor(1)).kind]

    for backend in BACKENDS:
        assert_same(run(theirs(path)), run(ours(path, backend)), backend)


def test_variable_tensors_are_reset(tmp_path: Path) -> None:
    path = models.save(networks.memory(), tmp_path)

    def run(interpreter: Any) -> Any:
        interpreter.allocate_tensors()
        told = []
        for step in range(7):
            if step == 4:
                interpreter.reset_all_variables()
            told.append(answer(interpreter, np.array([[1 + step, 2]], np.float32))[0])
        return told

    expected = run(theirs(path))
    assert not np.array_equal(expected[0], expected[1])
    for backend in BACKENDS:
        assert_same(expected, run(ours(path, backend)), backend, ulps=4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_engine_starts_afresh_when_a_stateful_model_is_resized(tmp_path: Path, backend: str) -> None:
    """LiteRT keeps resource variables; an engine has seen zeros by then, which it must not remember."""
    interpreter = ours(models.save(networks.counter(), tmp_path), backend)
    interpreter.allocate_tensors()
    assert [float(answer(interpreter, X * 0)[0][0, 0]) for _ in range(3)] == [1, 2, 3]
    resized(interpreter, [5, 4])
    first = 4 if backend == "itself" else 1
    assert float(answer(interpreter, np.zeros((5, 4), np.float32))[0][0, 0]) == first


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_read_is_a_copy(tmp_path: Path, backend: str) -> None:
    interpreter = ours(models.save(models.add_one(), tmp_path), backend)
    interpreter.allocate_tensors()
    expected = answer(interpreter, X)[0].copy()
    for index, value in ((0, X), (2, expected)):
        interpreter.get_tensor(index).fill(77)
        np.testing.assert_array_equal(interpreter.get_tensor(index), value)
    given = X.copy()
    interpreter.set_tensor(0, given)
    given.fill(77)
    np.testing.assert_array_equal(interpreter.get_tensor(0), X)
