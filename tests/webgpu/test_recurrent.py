"""Recurrent layers on the GPU: their state is the session's, call after call as in LiteRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.graphs.cells import lift_cells, settle
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Verdict
from sanderling.ops import _gpu_walk
from sanderling.ops.kernel import Kernel, Limits
from sanderling.ops.registry import find
from sanderling.runtime.session import Session
from tests.models import save
from tests.ops.single import model_of, run_litert, type_of
from tests.webgpu.making import CLOSE, compare, compiled, prepared, run_once
from tests.webgpu.recurrent_made import Recurrent, hybrid, inputs, stacked

ROUNDED = 3e-2  # LiteRT rounds what meets 8-bit weights to 8 bits


def agree(
    path: Path, feeds: list[np.ndarray], bound: float = CLOSE, *, rebuild: bool = True, **options: object
) -> list[str]:
    """Compares calls in a row, after a reset and after a rebuild. Returns: where the operators ran."""
    with Session(path, engine="litert") as cpu, Session(path, engine="webgpu", **options) as gpu:  # type: ignore[arg-type]
        for number, x in enumerate(feeds):
            if number == 2 and rebuild:
                gpu.rebuild()  # the state stays
            compare(gpu(x), cpu(x), bound)
        cpu.reset()
        gpu.reset()
        compare(gpu(feeds[1]), cpu(feeds[1]), bound)
        return [row.engine for row in gpu.placement]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_layers_over_sequences(device: Device, tmp_path: Path, steps: int, batch: int) -> None:
    model = stacked(steps, batch)
    places = agree(save(model, tmp_path / "m.tflite"), inputs(model, 4))
    assert set(places) == {"webgpu"}


def test_weights_of_8_bits(device: Device, tmp_path: Path) -> None:
    model = hybrid(stacked(5, 2))
    places = agree(save(model, tmp_path / "m.tflite"), inputs(model, 3), ROUNDED)
    assert set(places) == {"webgpu"}
    # Integers are multiplied as they are, and the input is not rounded: the same as with floats.
    tensors = [
        replace(t, type=replace(t.type, dtype=DType.FLOAT32, quant=None), data=real(t))
        if t.type.is_quantized
        else t
        for t in model.main.tensors
    ]
    floats = model.with_main(replace(model.main, tensors=tuple(tensors)))
    feed = inputs(model, 1)
    compare(run_once(device, model, feed)[0], run_litert(floats, feed, reference=True)[0], CLOSE)


def test_a_state_goes_to_the_cpu_with_its_operator(device: Device, tmp_path: Path) -> None:
    model = stacked(4, 2)
    path = save(model, tmp_path / "m.tflite")
    pin = {"UNIDIRECTIONAL_SEQUENCE_RNN": "cpu", "UNIDIRECTIONAL_SEQUENCE_LSTM": "gpu"}
    places = agree(path, inputs(model, 4), pin=pin)
    assert places[:3] == ["webgpu", "litert", "webgpu"]
    kinds = dict.fromkeys(node.op for node in model.main.nodes)
    assert set(agree(path, inputs(model, 4), pin=dict.fromkeys(kinds, "cpu"))) == {"litert"}


def test_a_filter_with_a_memory(device: Device, tmp_path: Path) -> None:
    model = Recurrent((2, 6), 1).svdf(10, 2, 5).svdf(8, 1, 4).dense(3).model()
    assert set(agree(save(model, tmp_path / "m.tflite"), inputs(model, 8))) == {"webgpu"}


@pytest.mark.parametrize("units", [3, 60, 300])
def test_every_size_of_a_layer(device: Device, tmp_path: Path, units: int) -> None:
    """Threads that share a cell, a thread for each, several cells for one."""
    model = Recurrent((2, 4, 6), 1).lstm(units).rnn(units).model()
    assert set(agree(save(model, tmp_path / "m.tflite"), inputs(model, 3))) == {"webgpu"}


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
@pytest.mark.parametrize("units", [4, 21])
def test_every_variant_gives_the_same_answer(device: Device, kind: str, units: int) -> None:
    lifted = lift(getattr(Recurrent((2, 3, 9), 1), kind)(units).model())
    graph = prepared(lifted.model).main
    feed = [*inputs(lifted.model, 1), *(state.initial for state in lifted.states)]
    limits = device.adapter.kernel_limits()
    answers, names = [], set()
    for allowed in (limits, replace(limits, software=False, uniform_bytes=0)):
        target = replace(target_of(device.adapter), kernels=allowed)
        found = variants(graph, graph.nodes[0], allowed)
        assert not isinstance(found, Verdict)
        for variant in found:
            names.add(variant.name.partition("_")[0])
            executor = Executor(compiled(lifted.model, target, choose={0: variant.name}), device)
            answers.append(executor.run(feed))
            executor.close()
    assert names == {"loop", "steps"}
    for answer in answers[1:]:
        for mine, first in zip(answer, answers[0], strict=True):
            compare(mine, first, CLOSE)


def walks(model: Model, limits: Limits | None = None) -> int | str:
    """Returns: the number of dispatches that walk along the steps; or why there are none."""
    graph = prepared(lift(model).model).main
    found = variants(graph, graph.nodes[0], limits or Limits())
    if isinstance(found, Verdict):
        return found.reason
    kernels = [kernel for kernel in found[0].kernels if isinstance(kernel, Kernel)]
    return sum(kernel.body.startswith("recurrent") for kernel in kernels)


def test_a_long_sequence_takes_several_dispatches(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MOST_ROUNDS", "_SOFTWARE_ROUNDS"):
        monkeypatch.setattr(_gpu_walk, name, 100)
    model = Recurrent((2, 23, 6), 1).lstm(10).rnn(6).model()
    assert walks(model) == 8  # of three steps, the last one of two
    assert set(agree(save(model, tmp_path / "m.tflite"), inputs(model, 3))) == {"webgpu"}


def test_what_is_too_long_or_too_large_says_so() -> None:
    assert walks(Recurrent((1, 10000, 4), 1).lstm(8).model()) == 1
    told = walks(Recurrent((1, 60000000, 4), 1).lstm(8).model())
    assert "60000000 steps" in str(told)
    large = Recurrent((1, 2, 1), 1).rnn(3000).model()
    assert walks(large) == 2  # one for each step
    software = Limits(software=True, uniform_bytes=65536)
    assert "the state of its 3000 outputs takes 24576 bytes" in str(walks(large, software))
    assert walks(large, replace(software, workgroup_bytes=32768)) == 1


def shared() -> Model:
    """Two layers with one state: the second goes on where the first stopped."""
    model = Recurrent((1, 3, 4), 1).rnn(4).rnn(4).model()
    first, second = model.main.nodes
    second = replace(second, inputs=(*second.inputs[:4], first.inputs[4]))
    return model.with_main(replace(model.main, nodes=(first, second)))


def test_a_state_of_two_layers_stays_with_them(device: Device, tmp_path: Path) -> None:
    model = shared()
    assert lift_cells(model) == (model, ())
    assert set(agree(save(model, tmp_path / "m.tflite"), inputs(model, 4), rebuild=False)) == {"litert"}
    with Session(tmp_path / "m.tflite", engine="webgpu") as session:
        assert "is a variable" in session.placement[0].reason


def test_damaged_calls_are_refused() -> None:
    """A state that is no variable, and results that are too many or too few."""
    model = Recurrent((1, 3, 4), 1).rnn(4).model()
    graph, node = model.main, model.main.nodes[0]
    tensors = tuple(replace(tensor, is_variable=False) for tensor in graph.tensors)
    plain = replace(graph, tensors=tensors, inputs=(0, node.inputs[4]))
    assert "its state is not one of the session's" in str(walks(model.with_main(plain)))
    more = replace(graph, nodes=(replace(node, outputs=(*node.outputs, *node.outputs)),))
    assert "outputs, expected 2" in str(walks(model.with_main(more)))
    basic = find("LSTM")
    assert basic is not None
    assert basic.cases is not None
    case = next(case for case in basic.cases(np.random.default_rng(0)) if case.name == "basic")
    made = model_of(basic, case, [type_of(np.zeros((2, 3), np.float32))])
    assert "it has 3 outputs, expected 6" in str(walks(made))


def test_what_was_taken_out_can_be_put_back() -> None:
    model = stacked(2, 1)
    taken, states = lift_cells(model)
    assert len(states) == 5
    assert not any(tensor.is_variable for tensor in taken.main.tensors)
    settled = settle(taken)
    assert settled.model.main.inputs == model.main.inputs
    assert settled.model.main.outputs == model.main.outputs
    assert sorted(settled.sources.values()) == sorted(state.source for state in states)
    for mine, wanted in zip(settled.model.main.nodes, model.main.nodes, strict=True):
        assert (mine.outputs, dict(mine.attrs)) == (wanted.outputs, dict(wanted.attrs))


def test_a_state_beside_resource_variables(device: Device, tmp_path: Path) -> None:
    """Both are the session's, each under its own name."""
    from tests.engines.models import running_sum

    base = running_sum()
    count, y = len(base.main.tensors), base.main.outputs[0]
    kind = base.main.tensors[y].type
    square = replace(kind, shape=(4, 4))
    tensors = (
        Tensor("w", square, np.eye(4, dtype=np.float32)),
        Tensor("r", square, np.eye(4, dtype=np.float32) / 2),
        Tensor("b", replace(kind, shape=(4,)), np.ones(4, np.float32)),
        Tensor("h", kind, is_variable=True),
        Tensor("z", kind),
    )
    options = {"fused_activation_function": "NONE", "asymmetric_quantize_inputs": False}
    node = Node("RNN", (y, *range(count, count + 4)), (count + 4,), options, "RNNOptions")
    main = Graph(
        (*base.main.tensors, *tensors), (*base.main.nodes, node), base.main.inputs, (count + 4,), "main"
    )
    path = save(Model((main, *base.graphs[1:])), tmp_path / "m.tflite")
    x = np.array([[1, 2, 3, 4]], np.float32)
    places = agree(path, [x, x / 2, -x, x])
    assert places[-1] == "webgpu"
    assert "session" in places
