"""Real integer models: every operator, fed LiteRT's own tensors, within one step.

On a desk a few small models; all of them where a GPU is expected (``EXPECT_GPU=1``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sanderling.engines.litert.runner import LiteRTRunner
from sanderling.engines.registry import find
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Verdict
from sanderling.ops.kernel import Limits
from sanderling.tflite import read
from tests.conformance.tolerances import QUANT_1LSB
from tests.models import noise
from tests.webgpu.making import prepared, run_once

SMALL = ("mlperf_tiny_kws_int8", "mlperf_tiny_resnet8_cifar10_int8", "mlperf_tiny_vww_int8")
ALL = os.environ.get("EXPECT_GPU") == "1"


def single_nodes(graph: Graph) -> Iterator[tuple[int, Graph]]:
    """Yields: every node that runs on a GPU by itself, as a graph of its own."""
    for position, node in enumerate(graph.nodes):
        if isinstance(variants(graph, node, Limits()), Verdict):
            continue
        fed = tuple(dict.fromkeys(i for i in node.inputs if i >= 0 and not graph.tensors[i].is_constant))
        yield position, replace(graph, nodes=(node,), inputs=fed, outputs=node.outputs)


def check(device: Device, path: Path) -> int:
    """Compares. Returns: how many operators were."""
    model = read(path)
    litert = find("litert").load(path, model, options={"kernels": "builtin", "preserve_tensors": True})
    assert isinstance(litert, LiteRTRunner)
    compared = 0
    try:
        litert.run(noise(model))
        for position, graph in single_nodes(prepared(model).main):
            inputs = [litert.tensor(i) for i in graph.inputs]
            wanted = [litert.tensor(i) for i in graph.outputs]
            for mine, right in zip(run_once(device, Model((graph,)), inputs), wanted, strict=True):
                try:
                    QUANT_1LSB.check(mine, right)
                except AssertionError as error:
                    raise AssertionError(f"{position}: {graph.nodes[0].kind}: {error}") from None
            compared += 1
    finally:
        litert.close()
    return compared


@pytest.mark.parametrize("name", SMALL)
def test_operators_of_small_models(device: Device, zoo_dir: Path, name: str) -> None:
    assert check(device, zoo_dir / "tflite" / f"{name}.tflite") >= 10


@pytest.mark.skipif(not ALL, reason="minutes on a software adapter: set EXPECT_GPU=1")
def test_operators_of_all_models(device: Device, zoo_dir: Path) -> None:
    for path in sorted((zoo_dir / "tflite").glob("*int8*.tflite")):
        if path.stem not in SMALL:
            check(device, path)
