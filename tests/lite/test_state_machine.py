"""Any order of calls comes to the same on LiteRT's interpreter and on ours, errors included."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engines import models
from tests.lite import networks
from tests.lite.both import BACKENDS, Outcome, assert_same, assert_same_outcome, ours, outcome, theirs

# Model, and the shapes asked for. Engines take those that agree with the signature, or none at all.
OPEN = [[1, 4], [3, 4], [2, 4], [1, 5], [7], [-1, 4], [1, 1, 1, 1, 1, 1, 1, 1, 1]]
CASES: dict[str, tuple[Callable[[], Any], list[list[int]]]] = {
    "add_one": (models.add_one, OPEN),
    "two_by_two": (models.two_by_two, [[1, 4], [3, 4], [2, 4], [1, 1]]),
    "running_sum": (models.running_sum, [[1, 4]]),
    "memory": (networks.memory, [[1, 2]]),
    "scalar": (networks.absolute, [[]]),
    "to_int8": (models.to_int8, [[1, 4]]),
}
DTYPES = [np.float32, np.float64, np.int8, np.int64]


class Interpreters(RuleBasedStateMachine):
    """One model in LiteRT's interpreter and in ours; what memory holds by chance is not compared."""

    @initialize(case=st.sampled_from(sorted(CASES)), backend=st.sampled_from(BACKENDS))
    def load(self, case: str, backend: str) -> None:
        make, shapes = CASES[case]
        self.folder = Path(tempfile.mkdtemp())
        path = models.save(make(), self.folder)
        self.sides = theirs(path), ours(path, backend)
        self.shapes = shapes if backend == "itself" or case != "two_by_two" else [[1, 4]]
        self.inputs = [int(d["index"]) for d in self.sides[0].get_input_details()]
        self.outputs = [int(d["index"]) for d in self.sides[0].get_output_details()]
        self.known: set[int] = set()  # tensors whose content is no accident
        self.allocated, self.sound = False, True
        self.views: list[tuple[int, Any, Any]] = []
        self.stateful, self.stray = case in ("running_sum", "memory"), False

    def teardown(self) -> None:
        self.views = []
        shutil.rmtree(getattr(self, "folder", ""), ignore_errors=True)

    def call(self, name: str, *arguments: Any) -> tuple[Outcome, Outcome]:
        a, b = (outcome(lambda s=side: getattr(s, name)(*arguments)) for side in self.sides)
        assert a.kind is b.kind, (name, arguments, a, b)
        return a, b

    @rule()
    def allocate(self) -> None:
        told, _ = self.call("allocate_tensors")
        if told.error is None:
            if not self.allocated:
                self.known.clear()
            self.allocated = self.sound = True
        elif not self.views:
            self.allocated = self.sound = False

    @rule(data=st.data(), strict=st.booleans())
    def resize(self, data: Any, strict: bool) -> None:
        index = data.draw(st.sampled_from([*self.inputs, 99, -1]))
        shape = data.draw(st.sampled_from(self.shapes))
        if len(shape) > 8 or (shape and len(shape) != len(self.shapes[0])):
            return  # ranks are refused sooner here: see test_safety
        before = self.sides[0].get_input_details()
        told, _ = self.call("resize_tensor_input", index, shape, strict)
        after = self.sides[0].get_input_details()
        if told.error is None and any(
            (a["shape"] != b["shape"]).any() for a, b in zip(before, after, strict=True)
        ):
            self.allocated = False
            self.known.discard(index)

    @precondition(lambda self: self.sound)
    @rule(data=st.data(), dtype=st.sampled_from(DTYPES), fill=st.integers(-100, 100))
    def set(self, data: Any, dtype: Any, fill: int) -> None:
        index = data.draw(st.sampled_from([*self.inputs, 99]))
        detail = next((d for d in self.sides[0].get_input_details() if d["index"] == index), None)
        shape = data.draw(st.sampled_from(self.shapes)) if detail is None else list(detail["shape"])
        if data.draw(st.integers(0, 4)) == 0:
            shape, dtype = [*shape, 2], dtype
        elif data.draw(st.integers(0, 3)) > 0 and detail is not None:
            dtype = detail["dtype"]
        if any(size < 0 for size in shape):
            return
        told, _ = self.call("set_tensor", index, np.full(shape, fill, dtype))
        if told.error is None:
            self.known.add(index)

    @precondition(lambda self: self.sound)
    @rule()
    def invoke(self) -> None:
        told, _ = self.call("invoke")
        if told.error is None:
            if set(self.inputs) <= self.known:
                self.known |= set(self.outputs)
            else:
                self.known -= set(self.outputs)
                self.stray |= self.stateful  # a state that came by chance stays

    @precondition(lambda self: self.sound)
    @rule(data=st.data())
    def get(self, data: Any) -> None:
        index = data.draw(st.sampled_from([*self.inputs, *self.outputs, 99, -1]))
        a, b = self.call("get_tensor", index)
        self.compare(index, a, b)

    def compare(self, index: int, a: Outcome, b: Outcome) -> None:
        if index in self.known and not self.stray:
            assert_same(a.value, b.value, str(index), ulps=4)
        elif a.error is None and self.allocated:
            assert type(a.value) is type(b.value)
            assert (a.value.shape, a.value.dtype) == (b.value.shape, b.value.dtype)

    @precondition(lambda self: self.sound)
    @rule(data=st.data(), fill=st.integers(-100, 100))
    def view(self, data: Any, fill: int) -> None:
        """Writes into an input through its memory, and may keep it."""
        index = data.draw(st.sampled_from(self.inputs))
        a, b = (outcome(side.tensor(index)) for side in self.sides)
        assert a.kind is b.kind
        if a.error is None and isinstance(a.value, np.ndarray):
            for side in (a, b):
                side.value[...] = fill
            self.known.add(index)
            if data.draw(st.booleans()):
                self.views.append((index, a.value[..., :1], b.value[..., :1]))

    @precondition(lambda self: self.views)
    @rule()
    def let_go(self) -> None:
        self.views.pop()

    @rule()
    def reset(self) -> None:
        self.call("reset_all_variables")

    @rule()
    def describe_operators(self) -> None:
        a, b = self.call("_get_op_details", 0)
        assert_same_outcome(a, b)
        self.call("_get_op_details", 77)

    @invariant()
    def described_the_same(self) -> None:
        if hasattr(self, "sides"):
            assert_same(*(side.get_input_details() for side in self.sides))
            if self.allocated:
                assert_same(*(side.get_output_details() for side in self.sides))


TestInterpreters = Interpreters.TestCase
TestInterpreters.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
