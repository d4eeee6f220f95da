"""Windows of any size, stride, dilation and padding against LiteRT's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.op import Case
from sanderling.ops.registry import find
from tests.ops.single import model_of, node_of, run_litert, type_of

FEW = settings(max_examples=40)
SMALL = st.integers(1, 4)


def check(name: str, case: Case) -> None:
    op = find(name)
    assert op is not None
    assert op.reference is not None
    types = [None if array is None else type_of(array) for array in case.inputs]
    node = node_of(op, case, 1)
    (ours,) = op.reference(node, list(case.inputs), types, [TensorType((), DType.FLOAT32)])
    fed = [a for i, a in enumerate(case.inputs) if a is not None and i not in case.constant]
    (theirs,) = run_litert(model_of(op, case, [type_of(ours)]), fed, reference=True)
    np.testing.assert_allclose(
        ours, theirs, rtol=0, atol=1e-5 * max(1.0, float(np.abs(theirs).max(initial=0)))
    )


@st.composite
def frames(draw: st.DrawFn) -> tuple[dict[str, object], tuple[int, int], tuple[int, int]]:
    kernel = draw(SMALL), draw(SMALL)
    dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    attrs: dict[str, object] = {
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "stride_h": draw(SMALL),
        "stride_w": draw(SMALL),
    }
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = extent if attrs["padding"] == "VALID" else [1, 1]
    size = draw(st.integers(least[0], least[0] + 8)), draw(st.integers(least[1], least[1] + 8))
    attrs |= {"dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1]}
    return attrs, kernel, size


@FEW
@given(frame=frames(), channels=SMALL, out=SMALL, depthwise=st.booleans())
def test_convolutions(
    frame: tuple[dict[str, object], tuple[int, int], tuple[int, int]],
    channels: int,
    out: int,
    depthwise: bool,
) -> None:
    attrs, kernel, size = frame
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, *size, channels)).astype(np.float32)
    shape = (1, *kernel, channels * out) if depthwise else (out, *kernel, channels)
    weights = rng.standard_normal(shape).astype(np.float32)
    bias = rng.standard_normal(shape[3] if depthwise else out).astype(np.float32)
    case = Case("", [x, weights, bias], attrs, constant=(1, 2))
    check("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", case)


@FEW
@given(frame=frames(), kind=st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"]))
def test_pools(frame: tuple[dict[str, object], tuple[int, int], tuple[int, int]], kind: str) -> None:
    attrs, kernel, size = frame
    plain = {name: value for name, value in attrs.items() if not name.startswith("dilation")}
    x = np.random.default_rng(0).standard_normal((2, *size, 3)).astype(np.float32)
    check(kind, Case("", [x], {**plain, "filter_height": kernel[0], "filter_width": kernel[1]}))


@FEW
@given(
    size=st.tuples(SMALL, SMALL),
    new=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    mode=st.sampled_from(["", "align_corners", "half_pixel_centers"]),
    kind=st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]),
)
def test_resizes(size: tuple[int, int], new: tuple[int, int], mode: str, kind: str) -> None:
    x = np.random.default_rng(0).standard_normal((1, *size, 2)).astype(np.float32)
    check(kind, Case("", [x, np.array(new, np.int32)], {mode: True} if mode else {}, constant=(1,)))


@st.composite
def slices(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    count = draw(st.integers(1, len(shape)))
    index = st.integers(-7, 7)
    begin, end = ([draw(index) for _ in range(count)] for _ in range(2))
    strides = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in range(count)]
    attrs = {name: draw(st.integers(0, 2**count - 1)) for name in ("begin_mask", "end_mask")}
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    operands = [x, *(np.array(v, np.int32) for v in (begin, end, strides))]
    return Case("", operands, attrs, constant=(1, 2, 3))


@FEW
@given(case=slices())
def test_slices_are_those_of_numpy(case: Case) -> None:
    x, begin, end, strides = case.inputs
    assert x is not None
    spans = []
    for i, triple in enumerate(
        zip(*(a.tolist() for a in (begin, end, strides) if a is not None), strict=True)
    ):
        first = None if int(str(case.attrs["begin_mask"])) >> i & 1 else triple[0]
        last = None if int(str(case.attrs["end_mask"])) >> i & 1 else triple[1]
        spans.append(slice(first, last, triple[2]))
    op = find("STRIDED_SLICE")
    assert op is not None
    assert op.reference is not None
    types = [type_of(array) for array in case.inputs if array is not None]
    (ours,) = op.reference(node_of(op, case, 1), list(case.inputs), types, [types[0]])
    np.testing.assert_array_equal(ours, x[tuple(spans)])
    if ours.size:
        check("STRIDED_SLICE", case)


def test_a_dilation_without_end_costs_no_memory() -> None:
    """A window far larger than its image under SAME padding only meets the image with a few of its taps."""
    x = np.ones((1, 3, 3, 1), np.float32)
    kernel = np.ones((1, 2, 2, 1), np.float32)
    attrs = {"stride_h": 1, "stride_w": 1, "dilation_h_factor": 2**30, "dilation_w_factor": 2**30}
    op = find("CONV_2D")
    assert op is not None
    assert op.reference is not None
    case = Case("", [x, kernel], attrs)
    types = [type_of(x), type_of(kernel)]
    (ours,) = op.reference(node_of(op, case, 1), [x, kernel], types, [types[0]])
    np.testing.assert_array_equal(ours, np.zeros((1, 3, 3, 1)))


@pytest.mark.parametrize(
    "attrs, sentence",
    [
        ({"padding": "VALID", "stride_h": 1, "stride_w": 1}, "window of 3 does not fit an image of 2"),
        ({"stride_h": 0, "stride_w": 1}, "stride_h is 0, expected at least 1"),
        ({"stride_h": 1, "stride_w": 1, "dilation_h_factor": 0}, "dilation_h_factor is 0"),
    ],
)
def test_windows_that_make_no_sense(attrs: dict[str, object], sentence: str) -> None:
    op = find("CONV_2D")
    assert op is not None
    operands = [Tensor("", TensorType(s, DType.FLOAT32)) for s in ((1, 2, 2, 4), (8, 3, 3, 4))]
    with pytest.raises(InvalidGraph, match=sentence):
        op.infer(Node("CONV_2D", (0, 1), (2,), attrs), operands, [])
