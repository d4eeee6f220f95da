"""Real networks in PyTorch: which operators gradients cannot pass, and that the answers are LiteRT's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.prepare import fold
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.ops.registry import find, find_for
from sanderling.passes import run
from sanderling.tflite import read
from sanderling.training.net import Net
from tests.ops.single import fed_arrays, model_of, node_of, operands_of, run_litert
from tests.passes.test_firing import with_shape

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

# Operators of the zoo's float models that are known to have no form in PyTorch.
MISSING: set[str] = set()
# Between them: float16 and sparse weights, shape arithmetic, a custom operator, an audio network.
COMPARED = [
    "basic_pitch", "face_detection_full_range_sparse", "face_landmark_fp16", "mlperf_tiny_kws_fp32",
    "selfie_segmentation", "mlperf_tiny_anomaly_fp32",
]  # fmt: skip


def prepared(model: Model) -> Model:
    """Returns: the model as it is trained."""
    return run(fold(model), ("replace_transpose_conv_bias",))[0]


@pytest.fixture(params=COMPARED)
def path(zoo_dir: Path, request: pytest.FixtureRequest) -> Path:
    found = zoo_dir / "tflite" / f"{request.param}.tflite"
    if not found.exists():
        pytest.skip(f"there is no {found}")
    return found


def float_models(folder: Path) -> Iterator[tuple[str, Graph]]:
    for path in sorted((folder / "tflite").glob("*.tflite")):
        model = read(path)
        values = [tensor for tensor in model.main.tensors if not tensor.is_constant]
        if not any(tensor.type.is_quantized for tensor in values):
            yield path.stem, prepared(model).main


def drawn(graph: Graph, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, graph.tensors[i].shape).astype(np.float32) for i in graph.inputs]


def test_only_these_operators_stop_gradients(zoo_dir: Path) -> None:
    models = dict(float_models(zoo_dir))
    if not models:
        pytest.skip(f"no float .tflite files in {zoo_dir}")
    missing = {
        (node.kind, name)
        for name, graph in models.items()
        for node in graph.nodes
        if (op := find_for(node)) is None or op.torch is None
    }
    assert {kind for kind, _ in missing} == MISSING, sorted(missing)


def test_sizes_that_callers_may_change_follow_from_the_inputs() -> None:
    """What the file declares for the results of such a model's RESHAPE need not be what it gives."""
    model = with_shape(open_batch=True)
    tensors = list(model.main.tensors)
    (result,) = model.main.nodes[-1].outputs
    shape = tensors[result].shape
    tensors[result] = replace(tensors[result], type=replace(tensors[result].type, shape=(1, 1)))
    graph = replace(model.main, tensors=tuple(tensors))
    for samples in (1, 2):
        x = torch.rand((samples * shape[0], *shape[1:]))
        values = Net(torch, graph).run([x])
        assert tuple(values[result].shape) == (samples * shape[0], *shape[1:])


@pytest.mark.parametrize(
    "name",
    [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_3D",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "SVDF",
    ],
)
def test_layers_learn_all_that_they_have(name: str) -> None:
    op = find(name)
    assert op is not None
    assert op.cases is not None
    for case in op.cases(np.random.default_rng(0)):
        kinds = op.infer(node_of(op, case, 1), operands_of(case), [])
        graph = model_of(op, case, kinds).main
        net = Net(torch, graph)
        assert len(net.weights) == len(case.constant)
        (x,) = fed_arrays(case)
        (result,) = net.run([torch.from_numpy(x)]).values()
        torch.square(result).sum().backward()
        assert all(weight.grad is not None for weight in net.weights.values())


def test_every_weight_learns_from_two_samples_at_once(path: Path) -> None:
    graph = prepared(read(path)).main
    net = Net(torch, graph)
    samples = [drawn(graph, seed) for seed in range(2)]
    together = net.run([torch.from_numpy(np.concatenate(pair)) for pair in zip(*samples, strict=True)])
    torch.stack([torch.square(value).mean() for value in together.values()]).sum().backward()
    assert net.weights
    assert not [graph.tensors[i].name for i, weight in net.weights.items() if weight.grad is None]
    with torch.no_grad():
        alone = [net.run([torch.from_numpy(array) for array in sample]) for sample in samples]
    for index, value in together.items():
        wanted = torch.cat([values[index] for values in alone])
        scale = float(wanted.abs().max().clamp(min=1e-6))
        assert torch.allclose(value.detach(), wanted, rtol=0, atol=1e-4 * scale)


def test_it_answers_as_litert_does(path: Path) -> None:
    model = read(path)
    plain = prepared(model)
    feed = drawn(plain.main, 3)
    with torch.no_grad():
        values = Net(torch, plain.main).run([torch.from_numpy(array) for array in feed])
    # LiteRT's reference kernels do not know MediaPipe's own operator, which is a builtin one by now.
    exact, fast = run_litert(plain, feed, reference=True), run_litert(model, feed, reference=False)
    for index, wanted, other in zip(plain.main.outputs, exact, fast, strict=True):
        bound = max(1e-4 * float(np.abs(wanted).max()), 2 * float(np.abs(wanted - other).max()))
        np.testing.assert_allclose(values[index].numpy(), wanted, rtol=0, atol=bound)
