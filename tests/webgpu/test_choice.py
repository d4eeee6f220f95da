"""Which variants are taken where each kernel that has to be compiled costs more than many calls."""

from __future__ import annotations

from itertools import product
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.choice import WORTH_MS, frugal
from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.ops.kernel import Kernel, Limits, Out, Variant
from tests.models import Net


def way(name: str, cost_ms: float | None, bodies: int = 1) -> Variant:
    return Variant(name, tuple(Kernel(f"{name}{k}", Out(0), (1,)) for k in range(bodies)), cost_ms)


def test_a_small_gain_is_no_kernel_of_its_own() -> None:
    many, few = [way("a", 1.0), way("b", 9.0)], [way("b", 1.0), way("a", 1.0 + WORTH_MS / 2)]
    assert frugal({0: many, 1: many, 2: few}) == {2: "a"}


def test_a_large_gain_is() -> None:
    many, few = [way("a", 1.0), way("b", 9.0)], [way("b", 1.0), way("a", 1.0 + 2 * WORTH_MS)]
    assert frugal({0: many, 1: many, 2: few}) == {}


def test_kernels_of_a_variant_count_each() -> None:
    ways = [way("three", 1.0, bodies=3), way("one", 1.0 + 1.5 * WORTH_MS)]
    assert frugal({0: ways}) == {0: "one"}
    assert frugal({0: ways, 1: ways}) == {}


def test_what_is_not_estimated_stays() -> None:
    assert frugal({0: [way("a", None), way("b", 1.0)], 1: []}) == {}


NAMES = "abcd"
tables = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 30), min_size=1), min_size=1, max_size=5
)


@given(tables)
def test_no_other_choice_is_cheaper(table: list[dict[str, float]]) -> None:
    found = {
        position: sorted((way(name, cost) for name, cost in costs.items()), key=lambda w: w.cost_ms or 0.0)
        for position, costs in enumerate(table)
    }
    chosen = frugal(found)
    taken = [chosen.get(position, found[position][0].name) for position in range(len(table))]

    def total(names: tuple[str, ...] | list[str]) -> float:
        costs = (costs.get(name, inf) for costs, name in zip(table, names, strict=True))
        return sum(costs) + WORTH_MS * len(set(names))

    assert total(taken) <= min(map(total, product(NAMES, repeat=len(table)))) + 1e-9


def test_a_network_on_a_software_adapter_has_few_kernels() -> None:
    net = Net((1, 32, 32, 3)).conv(8).conv(16, size=1).conv(70).pool().conv(33, size=1).conv(9).model()
    limits = Limits(software=True, subgroups=True, uniform_bytes=65536, threads=64)
    program = compile_graph(net.main, ["x"], ["y"], Target(limits))
    convolutions = {d.shader for d in program.dispatches if d.label.startswith("conv")}
    assert len(convolutions) == 1
