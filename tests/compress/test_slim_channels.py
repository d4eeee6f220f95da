"""Which channels go together: the analysis and the cut, on nets built operator by operator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import tflite
from sanderling.compress.prepare import fold
from sanderling.compress.slimming.channels import cut, trace
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.verify import verify
from tests.compress.moving_nets import gated, in_groups, multipliers, recurrent, sliced, through_space
from tests.compress.slim_nets import branches, chain, dead_channels, decoder, mobile, residual
from tests.compress.transformer_nets import transformer
from tests.models import run_litert, save

NETS = {"chain": chain, "residual": residual, "mobile": mobile, "branches": branches, "decoder": decoder}
MOVING = {
    "in groups": in_groups,
    "multipliers": multipliers,
    "through space": through_space,
    "gated": gated,
    "sliced": sliced,
    "recurrent": recurrent,
    "transformer": transformer,
}


def _sizes(graph: Graph) -> list[int]:
    return [len(group) for group in trace(graph).groups]


def _reasons(graph: Graph) -> str:
    return " / ".join(frozen.reason for frozen in trace(graph).frozen)


class TestTrace:
    def test_convolutions_and_dense_layers_make_groups_but_the_answer_stays(self) -> None:
        found = trace(chain().main)
        assert [len(group) for group in found.groups] == [16, 24, 32]
        assert [frozen.count for frozen in found.frozen][:1] == [2]
        assert found.frozen[-1].count == 5

    def test_flattening_holds_every_channel_once_per_place(self) -> None:
        graph = chain().main
        found = trace(graph)
        flat = next(node.outputs[0] for node in graph.nodes if node.op == "RESHAPE")
        channel = found.groups[1].channels[3]
        assert np.count_nonzero(found.slots[flat] == channel) == 9

    def test_added_tensors_go_together(self) -> None:
        assert _sizes(residual().main) == [16, 16]

    def test_gates_and_depthwise_convolutions_pass_channels_on(self) -> None:
        graph = mobile().main
        found = trace(graph)
        expanded = found.groups[1]
        held = {
            graph.nodes[p].op
            for p in range(len(graph.nodes))
            if graph.nodes[p].outputs[0] in expanded.tensors
        }
        assert {"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "LOGISTIC", "MUL"} <= held

    def test_joined_branches_stay_apart_and_padding_makes_channels_of_its_own(self) -> None:
        assert sorted(_sizes(branches().main)) == [8, 8, 12, 16]

    def test_a_dense_layer_spread_over_space_can_lose_whole_channels_only(self) -> None:
        graph = decoder().main
        found = trace(graph)
        assert _sizes(graph) == [8, 8]
        dense = next(node for node in graph.nodes if node.op == "FULLY_CONNECTED")
        assert found.slots[dense.outputs[0]].size == 8 * 16

    def test_an_operator_without_a_rule_keeps_its_channels_and_says_so(self) -> None:
        net = chain()
        nodes = tuple(
            replace(n, op="CUSTOM", custom_code="Mystery", options="", attrs={})
            if n.op == "MAX_POOL_2D"
            else n
            for n in net.main.nodes
        )
        graph = replace(net.main, nodes=nodes)
        assert "meets Mystery, whose channels are not understood" in _reasons(graph)
        assert _sizes(graph) == [32]

    def test_weights_computed_at_run_time_keep_their_channels(self) -> None:
        graph = chain().main
        weights = graph.nodes[0].inputs[1]
        tensors = list(graph.tensors)
        tensors[weights] = replace(tensors[weights], data=None)
        changed = replace(graph, tensors=tuple(tensors), inputs=(0, weights))
        assert "meets CONV_2D with weights that are no float32 constants" in _reasons(changed)

    def test_every_channel_belongs_to_one_group_or_is_frozen(self) -> None:
        for make in NETS.values():
            found = trace(make().main)
            grouped = [channel for group in found.groups for channel in group.channels]
            assert len(grouped) == len(set(grouped))
            held = {int(c) for slots in found.slots.values() for c in slots}
            assert len(held) == len(grouped) + sum(frozen.count for frozen in found.frozen)


class TestCut:
    @given(st.sampled_from(sorted(NETS)), st.integers(0, 5), st.data())
    def test_any_channels_of_groups_can_go(self, name: str, seed: int, data: st.DataObject) -> None:
        model = NETS[name](seed)
        found = trace(model.main)
        gone = []
        for group in found.groups:
            count = data.draw(st.integers(0, len(group) - 1))
            gone += list(group.channels[:count])
        small = compact(model.with_main(cut(model.main, found, gone)))
        verify(small)
        assert _interface(small) == _interface(model)
        assert len(small.main.nodes) == len(model.main.nodes)

    @pytest.mark.parametrize("name", sorted(NETS | MOVING))
    def test_channels_that_are_always_zero_make_no_difference(self, name: str, tmp_path: Path) -> None:
        model, gone = dead_channels((NETS | MOVING)[name]())
        assert gone
        small = compact(model.with_main(cut(model.main, trace(model.main), gone)))
        verify(small)
        x = np.random.default_rng(1).standard_normal(model.main.tensors[0].shape).astype(np.float32)
        before = run_litert(save(model, tmp_path / "a.tflite"), x)[0]
        after = run_litert(save(small, tmp_path / "b.tflite"), x)[0]
        np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())
        assert (tmp_path / "b.tflite").stat().st_size < (tmp_path / "a.tflite").stat().st_size


class TestMoves:
    """Operators that move channels about: how many groups there are, and how wide."""

    @pytest.mark.parametrize(
        "name, sizes",
        [
            ("in groups", [16, 24, 24]),  # 32 in two groups, 48 in two; then one group for each
            ("multipliers", [16]),
            ("through space", [16, 16]),  # four places, one channel after the other
            ("gated", [16, 16]),  # of three equal parts
            ("sliced", [8, 8, 16, 8, 16]),
            ("recurrent", [16, 24]),
        ],
    )
    def test_groups(self, name: str, sizes: list[int]) -> None:
        assert _sizes(MOVING[name]().main) == sizes

    def test_heads_keep_equal_widths_and_the_feed_forward_part_is_free(self) -> None:
        found = trace(transformer(1).main)
        # What queries and keys are compared by, what values hold (2 heads of 8), and the layer within.
        assert [len(group) for group in found.groups] == [8, 8, 32]
        assert {frozen.reason for frozen in found.frozen} >= {"is weighed against the others by SOFTMAX"}

    def test_groups_of_one_tensor_have_names_of_their_own(self) -> None:
        names = [group.name for group in trace(sliced().main).groups]
        assert len(set(names)) == len(names)
        assert names[1] == f"{names[0]}#2"

    def test_states_go_with_what_they_remember(self) -> None:
        model = recurrent()
        found = trace(model.main)
        (hidden,) = (group for group in found.groups if len(group) == 24)
        small = compact(model.with_main(cut(model.main, found, hidden.channels[:10])))
        verify(small)
        assert [t.shape for t in small.main.tensors if t.is_variable] == [(1, 14), (1, 14)]


def _interface(model: Model) -> list[tuple[str, tuple[int, ...]]]:
    graph = model.main
    return [(graph.tensors[i].name, graph.tensors[i].shape) for i in (*graph.inputs, *graph.outputs)]


@pytest.mark.parametrize(
    "name",
    ["face_landmark_fp16", "selfie_segmentation", "pose_landmark_lite", "deeplabv3_257_mv_gpu",
     "ssd_mobilenetv2_oidv4_fp16", "mlperf_tiny_resnet8_cifar10_fp32", "basic_pitch", "keyword_on_off_fp32"],
)  # fmt: skip
def test_half_of_every_group_of_a_real_model_can_go(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    model = fold(tflite.read(zoo_dir / "tflite" / f"{name}.tflite"))
    found = trace(model.main)
    assert found.groups
    gone = [channel for group in found.groups for channel in group.channels[: len(group) // 2]]
    small = compact(model.with_main(cut(model.main, found, gone)))
    verify(small)
    assert _interface(small) == _interface(model)
    assert tflite.write(small, tmp_path / "small.tflite") < tflite.write(model, tmp_path / "whole.tflite")
