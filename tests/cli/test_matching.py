"""Which operator is the counterpart of which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.measure.matching import match

Operator = tuple[str, str, int]  # kind, name of its output, number of elements


def chain(operators: list[Operator]) -> Graph:
    """Returns: operators one after the other."""
    types = [TensorType((size,), DType.FLOAT32) for _, _, size in operators]
    names = [name for _, name, _ in operators]
    tensors = [Tensor("in", TensorType((1,), DType.FLOAT32))]
    tensors += [Tensor(name, kind) for name, kind in zip(names, types, strict=True)]
    nodes = [Node(kind, (i,), (i + 1,)) for i, (kind, _, _) in enumerate(operators)]
    return Graph(tuple(tensors), tuple(nodes), (0,), (len(operators),))


def pairs(a: list[Operator], b: list[Operator]) -> list[tuple[int, int, str]]:
    return [(m.index_a, m.index_b, m.by) for m in match(chain(a), chain(b))]


def test_names_pair_and_converters_are_skipped() -> None:
    a = [("CONV_2D", "c1", 8), ("ADD", "a1", 8), ("SOFTMAX", "s", 4)]
    b = [
        ("QUANTIZE", "q", 1),
        ("CONV_2D", "c1", 8),
        ("ADD", "a1", 8),
        ("SOFTMAX", "s", 4),
        ("DEQUANTIZE", "d", 4),
    ]
    assert pairs(a, b) == [(0, 1, "name"), (1, 2, "name"), (2, 3, "name")]


def test_position_pairs_what_has_other_names() -> None:
    a = [("CONV_2D", "x", 8), ("CONV_2D", "y", 8), ("RELU", "z", 8)]
    b = [("CONV_2D", "p", 8), ("CONV_2D", "q", 8), ("RELU", "z", 8)]
    assert pairs(a, b) == [(0, 0, "position"), (1, 1, "position"), (2, 2, "name")]


def test_names_that_were_counted_anew_are_not_trusted() -> None:
    a = [("CONV_2D", "conv2d", 8), ("CONV_2D", "conv2d_1", 8), ("CONV_2D", "conv2d_2", 8)]
    b = [("CONV_2D", "conv2d_1", 8), ("CONV_2D", "conv2d_2", 8), ("CONV_2D", "conv2d_3", 8)]
    assert pairs(a, b) == [(i, i, "position") for i in range(3)]


def test_another_size_is_no_counterpart() -> None:
    assert pairs([("CONV_2D", "c", 8)], [("CONV_2D", "c", 16)]) == []


def test_an_operator_that_one_graph_lacks_stays_alone() -> None:
    a = [("CONV_2D", "c", 8), ("MUL", "m", 8), ("ADD", "a", 8), ("SOFTMAX", "s", 8)]
    b = [("CONV_2D", "c2", 8), ("SOFTMAX", "s2", 8)]
    assert pairs(a, b) == [(0, 0, "position"), (3, 1, "position")]


operators = st.lists(
    st.tuples(
        st.sampled_from(["CONV_2D", "ADD", "RELU", "QUANTIZE"]), st.sampled_from("abcde"), st.integers(1, 3)
    ),
    max_size=8,
)


@given(operators, operators)
def test_pairs_never_cross_and_always_agree_in_size(a: list[Operator], b: list[Operator]) -> None:
    found = pairs(a, b)
    assert [i for i, _, _ in found] == sorted({i for i, _, _ in found})
    assert [j for _, j, _ in found] == sorted({j for _, j, _ in found})
    assert all(a[i][2] == b[j][2] for i, j, _ in found)


@given(operators)
def test_a_graph_matches_itself(a: list[Operator]) -> None:
    found = pairs(a, a)
    real = [i for i, (kind, _, _) in enumerate(a) if kind != "QUANTIZE"]
    assert [i for i, _, _ in found] == real
    assert all(i == j for i, j, _ in found)
