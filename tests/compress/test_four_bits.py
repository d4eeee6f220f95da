"""Four and eight bits mixed: what 4 bits would ruin stays in 8."""

from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.damage.four_bits import worst_in_four_bits
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.types import DType
from tests.compress.made import Bench, with_constant
from tests.models import Net


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Four convolutions. The second never lights its channel 0, and the third reads that channel with weights
    so large that 4 bits hold nothing else."""
    net = Net((1, 8, 8, 3)).conv(8).conv(8).conv(8).conv(8).reshape(1, 512).dense(6)
    model = net.model()
    dark, lost = (next(t.data for t in model.main.tensors if t.name == n).copy() for n in ("w1", "w2"))
    dark[0] = 0
    lost[..., 0] = 50 * np.abs(lost).max()
    bias = next(t.data for t in model.main.tensors if t.name == "b1").copy()
    bias[0] = 0
    for name, data in {"w1": dark, "w2": lost, "b1": bias}.items():
        model = with_constant(model, name, data)
    return Bench(model, tmp_path)


def worst(bench: Bench, share: float, tmp_path: Path, spared: tuple[str, ...] = ()) -> list[str]:
    work = Work(tmp_path, bench.calibration)
    return worst_in_four_bits(bench.model, ("CONV_2D", "FULLY_CONNECTED"), share, "minmax", work, spared)


def names(bench: Bench) -> list[str]:
    return [bench.model.main.results(n)[0].name for n in bench.model.main.nodes]


def test_what_four_bits_ruin_is_found(bench: Bench, tmp_path: Path) -> None:
    assert worst(bench, 0.2, tmp_path)[0] == names(bench)[2]
    assert names(bench)[2] not in worst(bench, 0.2, tmp_path, (names(bench)[2],))


def test_no_more_than_the_share_is_spared(bench: Bench, tmp_path: Path) -> None:
    graph = bench.model.main
    weighted = [n for n in graph.nodes if n.op in ("CONV_2D", "FULLY_CONNECTED")]
    sizes = {graph.results(n)[0].name: graph.tensors[n.inputs[1]].type.size for n in weighted}
    for share in (0.05, 0.2, 0.5, 0.9):
        assert sum(sizes[name] for name in worst(bench, share, tmp_path)) <= share * sum(sizes.values())
    assert set(worst(bench, 1.0, tmp_path)) == set(sizes)


@pytest.mark.parametrize("mode", ["static", "dynamic", "weight_only"])
def test_mixing_gives_back_what_four_bits_lost(bench: Bench, mode: str) -> None:
    settings = {"mode": mode, "ends": "none", "weights": "minmax", "bias_correction": False}
    file, _ = bench.apply("int4_weights", settings)
    before, size = bench.sqnr(file), file.stat().st_size
    file, _ = bench.apply("int4_weights", {**settings, "eight_bit_share": 0.2})
    assert bench.sqnr(file) > before + 3
    assert file.stat().st_size > size


def test_what_stays_in_eight_bits_is_written_so(bench: Bench) -> None:
    from sanderling.tflite import read

    file, _ = bench.apply("int4_weights", {"mode": "static", "ends": "none", "eight_bit_share": 0.2})
    graph = read(file).main
    kinds = [graph.tensors[n.inputs[1]].dtype for n in graph.nodes if n.op == "CONV_2D"]
    assert kinds[2] is DType.INT8
    assert DType.INT4 in kinds


def test_without_samples_there_is_nothing_to_measure(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs samples to measure the damage"):
        worst_in_four_bits(bench.model, ("CONV_2D",), 0.2, "minmax", Work(tmp_path))
