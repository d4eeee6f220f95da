"""The writer of integer graphs: what it writes is sound, runs, and errs by no more than its steps."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanderling.compress.quantizing.integer_operators import INT16
from sanderling.compress.quantizing.scheme import Scheme, rule_of
from sanderling.compress.quantizing.stored import Stored, quant_of, store_symmetric
from sanderling.compress.quantizing.write_integer import write_integer
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.graph.verify import verify
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from tests.compress.generated import SIDE, models, ranges_in, real_values, values_in
from tests.models import Net
from tests.ops.single import declared_types, every_case, label, model_of, node_of, run_litert, type_of

STEPS = 1.5  # of the result's scale, at every operator: kernels round once, some of them twice
STEPS_16 = 2.5  # SOFTMAX and TANH look their results up
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


def quantized(model: Model, scheme: Scheme) -> Model:
    done = compact(model.with_main(write_integer(model.main, scheme)))
    verify(done)
    return done


def limits_of(tensor: Tensor) -> tuple[float, float, float]:
    """Returns: the lowest and the highest number that a tensor holds, and its step."""
    assert tensor.quant is not None
    info = np.iinfo(tensor.dtype.value)
    scale, zero = float(tensor.quant.scale[0]), int(tensor.quant.zero_point[0])
    return (info.min - zero) * scale, (info.max - zero) * scale, scale


def clamped(graph: Graph, node: Node, array: Array) -> Array:
    """Returns: what a conversion should give, also one that stands for RELU (by its result's name)."""
    source, result = (
        re.sub("(_own|_int8|_int16|_float)+$", "", graph.tensors[i].name)
        for i in (*node.inputs, *node.outputs)
    )
    limits = {"relu": (0, None), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}.get(re.sub("_[0-9]+$", "", result))
    return array if limits is None or source == result else np.clip(array, *limits)


def every_operator_is_within_its_step(model: Model, inputs: list[Array], steps: float = STEPS) -> None:
    """Compares each operator with its float reference on the very numbers it got."""
    graph, values = model.main, values_in(model, inputs)
    for node in graph.nodes:
        op = find(node.op)
        assert op is not None
        assert op.reference is not None
        if node.op in CONVERSIONS:
            wanted = [clamped(graph, node, real_values(graph, values, node.inputs[0]))]
        else:
            operands = [None if i < 0 else real_values(graph, values, i) for i in node.inputs]
            types = [None if a is None else type_of(a) for a in operands]
            results = [TensorType(values[i].shape, DType.FLOAT32) for i in node.outputs]
            wanted = op.reference(node, operands, types, results)
        for index, expected in zip(node.outputs, wanted, strict=True):
            got, tensor = real_values(graph, values, index), graph.tensors[index]
            if tensor.type.is_quantized:
                low, high, step = limits_of(tensor)
                np.testing.assert_allclose(
                    got, np.clip(expected, low, high), atol=steps * step, rtol=1e-4, err_msg=node.op
                )
            else:
                scale = float(np.abs(expected).max(initial=1e-3))
                np.testing.assert_allclose(got, expected, atol=1e-4 * scale, rtol=1e-4, err_msg=node.op)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.sets(st.integers(0, 9)), st.booleans(), st.integers(0, 99))
def test_generated_graphs_err_by_their_steps(model: Model, floats: set[int], ports: bool, seed: int) -> None:
    graph, rng = model.main, np.random.default_rng(seed)
    feeds = [[np.asarray(rng.standard_normal((1, SIDE, SIDE, 3)), np.float32)] for _ in range(3)]
    nodes = {p for p, n in enumerate(graph.nodes) if rule_of(n).integer} - floats
    scheme = Scheme(nodes, ranges_in(model, feeds), integer_ports=ports)
    made = quantized(model, scheme)
    names = [t.name for t in (graph.tensors[i] for i in (*graph.inputs, *graph.outputs))]
    assert [made.main.tensors[i].name for i in (*made.main.inputs, *made.main.outputs)] == names
    kinds = {made.main.tensors[i].dtype.value for i in (*made.main.inputs, *made.main.outputs)}
    assert kinds == ({"int8"} if ports else {"float32"})
    first = made.main.tensors[made.main.inputs[0]]
    fed = feeds[0] if first.quant is None else [_stored(feeds[0][0], first)]
    every_operator_is_within_its_step(made, fed)
    run_litert(made, fed, reference=False)  # with XNNPACK too


def _stored(array: Array, tensor: Tensor) -> Array:
    assert tensor.quant is not None
    info = np.iinfo(tensor.dtype.value)
    steps = np.round(array.astype(np.float64) / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    return np.clip(steps, info.min, info.max).astype(tensor.dtype.numpy)


def is_real(array: Array | None) -> bool:
    return array is not None and array.dtype == np.float32


def _real_case(op: Op, case: Case) -> bool:
    data = [a for i, a in enumerate(case.inputs) if i not in op.quant.passthrough and i not in case.constant]
    return op.quant.integer and op.reference is not None and any(map(is_real, data))


CASES = [pytest.param(o, c, id=f"{o.name}-{label(c)}") for o, c in every_case() if _real_case(o, c)]
WIDE = [case for case in CASES if case.values[0].name in INT16]  # type: ignore[attr-defined]


def _float_model(op: Op, case: Case) -> tuple[Model, list[Array], dict[int, tuple[float, float]]]:
    """Returns: the case as a float model, what to feed it, and the ranges of its tensors."""
    types = [None if a is None else type_of(a) for a in case.inputs]
    declared = declared_types(op, case)
    assert op.reference is not None
    results = op.reference(node_of(op, case, len(declared)), list(case.inputs), types, declared)
    model = model_of(op, case, [type_of(r) for r in results])
    fed = [a for i, a in enumerate(case.inputs) if a is not None and i not in case.constant]
    arrays = [*fed, *results]
    indices = [*model.main.inputs, *model.main.outputs]
    ranges = {
        i: (min(0.0, float(a.min())), max(1e-3, float(a.max())))
        for i, a in zip(indices, arrays, strict=True)
        if is_real(a) and a.size
    }
    return model, fed, ranges


@pytest.mark.parametrize("op, case", CASES)
def test_every_integer_operator(op: Op, case: Case) -> None:
    model, fed, ranges = _float_model(op, case)
    made = quantized(model, Scheme({0}, ranges))
    assert all(n.op in (*CONVERSIONS, op.name) for n in made.main.nodes)
    every_operator_is_within_its_step(made, fed)
    run_litert(made, fed, reference=False)


@pytest.mark.parametrize("op, case", WIDE)
def test_operators_on_16_bits(op: Op, case: Case) -> None:
    model, fed, ranges = _float_model(op, case)
    made = quantized(model, Scheme({0}, ranges, activations=DType.INT16))
    every_operator_is_within_its_step(made, fed, STEPS_16)
    run_litert(made, fed, reference=False)


def chain(*nodes: tuple[str, tuple[int, ...], tuple[int, ...], str, dict[str, object]], count: int) -> Graph:
    """A graph on values [1, 4, 4, 2], the first of which is the input and the last the output."""
    tensors = tuple(Tensor(f"t{i}", TensorType((1, 4, 4, 2), DType.FLOAT32)) for i in range(count))
    return Graph(
        tensors, tuple(Node(*node[:2], node[2], node[4], node[3]) for node in nodes), (0,), (count - 1,)
    )


def test_demands_that_conflict_get_a_requantization() -> None:
    """The sigmoid's fixed scale cannot hold what it is compared with."""
    graph = chain(
        ("LOGISTIC", (0,), (1,), "", {}),
        ("MAXIMUM", (0, 1), (2,), "MaximumMinimumOptions", {}),
        count=3,
    )
    ranges = {0: (-8.0, 8.0), 1: (0.0, 1.0), 2: (-8.0, 8.0)}
    made = quantized(Model((graph,)), Scheme({0, 1}, ranges, integer_ports=True))
    ops = [n.op for n in made.main.nodes]
    assert ops == ["LOGISTIC", "QUANTIZE", "MAXIMUM"]
    quants = [made.main.tensors[i].quant for i in made.main.nodes[2].inputs]
    assert quants[0] == quants[1] == made.main.tensors[made.main.outputs[0]].quant
    fed = np.arange(-128, -128 + 32, dtype=np.int8).reshape(1, 4, 4, 2)
    every_operator_is_within_its_step(made, [fed])


def test_relu_is_left_to_rounding_only_where_the_scale_ends_at_zero() -> None:
    fed = np.arange(-128, -128 + 32, dtype=np.int8).reshape(1, 4, 4, 2) * 4
    relu = ("RELU", (0,), (1,), "", {})
    for ranges, op in (
        ({0: (-8.0, 8.0), 1: (0.0, 8.0)}, "QUANTIZE"),
        ({0: (-8.0, 8.0), 1: (-8.0, 8.0)}, "RELU"),
    ):
        made = quantized(Model((chain(relu, count=2),)), Scheme({0}, ranges, integer_ports=True))
        assert [n.op for n in made.main.nodes] == [op]
        (stored,) = run_litert(made, [fed], reference=False)
        low, _, step = limits_of(made.main.tensors[made.main.outputs[0]])
        given = (fed.astype(np.float64) - made.main.tensors[0].quant.zero_point[0]) * (16 / 255)
        assert np.allclose(
            (stored.astype(np.float64) + 128) * step + low, np.maximum(given, 0), atol=STEPS * step
        )


def test_negation_saturates_where_litert_s_own_kernel_wraps() -> None:
    graph = chain(("NEG", (0,), (1,), "NegOptions", {}), count=2)
    fed = np.arange(-128, -96, dtype=np.int8).reshape(1, 4, 4, 2)
    made = quantized(Model((graph,)), Scheme({0}, {0: (-1.0, 1.0), 1: (-1.0, 1.0)}, integer_ports=True))
    assert [n.op for n in made.main.nodes] == ["MUL"]
    every_operator_is_within_its_step(made, [fed])
    (stored,) = run_litert(made, [fed], reference=False)
    assert (stored > 90).all()


def test_a_narrow_tensor_keeps_its_steps_for_other_readers() -> None:
    graph = chain(
        ("ABS", (0,), (1,), "AbsOptions", {}),
        ("MAXIMUM", (0, 1), (2,), "MaximumMinimumOptions", {}),
        ("ELU", (1,), (3,), "", {}),
        ("ADD", (2, 3), (4,), "AddOptions", {"fused_activation_function": "NONE"}),
        count=5,
    )
    ranges = {0: (-100.0, 100.0), 1: (0.0, 1.0), 2: (-100.0, 100.0), 3: (0.0, 1.0), 4: (-100.0, 101.0)}
    made = quantized(Model((graph,)), Scheme({0, 1, 2, 3}, ranges)).main
    elu = next(n for n in made.nodes if n.op == "ELU")
    assert made.tensors[elu.inputs[0]].quant == quant_of((0.0, 1.0))


def test_exact_weights_and_scales_are_written_as_given() -> None:
    model = Net((1, 6, 6, 3)).conv(4).model()
    graph = model.main
    kernel, bias = graph.nodes[0].inputs[1:]
    rng = np.random.default_rng(0)
    integers = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scales = Quant(np.full(4, 0.01, np.float32), np.zeros(4, np.int64), 0)
    given = {0: Quant.of(0.5, 7), graph.outputs[0]: Quant.of(0.25, -128)}
    scheme = Scheme({0}, {}, {kernel: Stored(integers, scales, DType.INT8)}, given, integer_ports=True)
    made = quantized(model, scheme).main
    assert np.array_equal(made.tensors[made.nodes[0].inputs[1]].data, integers)
    assert made.tensors[made.nodes[0].inputs[1]].quant == scales
    assert made.tensors[made.inputs[0]].quant == given[0]
    assert made.tensors[made.outputs[0]].quant == given[graph.outputs[0]]
    stored = made.tensors[made.nodes[0].inputs[2]]
    assert stored.dtype is DType.INT32
    assert np.allclose(stored.quant.scale, 0.5 * 0.01)
    assert np.allclose(stored.data * 0.005, graph.tensors[bias].data, atol=0.0026)


def test_int4_weights_run_and_take_half_of_the_bytes() -> None:
    model = Net((1, 6, 6, 3)).conv(4).model()
    index = model.main.nodes[0].inputs[1]
    values = model.main.tensors[index].data
    weights = store_symmetric(values, np.abs(values).max(axis=(1, 2, 3)).astype(np.float64), 0, DType.INT4)
    scheme = Scheme({0}, {0: (-3.0, 3.0), model.main.outputs[0]: (0.0, 4.0)}, {index: weights})
    made = quantized(model, scheme)
    stored = made.main.tensors[next(n for n in made.main.nodes if n.op == "CONV_2D").inputs[1]]
    assert (stored.dtype, stored.stored_nbytes) == (DType.INT4, values.size // 2)
    x = np.asarray(np.random.default_rng(0).standard_normal((1, 6, 6, 3)), np.float32)
    wanted, got = (run_litert(m, [x], reference=False)[0] for m in (model, made))
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.97


def test_a_bias_that_does_not_fit_is_refused() -> None:
    model = Net((1, 6, 6, 3)).conv(4).model()
    kernel = model.main.nodes[0].inputs[1]
    tiny = Quant(np.full(4, 1e-12, np.float32), np.zeros(4, np.int64), 0)
    given = {kernel: Stored(np.ones((4, 3, 3, 3), np.int8), tiny, DType.INT8)}
    with pytest.raises(RecipeError, match=r"conv_2d_0: its bias is .* steps of its scale, int32 holds"):
        write_integer(model.main, Scheme({0}, {0: (0, 1), model.main.outputs[0]: (0, 1)}, given))
    with pytest.raises(RecipeError, match="no range for tensor 'input'"):
        write_integer(model.main, Scheme({0}, {}))


@pytest.mark.parametrize(
    "chosen", [(0.0, 0.0), (2.0, 5.0), (-5.0, -2.0), (np.nan, 3.0), (-1.0, np.inf), (1e-40, 1e-39)]
)
@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT16])
def test_every_range_gives_a_usable_scale(chosen: tuple[float, float], dtype: DType) -> None:
    quant = quant_of(chosen, dtype)
    info = np.iinfo(dtype.value)
    assert 0 < quant.scale[0] < np.inf
    assert info.min <= quant.zero_point[0] <= info.max  # zero is representable
    held = [(v - int(quant.zero_point[0])) * float(quant.scale[0]) for v in (info.min, info.max)]
    for end, limit in zip(chosen, held, strict=True):
        if np.isfinite(end) and np.isfinite(limit):
            assert min(held[0], 0) - quant.scale[0] <= end <= max(held[1], 0) + quant.scale[0] or limit == end


def test_a_tables_rows_are_kept_whole_whatever_was_looked_up() -> None:
    table = Tensor(
        "table", TensorType((4, 2), DType.FLOAT32), np.array([[9, -9], [1, 0], [0, 1], [1, 1]], "f")
    )
    ids = Tensor("ids", TensorType((3,), DType.INT32))
    found = Tensor("found", TensorType((3, 2), DType.FLOAT32))
    node = Node("GATHER", (1, 0), (2,), {"axis": 0, "batch_dims": 0}, "GatherOptions")
    model = Model((Graph((ids, table, found), (node,), (0,), (2,)),))
    made = quantized(model, Scheme({0}, {2: (0.0, 1.0)}))
    (rows,) = run_litert(made, [np.array([0, 2, 3], np.int32)], reference=False)
    assert np.allclose(rows, table.data[[0, 2, 3]], atol=9 / 127)


def test_ports_that_meet_directly_and_twice() -> None:
    tensors = (Tensor("x", TensorType((1, 4), DType.FLOAT32)), Tensor("y", TensorType((1, 4), DType.FLOAT32)))
    graph = Graph(tensors, (Node("ELU", (0,), (1,)),), (0,), (0, 1, 1))
    x = np.array([[-1.0, 0.0, 0.5, 1.0]], np.float32)
    for ports in (False, True):
        made = quantized(Model((graph,)), Scheme({0}, {0: (-1, 1), 1: (-1, 1)}, integer_ports=ports))
        assert len(made.main.outputs) == 3
        first = made.main.tensors[made.main.inputs[0]]
        fed = _stored(x, first) if ports else x
        assert np.array_equal(run_litert(made, [fed], reference=False)[0], fed)


def test_two_readers_in_integers_and_two_in_float_convert_once_each() -> None:
    graph = chain(
        ("ELU", (0,), (1,), "", {}),
        ("ELU", (1,), (2,), "", {}),
        ("TANH", (1,), (3,), "", {}),
        ("LOGISTIC", (1,), (4,), "", {}),
        ("ADD", (3, 4), (5,), "AddOptions", {"fused_activation_function": "NONE"}),
        ("ADD", (2, 5), (6,), "AddOptions", {"fused_activation_function": "NONE"}),
        count=7,
    )
    ranges = dict.fromkeys(range(7), (-3.0, 3.0))
    made = quantized(Model((graph,)), Scheme({0, 1}, ranges)).main
    ops = [n.op for n in made.nodes]
    assert ops.count("QUANTIZE") == 1  # the input
    assert ops.count("DEQUANTIZE") == 2  # t1 for both float readers, t2
