"""Loops whose number of steps is known become plain operators, with LiteRT's very answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sanderling import passes
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.passes import unroll_loops
from tests.ops.single import run_litert
from tests.passes.loops import CELLS, FEATURES, STEPS, nested, recurrent


def unrolled(model: Model) -> Model:
    result, notes = passes.run(model, ("unroll_loops",))
    assert notes
    verify(result)
    return result


@pytest.mark.parametrize("steps", [0, 1, 3, STEPS])
def test_a_recurrent_layer_gives_the_same_bits(steps: int) -> None:
    model = recurrent(limit=steps)
    x = np.random.default_rng(1).standard_normal((STEPS, 1, FEATURES)).astype(np.float32)
    result = unrolled(model)
    assert len(result.graphs) == 1
    for mine, wanted in zip(
        run_litert(result, [x], reference=False), run_litert(model, [x], reference=False), strict=True
    ):
        np.testing.assert_array_equal(mine, wanted)


def test_steps_share_weights_and_put_their_results_together_once() -> None:
    graph = unrolled(recurrent()).main
    kinds = Counter(node.op for node in graph.nodes)
    assert kinds["WHILE"] == kinds["SLICE"] == 0
    assert kinds["CONCATENATION"] == 1
    assert kinds["TANH"] == STEPS
    weights = {node.inputs[1] for node in graph.nodes if node.op == "FULLY_CONNECTED"}
    assert sorted(graph.tensors[index].shape for index in weights) == [(CELLS, FEATURES), (CELLS, CELLS)]


def test_loops_within_loops() -> None:
    result = unrolled(nested())
    assert [node.op for node in result.main.nodes] == ["ADD"] * 6 + ["RESHAPE"]
    x = np.array([1, -3], np.float32)
    np.testing.assert_array_equal(run_litert(result, [x], reference=False)[0], 64 * x)


@pytest.mark.parametrize("model", [recurrent(limit=None), recurrent(open_sizes=True)], ids=["steps", "sizes"])
def test_what_only_a_call_knows_stays_a_loop(model: Model) -> None:
    assert unroll_loops.apply(model) == (model, [])


def test_a_loop_without_an_end_stays() -> None:
    model = recurrent()
    body = model.graphs[2]
    stuck = replace(body, outputs=(body.inputs[0], *body.outputs[1:]))
    assert unroll_loops.apply(replace(model, graphs=(*model.graphs[:2], stuck)))[1] == []


def test_weights_that_leave_the_cache_keep_their_loop() -> None:
    model = recurrent()
    read = 4 * STEPS * (CELLS * (FEATURES + CELLS) + CELLS)  # bytes of weights and biases
    assert unroll_loops.apply(model, read)[1] == []
    assert unroll_loops.apply(model, 2 * read)[1] == [f"a loop became its {STEPS} steps"]


def test_other_graphs_stay_and_are_found_again() -> None:
    """A second loop, which cannot be unrolled, calls its graphs by their new numbers."""
    model, other = recurrent(), recurrent(limit=None)
    loop = other.main.nodes[0]
    shift = len(model.main.tensors)
    moved = replace(
        loop,
        inputs=tuple(i + shift for i in loop.inputs),
        outputs=tuple(i + shift for i in loop.outputs),
        attrs={"cond_subgraph_index": 3, "body_subgraph_index": 4},
    )
    main = replace(
        model.main,
        tensors=model.main.tensors + other.main.tensors,
        nodes=(*model.main.nodes, moved),
        inputs=(*model.main.inputs, *(i + shift for i in other.main.inputs)),
        outputs=(*model.main.outputs, *(i + shift for i in other.main.outputs)),
    )
    both = Model((main, *model.graphs[1:], *other.graphs[1:]))
    result = unrolled(both)
    assert len(result.graphs) == 3
    rng = np.random.default_rng(2)
    first, second = (rng.standard_normal((STEPS, 1, FEATURES)).astype(np.float32) for _ in range(2))
    feed = [first, second, np.array(2, np.int32)]
    for mine, wanted in zip(
        run_litert(result, feed, reference=False), run_litert(both, feed, reference=False), strict=True
    ):
        np.testing.assert_array_equal(mine, wanted)


def test_gradients_reach_what_every_step_uses() -> None:
    torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from sanderling.training.net import Net

    model = recurrent()
    net = Net(torch, unrolled(model).main)
    x = np.random.default_rng(1).standard_normal((2 * STEPS, 1, FEATURES)).astype(np.float32)
    values = net.run([torch.from_numpy(x)])
    alone = [run_litert(model, [part], reference=False) for part in np.split(x, 2)]
    for index, parts in zip(net.graph.outputs, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(values[index].detach().numpy(), np.concatenate(parts), atol=1e-5)
    torch.stack([value.square().sum() for value in values.values()]).sum().backward()
    assert len(net.weights) == 3
    assert all(weight.grad.any() for weight in net.weights.values())
