"""Any graph runs: on the GPU what can, in LiteRT the rest, with a reason for every operator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from sanderling.engines.webgpu import ENGINE
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.engines.webgpu.runner import WebGPURunner
from sanderling.errors import InputMismatch, UsageError
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.session import Session
from tests.conformance.test_reference_engine import branching, looping
from tests.engines import models
from tests.lite.networks import memory
from tests.models import Net, classifier, run_litert, save
from tests.ops.test_recurrent import integer_lstm
from tests.webgpu.making import CLOSE, compare


def runner_of(session: Session) -> WebGPURunner:
    return cast(WebGPURunner, session._runner)


def devices(session: Session) -> list[str]:
    return [row.engine for row in session.placement]


def agree(path: Path, *inputs: np.ndarray, **options: object) -> Session:
    """Compares a few calls in a row with LiteRT. Returns: the session, open."""
    session = Session(path, engine="webgpu", **options)  # type: ignore[arg-type]
    wanted = run_litert(path, *inputs)
    for _ in range(2):
        answer = session(*inputs)
        answers = list(answer.values()) if isinstance(answer, dict) else [answer]
        for mine, theirs in zip(answers, wanted, strict=True):
            compare(mine, theirs, CLOSE)
    return session


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def through_float64() -> Model:
    """conv → float64 and back → conv: the middle cannot be stored in a GPU buffer."""
    net = Net((1, 32, 32, 8)).conv(32)
    before = net.last
    kind = (1, 32, 32, 32)
    net.op("CAST", kind, (), "CastOptions", in_data_type="float32", out_data_type="float64")
    net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType(kind, DType.FLOAT64))
    net.op("CAST", kind, (), "CastOptions", in_data_type="float64", out_data_type="float32")
    net.op("ADD", kind, (before,), "AddOptions", fused_activation_function="NONE")
    return net.conv(8).model()


def test_what_cannot_be_stored_runs_on_the_cpu_with_a_reason(device: Device, tmp_path: Path) -> None:
    path = save(through_float64(), tmp_path / "m.tflite")
    with agree(path, image(1, 32, 32, 8)) as session:
        rows = session.placement
        assert devices(session) == ["webgpu", "litert", "litert", "webgpu", "webgpu"]
        for row in rows[1:3]:
            assert "float64[1x32x32x32]" in row.reason
            assert "cast_" in row.reason
        assert all(row.reason for row in rows)
        assert all(row.est_ms is not None for row in rows)
        plan = runner_of(session).plan
        assert [piece.device for piece in plan.pieces] == ["gpu", "cpu", "gpu"]


def test_a_rank_of_six(device: Device, tmp_path: Path) -> None:
    net = Net((1, 16, 16, 16)).conv(64).reshape(1, 4, 4, 4, 4, 64)
    order = net.constant(np.array([0, 5, 1, 3, 2, 4], np.int32), "order")
    net.op("TRANSPOSE", (1, 64, 4, 4, 4, 4), (order,), "TransposeOptions")
    path = save(net.model(), tmp_path / "m.tflite")
    with agree(path, image(1, 16, 16, 16)) as session:
        assert devices(session)[2] == "litert"  # an output keeps its dimensions
        assert "has rank 6" in session.placement[2].reason
        assert devices(session)[0] == "webgpu"
    path = save(net.reshape(1, 16384).dense(5).model(), tmp_path / "inside.tflite")
    with agree(path, image(1, 16, 16, 16)) as session:
        assert set(devices(session)) == {"webgpu"}


@pytest.mark.parametrize("go", [True, False])
def test_control_flow_stays_on_the_cpu(device: Device, tmp_path: Path, go: bool) -> None:
    path = save(branching(), tmp_path / "m.tflite")
    with agree(path, np.array(go), np.array([3, 4], np.float32)) as session:
        assert devices(session) == ["litert"]
        assert "IF has no GPU kernel" in session.placement[0].reason


def test_a_loop(device: Device, tmp_path: Path) -> None:
    path = save(looping(), tmp_path / "m.tflite")
    agree(path, np.array(2, np.int32), np.array([3, 4], np.float32)).close()


def test_a_resource_variable_is_the_session_s(device: Device, tmp_path: Path) -> None:
    x = np.array([[1, 2, 3, 4]], np.float32)
    with Session(save(models.running_sum(), tmp_path / "m.tflite"), engine="webgpu") as session:
        for times in (1, 2, 3):
            np.testing.assert_array_equal(session(x), times * x)
        session.reset()
        np.testing.assert_array_equal(session(x), x)
        session.rebuild()
        np.testing.assert_array_equal(session(x), 2 * x)
        assert devices(session) == ["session", "session", "session", "webgpu", "session"]
        assert "kept by the session" in session.placement[0].reason


def test_a_variable_that_cannot_be_taken_out_stays_in_one_piece(device: Device, tmp_path: Path) -> None:
    """Its first value is computed, not stored."""
    model = models.running_sum()
    start = model.graphs[1]
    tensors = (*start.tensors, Tensor("half", start.tensors[1].type))
    odd = Node("CUSTOM", (1,), (2,), custom_code="Odd")
    nodes = (start.nodes[0], odd, Node("ASSIGN_VARIABLE", (0, 2), ()))
    computed = replace(model, graphs=(model.main, replace(start, tensors=tensors, nodes=nodes)))
    stuck = lift(computed)
    assert not stuck.states
    assert "holds Odd" in stuck.reason
    assert ENGINE.supports(computed)[0].reason == stuck.reason


def test_a_variable_tensor_is_the_session_s(device: Device, tmp_path: Path) -> None:
    path = save(memory(), tmp_path / "m.tflite")
    feeds = [image(1, 2) + i for i in range(4)]
    with Session(path) as cpu, Session(path, engine="webgpu") as gpu:
        for x in feeds:
            compare(np.asarray(gpu(x)), np.asarray(cpu(x)), CLOSE)
        cpu.reset()
        gpu.reset()
        compare(np.asarray(gpu(feeds[0])), np.asarray(cpu(feeds[0])), CLOSE)
        assert devices(gpu) == ["webgpu"]


def test_a_streaming_model_runs_on_the_gpu(device: Device, zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    rng = np.random.default_rng(0)
    with Session(path) as cpu, Session(path, engine="webgpu") as gpu:
        (port,) = gpu.inputs
        for _ in range(6):
            x = rng.integers(-128, 127, port.type.shape, np.int8)
            a, b = np.asarray(gpu(x), int), np.asarray(cpu(x), int)
            assert np.abs(a - b).max() <= 1
        kinds = {row.operator: row.engine for row in gpu.placement}
        assert kinds["CONV_2D"] == "webgpu"
        assert kinds["READ_VARIABLE"] == "session"


def where() -> Model:
    """The positions of positive elements, and the network beside it: a shape that depends on values."""
    net = Net((1, 12, 12, 3)).conv(8)
    main = net.last
    zero = net.constant(np.zeros(1, np.float32), "zero")
    net.op("GREATER", (1, 12, 12, 8), (zero,), "GreaterOptions")
    net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType((1, 12, 12, 8), DType.BOOL))
    net.op("WHERE", (1152, 4), (), "WhereOptions")
    net.tensors[net.last] = replace(net.tensors[net.last], type=TensorType((1152, 4), DType.INT64))
    found = net.last
    net.op("CAST", (1152, 4), (), "CastOptions", in_data_type="int64", out_data_type="float32")
    net.op("ABS", (1152, 4))
    positions = net.last
    net.last = main
    graph = net.conv(8).model(signature=False).main
    return Model((replace(graph, outputs=(*graph.outputs, positions, found)),))


def test_a_shape_that_depends_on_values(device: Device, tmp_path: Path) -> None:
    path = save(where(), tmp_path / "m.tflite")
    session = Session(path, engine="webgpu")
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((1, 12, 12, 3)).astype(np.float32)
        answer = session(x)
        assert isinstance(answer, dict)
        for mine, wanted in zip(answer.values(), run_litert(path, x), strict=True):
            compare(mine, wanted, CLOSE)
    rows = {row.operator: row for row in session.placement}
    assert rows["ABS"].engine == "litert"
    assert "sizes depend on values" in rows["ABS"].reason
    assert rows["CONV_2D"].engine == "webgpu"
    session.close()


def test_pins(device: Device, tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    x = image(1, 12, 12, 1)
    name = classifier().main.tensors[classifier().main.nodes[2].outputs[0]].name
    for pin, wanted in (
        ({"MAX_POOL_2D": "cpu"}, [1]), ({0: "cpu"}, [0]), ({"0": "cpu"}, [0]), ({name: "cpu"}, [2]),
        ({"conv_2d": "cpu", 2: "gpu"}, [0]), ({}, []),
    ):  # fmt: skip
        with agree(path, x, pin=pin) as session:
            rows = session.placement
            assert [r.index for r in rows if r.reason == "pinned to the CPU"] == wanted
            assert all(rows[i].engine == "litert" for i in wanted)
            if pin.get(2) == "gpu":
                assert (rows[2].engine, rows[2].reason) == ("webgpu", "pinned to the GPU")


@pytest.mark.parametrize(
    "pin, message",
    [({"CONV_3D": "cpu"}, "is no operator of the model"), ({9: "cpu"}, "is no operator"),
     ({0: "tpu"}, "'tpu'"), ({1.5: "cpu"}, "has the key 1.5"), (["cpu"], "expected for example"),
     ({1: "gpu"}, "pinned to the GPU, but .*float64")],
)  # fmt: skip
def test_wrong_pins(device: Device, tmp_path: Path, pin: object, message: str) -> None:
    path = save(through_float64(), tmp_path / "m.tflite")
    with pytest.raises(UsageError, match=message):
        Session(path, engine="webgpu", pin=pin)  # type: ignore[arg-type]


def test_integers_cross_as_they_are(device: Device, zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "mlperf_tiny_kws_int8.tflite"
    x = np.random.default_rng(0).integers(-99, 99, (1, 49, 10, 1), np.int8)
    with Session(path, engine="webgpu", pin={4: "cpu"}) as session:
        assert np.abs(np.asarray(session(x), int) - run_litert(path, x)[0]).max() <= 1
        runner = runner_of(session)
        graph = runner.loaded.graph
        for piece in runner.plan.pieces:
            assert {graph.tensors[i].dtype for i in (*piece.inputs, *piece.outputs)} == {DType.INT8}
        assert len(runner.plan.pieces) == 3


def test_sizes_that_the_file_does_not_leave_open_may_change_as_in_litert(
    device: Device, tmp_path: Path
) -> None:
    path = save(Net((1, 8, 8, 3)).conv(5).pool().model(), tmp_path / "m.tflite")
    runner = runner_of(Session(path, engine="webgpu"))
    x = image(2, 10, 8, 3)
    (mine,) = runner.run([x])
    alone = save(Net((1, 10, 8, 3)).conv(5).pool().model(), tmp_path / "n.tflite")
    compare(mine, np.concatenate([run_litert(alone, x[i : i + 1])[0] for i in (0, 1)]), CLOSE)
    with pytest.raises(InputMismatch, match="has shape"):
        runner.run([x[0]])
    assert runner.run([image(1, 8, 8, 3)])[0].shape == (1, 4, 4, 5)


def test_a_shape_that_the_model_cannot_take(device: Device, tmp_path: Path) -> None:
    runner = runner_of(Session(save(classifier(), tmp_path / "m.tflite"), engine="webgpu"))
    with pytest.raises(InputMismatch, match="does not work with inputs of"):
        runner.run([image(1, 14, 14, 1)])
    assert runner.run([image(1, 12, 12, 1)])[0].shape == (1, 5)


def test_outputs_that_are_inputs_constants_or_twice_the_same(device: Device, tmp_path: Path) -> None:
    graph = Net((1, 4)).op("ABS", (1, 4)).model(signature=False).main
    tensors = (*graph.tensors, Tensor("c", TensorType((2,), DType.FLOAT32), np.array([5, 6], np.float32)))
    odd = Graph(tensors, graph.nodes, (0,), (0, 1, 2))
    path = tmp_path / "m.tflite"
    save(Model((odd,), (Signature("s", (("x", 0),), (("a", 0), ("b", 1), ("c", 2))),)), path)
    with Session(path, engine="webgpu") as session:
        answer = session(np.array([[-1, 2, -3, 4]], np.float32))
        assert isinstance(answer, dict)
        assert answer["a"].tolist() == [[-1, 2, -3, 4]]
        assert answer["b"].tolist() == [[1, 2, 3, 4]]
        assert answer["c"].tolist() == [5, 6]


def test_reasons_need_no_gpu() -> None:
    verdicts = ENGINE.supports(through_float64())
    assert [bool(v) for v in verdicts] == [True, False, False, True, True]
    assert "float64" in verdicts[1].reason


def test_what_follows_from_shapes_is_computed_at_loading(device: Device, tmp_path: Path) -> None:
    net = Net((3, 1, 4))

    def whole(op: str, inputs: tuple[int, ...], shape: tuple[int, ...], options: str, **attrs: object) -> int:
        net.tensors.append(Tensor(f"{op}_{len(net.tensors)}", TensorType(shape, DType.INT32)))
        net.nodes.append(Node(op, inputs, (len(net.tensors) - 1,), attrs, options))
        return len(net.tensors) - 1

    shape = whole("SHAPE", (0,), (3,), "ShapeOptions", out_type="int32")
    wanted = net.constant(np.array([5, 4], np.int32), "wanted")
    target = whole("BROADCAST_ARGS", (shape, wanted), (3,), "")
    net.op("BROADCAST_TO", (3, 5, 4), (target,))
    net.nodes[-1] = replace(net.nodes[-1], version=2)
    rank = whole("RANK", (0,), (), "RankOptions")
    number = whole("CAST", (rank,), (), "CastOptions", in_data_type="int32", out_data_type="float32")
    net.tensors[number] = replace(net.tensors[number], type=TensorType((), DType.FLOAT32))
    net.op("MUL", (3, 5, 4), (number,), "MulOptions", fused_activation_function="NONE")
    with agree(save(net.model(), tmp_path / "m.tflite"), image(3, 1, 4)) as session:
        engines = {row.operator: row.engine for row in session.placement}
        assert [engines[op] for op in ("BROADCAST_TO", "MUL")] == ["webgpu", "webgpu"]
        for row in session.placement:
            if row.operator in ("SHAPE", "BROADCAST_ARGS", "RANK", "CAST"):
                assert (row.engine, "computed once, at loading" in row.reason) == ("session", True)


def test_a_state_in_integers_stays_on_the_cpu_with_a_reason(device: Device, tmp_path: Path) -> None:
    model = integer_lstm(0, coupled=False, peephole=False, zero=3, time_major=True)
    (verdict,) = ENGINE.supports(model)
    assert "h is a variable, int8[2x4]: only float32 states" in verdict.reason
    x = np.random.default_rng(0).integers(-128, 128, (5, 2, 3)).astype(np.int8)
    path = save(model, tmp_path / "m.tflite")
    with Session(path, engine="webgpu") as gpu, Session(path, engine="litert") as cpu:
        for _ in range(3):
            np.testing.assert_array_equal(gpu(x), cpu(x))
        assert gpu.placement[0].engine == "litert"
