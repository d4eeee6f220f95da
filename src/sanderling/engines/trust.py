"""Trust: an engine's answer beside LiteRT's, and which operator a wrong one comes from.

LiteRT's own kernel sets differ from each other, so a whole model may be as far from the builtin kernels as
twice what XNNPACK is. Where it is further, each operator is fed LiteRT's own values and judged alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Protocol

import numpy as np

from sanderling import tflite
from sanderling.engines.engine import Port
from sanderling.engines.litert import ENGINE as LITERT
from sanderling.engines.plain_weights import with_plain_weights
from sanderling.errors import ModelError, RunError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array, TensorType
from sanderling.ops import registry

# Of the output's scale; DESIGN's bounds for what is stored in 32 and in 16 bits.
FLOAT, HALF = 1e-4, 1e-2
LEAST = 1e-6  # the least scale of an output
# That of a sigmoid, whose values end at 1: engines compute it to so many places after the point.
SIGMOID = 1e-2
ROUNDING = 10  # where every operator is right alone, the whole may drift by this much more
DRIFT_STEPS = 8  # and in steps, through a chain of 8-bit operators


@dataclass(frozen=True, slots=True)
class Wrong:
    """An operator whose answer is wrong.

    Attributes:
        position: among the nodes of what was compared.
        reason: how wrong.
        alone: it is so when it is fed with LiteRT's own values.
    """

    position: int
    reason: str
    alone: bool = True


def distance(mine: Array, wanted: Array, kind: TensorType, least: float = LEAST) -> float:
    """Returns: how far two answers are apart: in steps for integers, as a share of the scale for floats.

    A NaN or infinity where the other has none is infinitely far.

    Args:
        mine, wanted: the answers, as stored.
        kind: what the tensor is.
        least: the scale of what is smaller than this.
    """
    if mine.shape != wanted.shape or mine.dtype != wanted.dtype:
        return inf
    if wanted.dtype == object or wanted.size == 0:
        return 0.0 if np.array_equal(mine, wanted) else inf
    if wanted.dtype.kind != "f":
        return float(np.max(np.abs(mine.astype(np.int64) - wanted.astype(np.int64))))
    a, b = mine.astype(np.float64), wanted.astype(np.float64)
    odd = ~(np.isfinite(a) & np.isfinite(b))
    if odd.any() and not np.array_equal(a[odd], b[odd], equal_nan=True):
        return inf
    scale = float(np.max(np.abs(b), initial=0.0, where=~odd))
    return float(np.max(np.abs(a - b), initial=0.0, where=~odd)) / max(scale, least)


@dataclass(frozen=True, slots=True)
class Part:
    """Some operators of a graph, by position, with the tensors that enter and leave them."""

    nodes: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def cut(model: Model, part: Part) -> Model:
    """Returns: a part of the main graph as a model that has the inputs and outputs of the part, in order."""
    graph = model.main
    nodes = tuple(graph.nodes[p] for p in part.nodes)
    main = Graph(graph.tensors, nodes, part.inputs, part.outputs, graph.name)
    # Control flow calls other graphs by number, so they all come along.
    others = model.graphs[1:] if any("subgraph" in name for node in nodes for name in node.attrs) else ()
    return compact(Model((main, *others), description=model.description))


class Oracle(Protocol):
    """A model loaded into LiteRT that tells the values between its operators."""

    def run(self, inputs: Sequence[Array]) -> list[Array]: ...
    def tensor(self, index: int) -> Array: ...
    def close(self) -> None: ...


class Check(ABC):
    """Compares an engine's answers to one model with LiteRT's.

    Args:
        model: what is compared.
        folder: for LiteRT's files.
        half: per operator, whether it is computed or stored in 16 bits.
        whole: the user's file and what was read from it, where the model is all of it: LiteRT is asked for
            its answer to the file itself, not to what we made of it.
    """

    def __init__(
        self, model: Model, folder: Path, half: Sequence[bool], whole: tuple[Path, Model] | None = None
    ) -> None:
        self._model, self._half = model, list(half)
        self._stored = any(t.type.is_quantized for t in model.main.tensors if not t.is_constant)
        self._sigmoids = _sigmoids(model.main)
        # LiteRT would round the inputs of operators with integer weights: there it is asked with float ones.
        self._plain = with_plain_weights(model)
        self._whole = whole if self._plain is model else None
        self._path = folder / "check.tflite"

    @abstractmethod
    def answers(self, part: Part, inputs: Sequence[Array]) -> list[Array] | None:
        """Returns: what the engine makes of a part of the model; None where it cannot run by itself."""

    def oracle(self, model: Model, path: Path, options: Mapping[str, object]) -> Oracle:
        """Returns: a model in LiteRT. Its file is written to ``path``.

        Raises:
            ModelError: LiteRT does not take it.
        """
        tflite.write(model, path)
        return LITERT.load(path, model, options=options)

    def expected(self, inputs: Sequence[Array]) -> list[Array]:
        """Returns: LiteRT's answers, by the kernels that it usually takes.

        Raises:
            ModelError: LiteRT cannot run the piece, so there is nothing to compare with.
        """
        usual = None if self._whole is None else self._litert(inputs, "default", self._whole)
        usual = self._litert(inputs, "default") if usual is None else usual
        if usual is None:
            raise ModelError("LiteRT cannot run it")
        return usual

    def verdict(
        self, inputs: Sequence[Array], outputs: Sequence[Array], expected: list[Array]
    ) -> list[Wrong]:
        """Returns: the operators whose answers are wrong, [] where the outputs are right; all of them
        where the outputs are wrong and no operator can be told.

        Args:
            inputs, outputs: what the engine was given and what it gave.
            expected: what ``expected`` says for these inputs.
        """
        graph, half = self._model.main, any(self._half)
        types = [graph.tensors[index].type for index in graph.outputs]
        ends = zip(outputs, expected, types, graph.outputs, strict=True)
        if all(
            distance(mine, b, kind, self._least(i)) <= self._bound(kind, half) for mine, b, kind, i in ends
        ):
            return []
        # Only now the builtin kernels are asked, which may take ten times as long.
        fast, plain = self._litert(inputs, "default") or expected, self._litert(inputs, "builtin")
        plain = fast if plain is None else plain
        unsure = worse = ""
        for index, mine, a, b in zip(graph.outputs, outputs, plain, fast, strict=True):
            tensor = graph.tensors[index]
            least = self._least(index)
            got = min(distance(mine, a, tensor.type, least), distance(mine, b, tensor.type, least))
            between = distance(b, a, tensor.type, least)
            if not isfinite(between):
                continue  # LiteRT does not agree with itself: nothing can be said
            bound = self._bound(tensor.type, half)
            allowed = max(bound, 2 * between) if len(graph.nodes) > 1 else bound
            if not got <= allowed:
                unsure = f"{tensor.name} is {told(got, tensor.type)} from LiteRT's"
                discrete = not tensor.dtype.is_float and not tensor.type.is_quantized
                drift = max(ROUNDING * allowed, self._drift(tensor.type, half), inf if discrete else 0.0)
                worse = worse or (unsure if not got <= drift else "")
        if not unsure:
            return []
        found = self._alone(inputs)
        if found or not worse:
            return found
        everything = range(len(graph.nodes))
        return self._first(inputs) or [Wrong(p, worse, alone=False) for p in everything]

    def _litert(
        self, inputs: Sequence[Array], kernels: str, whole: tuple[Path, Model] | None = None
    ) -> list[Array] | None:
        options: dict[str, object] = {"kernels": kernels}
        try:
            runner: Oracle = (
                LITERT.load(*whole, options=options)
                if whole is not None
                else self.oracle(self._plain, self._path, options)
            )
            try:
                return runner.run(inputs)
            finally:
                runner.close()
        except (ModelError, RunError):
            return None  # a custom operator that only one of the kernel sets has

    def _bound(self, kind: TensorType, half: bool) -> float:
        """Returns: how far one operator's answer may be from LiteRT's."""
        if not kind.dtype.is_float:
            return 1.0 if kind.is_quantized else 0.0
        return HALF if half else FLOAT

    def _least(self, index: int) -> float:
        """Returns: the least scale of a tensor."""
        return SIGMOID if index in self._sigmoids else LEAST

    def _drift(self, kind: TensorType, half: bool) -> float:
        """Returns: how far a whole piece of right operators may be."""
        if not kind.dtype.is_float:
            return float(DRIFT_STEPS)
        return DRIFT_STEPS / 256 if self._stored else ROUNDING * self._bound(kind, half)

    def _alone(self, inputs: Sequence[Array]) -> list[Wrong]:
        """Returns: the operators that are wrong when they are fed with LiteRT's own values."""
        values = self._values(inputs)
        reasons = (self._single(p, values) for p in range(len(self._model.main.nodes)))
        return [Wrong(position, reason) for position, reason in enumerate(reasons) if reason]

    def _values(self, inputs: Sequence[Array]) -> dict[int, Array]:
        """Returns: LiteRT's value of every tensor that it can tell."""
        graph = self._model.main
        found = dict(zip(graph.inputs, inputs, strict=True))
        options: dict[str, object] = {"kernels": "builtin", "preserve_tensors": True}
        try:
            runner = self.oracle(self._plain, self._path, options)
        except ModelError:  # only XNNPACK has it, which keeps no values between the operators
            return found
        try:
            runner.run(inputs)
            for index in {i for node in graph.nodes for i in node.outputs}:
                value = _told(runner, index)
                if value is not None:
                    found[index] = value
        finally:
            runner.close()
        return found

    def _single(self, position: int, values: dict[int, Array]) -> str:
        graph = self._model.main
        node = graph.nodes[position]
        entering = _entering(graph, [position])
        if not entering:
            return ""  # made of constants, which engines compute ahead of all calls
        if not all(index in values for index in (*entering, *node.outputs)):
            return ""
        return self._compare(Part((position,), entering, node.outputs), values, alone=True)

    def _compare(self, part: Part, values: dict[int, Array], *, alone: bool) -> str:
        """Returns: "" where a part is right, else how wrong it is."""
        graph = self._model.main
        outputs = self.answers(part, [values[i] for i in part.inputs])
        if outputs is None:
            return ""  # alone it cannot be compiled, so it does not run alone either
        half = any(self._half[position] for position in part.nodes)
        for index, mine in zip(part.outputs, outputs, strict=True):
            kind = graph.tensors[index].type
            got = distance(mine, values[index], kind, self._least(index))
            if not got <= (self._bound(kind, half) if alone else self._drift(kind, half)):
                return f"its answer is {told(got, kind)} from LiteRT's"
        return ""

    def _first(self, inputs: Sequence[Array]) -> list[Wrong]:
        """Each is right alone: looks for the first after which the whole, fused as it is, is not."""
        graph, values = self._model.main, self._values(inputs)

        def broken(count: int) -> str:
            last = graph.nodes[count - 1]
            if not all(index in values for index in last.outputs):
                return ""
            nodes = tuple(range(count))
            part = Part(nodes, _entering(graph, nodes), last.outputs)
            return self._compare(part, values, alone=False)

        low, high, reason = 0, len(graph.nodes), ""
        while high - low > 1:
            middle = (low + high) // 2
            told_wrong = broken(middle)
            if told_wrong:
                high, reason = middle, told_wrong
            else:
                low = middle
        reason = reason or broken(high)
        return [Wrong(high - 1, reason, alone=False)] if reason else []


def _sigmoids(graph: Graph) -> set[int]:
    """Returns: tensors that hold a sigmoid's values, moved or not."""
    found: set[int] = set()
    for node in graph.nodes:
        op = registry.find(node.op)
        moved = op is not None and op.moves_data and bool(node.inputs) and node.inputs[0] in found
        if node.op == "LOGISTIC" or moved:
            found.update(node.outputs)
    return found


def _entering(graph: Graph, nodes: Sequence[int]) -> tuple[int, ...]:
    made = {i for p in nodes for i in graph.nodes[p].outputs}
    read = dict.fromkeys(i for p in nodes for i in graph.nodes[p].inputs if i >= 0)
    return tuple(i for i in read if i not in made and not graph.tensors[i].is_constant)


def _told(runner: Oracle, index: int) -> Array | None:
    try:
        return runner.tensor(index)
    except RunError:
        return None  # XNNPACK computed it in place of several operators


def told(amount: float, kind: TensorType) -> str:
    """Returns: a distance in words."""
    if not isfinite(amount):
        return "infinitely far (NaN, infinity or another shape)"
    if not kind.dtype.is_float:
        return f"{amount:.0f} step{'' if amount == 1 else 's'}"
    return f"{100 * amount:.2g} % of its scale"


def telling(array: Array) -> bool:
    """Returns: whether an input's elements differ: an answer on zeros says little."""
    return array.dtype != object and array.size > 1 and bool((array != array.flat[0]).any())


def noise(array: Array, port: Port) -> Array:
    """Returns: noise in the place of an input; plain integers, which may be indices, stay as they are."""
    rng = np.random.default_rng(0)
    if array.dtype.kind == "f":
        return rng.random(array.shape).astype(array.dtype)
    if array.dtype.kind in "iu" and port.type.is_quantized:
        info = np.iinfo(array.dtype)
        return rng.integers(info.min, info.max, array.shape, array.dtype, endpoint=True)
    return array
