"""Shortening: which blocks a network has, and what is left without some of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.learning.stream import Block, blocks
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.shorten import apply
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from tests.compress.slim_nets import binary, branches, chain, mobile
from tests.compress.transformer_nets import transformer
from tests.models import Net, noise, run_litert, save


def residual_blocks(count: int, seed: int = 0) -> Model:
    """Blocks that end in a sum and a RELU of its own, behind one that doubles the channels."""
    net = Net((1, 8, 8, 3), seed).conv(8).conv(16)
    for _ in range(count):
        stream = net.last
        binary(net.conv(16).conv(16, activation="NONE"), "ADD", stream).op("RELU", (1, 8, 8, 16))
    return net.pool().reshape(1, 256).dense(4).model()


def _work(model: Model, folder: Path, count: int = 6) -> Work:
    feeds = [dict(zip(model.input_names(), noise(model, seed), strict=True)) for seed in range(count)]
    return Work(folder, save_feeds(feeds, folder))


def _answers(model: Model, folder: Path) -> np.ndarray:
    file = save(model, folder / "answers.tflite")
    return np.array([run_litert(file, *noise(model, seed))[0] for seed in range(90, 94)])


def _silenced(model: Model, gone: list[Block]) -> Model:
    """Returns: the model in which the last weights of these blocks' branches are zero: they add nothing."""
    graph, tensors = model.main, list(model.main.tensors)
    for block in gone:
        made = {index: position for position in block.nodes for index in graph.nodes[position].outputs}
        for position in block.nodes:
            if graph.nodes[position].op != "ADD":
                continue
            for index in graph.nodes[position].inputs:
                node = graph.nodes[made[index]] if index in made else None
                if node is not None and node.op in ("FULLY_CONNECTED", "CONV_2D"):
                    for weights in node.inputs[1:3]:
                        zeros = np.zeros(tensors[weights].shape, np.float32)
                        tensors[weights] = replace(tensors[weights], data=zeros)
    return model.with_main(replace(graph, tensors=tuple(tensors)))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_the_layers_of_a_transformer_are_its_blocks(before: bool, masked: bool) -> None:
    graph = transformer(4, before=before, masked=masked).main
    found = blocks(graph)
    assert len(found) == 4
    assert {block.kind for block in found} == {0}
    assert [a.result for a in found[:-1]] == [b.source for b in found[1:]]
    for block in found:
        kinds = [graph.nodes[position].op for position in block.nodes]
        assert kinds.count("SOFTMAX") == 1
        assert kinds.count("FULLY_CONNECTED") == 6


def test_residual_blocks_of_a_convolutional_network_are_found() -> None:
    found = blocks(residual_blocks(3).main)
    assert [len(block.nodes) for block in found] == [4, 4, 4]
    assert len(blocks(mobile().main)) == 1  # one alone is a block, too
    assert blocks(chain().main) == []
    assert blocks(branches().main) == []


def test_what_is_read_from_outside_is_no_block() -> None:
    net = Net((1, 8, 8, 16))
    binary(net.conv(16).conv(16, activation="NONE"), "ADD", net.last)
    stream = net.last
    binary(net.conv(16), "ADD", stream)
    model = net.model()
    assert len(blocks(model.main)) == 1
    inner = model.main.nodes[-2].outputs[0]
    seen = replace(model.main, outputs=(*model.main.outputs, inner))
    assert blocks(seen) == []


@pytest.mark.parametrize("model", [transformer(4), transformer(3, masked=True), residual_blocks(3)])
@pytest.mark.parametrize("keep", [[0], [2], [0, 2], [1, 2]])
def test_a_block_that_adds_nothing_goes_without_loss(model: Model, keep: list[int], tmp_path: Path) -> None:
    found = blocks(model.main)
    silent = _silenced(model, [block for number, block in enumerate(found) if number not in keep])
    short, applied = apply(silent, {"keep": keep}, Work(tmp_path))
    verify(short)
    assert f"{len(keep)} of {len(found)} blocks remain" in applied.notes[0]
    assert len(short.main.nodes) < len(model.main.nodes)
    assert short.input_names() == model.input_names()
    assert short.output_names() == model.output_names()
    np.testing.assert_allclose(_answers(short, tmp_path), _answers(silent, tmp_path), atol=1e-5)


def test_the_silent_blocks_are_those_that_go(tmp_path: Path) -> None:
    model = transformer(5)
    found = blocks(model.main)
    silent = _silenced(model, [found[1], found[4]])
    work = _work(silent, tmp_path)
    short, applied = apply(silent, {"layers": 3}, work)
    assert "numbers 0, 2, 3" in applied.notes[0]
    np.testing.assert_allclose(_answers(short, tmp_path), _answers(silent, tmp_path), atol=1e-5)
    spaced, applied = apply(silent, {"layers": 3, "choose": "spacing"}, work)
    assert "numbers 0, 2, 4" in applied.notes[0]
    assert len(spaced.main.nodes) == len(short.main.nodes)


def test_an_output_keeps_its_name_when_the_last_block_goes(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 16)).conv(16)
    for _ in range(2):
        stream = net.last
        binary(net.conv(16, activation="NONE"), "ADD", stream)
    model = net.model()
    short, _ = apply(model, {"keep": [0]}, Work(tmp_path))
    verify(short)
    name = model.main.tensors[model.main.outputs[0]].name
    assert short.main.tensors[short.main.outputs[0]].name == name
    none, _ = apply(model, {"keep": []}, Work(tmp_path))
    assert [node.op for node in none.main.nodes] == ["CONV_2D"]
    first = replace(model.main, outputs=net.nodes[0].outputs, nodes=model.main.nodes[:1])
    want = run_litert(save(Model((first,)), tmp_path / "a.tflite"), *noise(model))
    assert np.array_equal(run_litert(save(none, tmp_path / "b.tflite"), *noise(model))[0], want[0])


def test_a_network_that_is_one_block_stays(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 16))
    model = binary(net.conv(16), "ADD", 0).model()
    assert blocks(model.main) == []  # without it the output would be the input
    with pytest.raises(RecipeError, match="finds no blocks"):
        apply(model, {}, Work(tmp_path))


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"layers": 5}, "from 0 to 4"),
        ({"layers": True}, "whole number"),
        ({"keep": [4]}, "from 0 to 3"),
        ({"keep": [0], "layers": 1}, "no 'layers'"),
        ({"keep": "0"}, "list of numbers"),
        ({"layer": 2}, "its settings are"),
        ({"layers": 2, "choose": "damage"}, "--samples"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        apply(transformer(4), settings, Work(tmp_path))
    assert told in str(caught.value)


def test_a_recipe_makes_a_file_that_runs(tmp_path: Path) -> None:
    source = save(transformer(4, before=False, masked=True), tmp_path / "a.tflite")
    out = tmp_path / "b.tflite"
    apply_recipe(Recipe("short", (Step("shorten", {"layers": 2}),)), source, out)
    assert out.stat().st_size < 0.7 * source.stat().st_size
