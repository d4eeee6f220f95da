"""What the comparison of an engine with LiteRT does not take for an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sanderling.engines import trust
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write

F32 = DType.FLOAT32


class Given(trust.Check):
    """An engine whose answers to single operators are given by a function of the right ones."""

    def __init__(self, model: Model, folder: Path) -> None:
        super().__init__(model, folder, [False] * len(model.main.nodes))
        self.asked: list[tuple[int, ...]] = []

    def answers(self, part: trust.Part, inputs: Sequence[Array]) -> list[Array] | None:
        self.asked.append(part.nodes)
        return None


def tensor(name: str, shape: tuple[int, ...], data: Array | None = None) -> Tensor:
    return Tensor(name, TensorType(shape, F32), data)


def chain(*operators: str, shape: tuple[int, ...] = (1, 4)) -> Model:
    """Returns: operators of one operand, one after the other."""
    tensors = [tensor(f"t{i}", shape) for i in range(len(operators) + 1)]
    nodes = [Node(name, (i,), (i + 1,), {}, "") for i, name in enumerate(operators)]
    return Model((Graph(tuple(tensors), tuple(nodes), (0,), (len(operators),), "main"),))


def judged(model: Model, x: Array, mine: Array, folder: Path) -> list[trust.Wrong]:
    write(model, folder / "net.tflite")
    check = Given(model, folder)
    return check.verdict([x], [mine], check.expected([x]))


def test_a_sigmoid_is_exact_to_places_after_the_point(tmp_path: Path) -> None:
    x = np.full((1, 4), -20.0, np.float32)
    right = 1 / (1 + np.exp(20.0))
    assert judged(chain("LOGISTIC"), x, np.zeros((1, 4), np.float32), tmp_path) == []
    assert judged(chain("LOGISTIC"), x, np.full((1, 4), right + 1e-4, np.float32), tmp_path)
    small = np.full((1, 4), 1e-3, np.float32)  # another operator's small values are judged by their own scale
    assert judged(chain("ABS"), small, small * np.float32(1.01), tmp_path)


def test_where_litert_does_not_agree_with_itself_nothing_is_said(tmp_path: Path) -> None:
    check = Given(chain("ABS"), tmp_path)
    usual = [np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)]
    unsure = {"default": usual, "builtin": [np.full((1, 4), np.nan, np.float32)]}
    check._litert = lambda inputs, kernels, whole=None: unsure[kernels]  # type: ignore[method-assign]
    assert check.verdict(usual, [np.full((1, 4), 9.0, np.float32)], usual) == []


def test_operators_of_constants_are_not_asked_alone(tmp_path: Path) -> None:
    weights = tensor("w", (1, 4), np.ones((1, 4), np.float32))
    tensors = (tensor("x", (1, 4)), weights, tensor("v", (1, 4)), tensor("y", (1, 4)))
    nodes = (Node("ABS", (1,), (2,), {}, ""), Node("MAXIMUM", (0, 2), (3,), {}, "MaximumMinimumOptions"))
    model = Model((Graph(tensors, nodes, (0,), (3,), "main"),))
    check = Given(model, tmp_path)
    x = np.zeros((1, 4), np.float32)
    check.verdict([x], [np.full((1, 4), 5.0, np.float32)], check.expected([x]))
    assert check.asked[0] == (1,)  # later it is a part of the whole
