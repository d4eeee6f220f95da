"""Parameters and MACs are those of the papers' tables and of the libraries that everybody compares with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling import architectures
from sanderling.errors import UsageError

# Trained parameters; MACs in millions as published, and how far counting conventions may be apart.
PUBLISHED = {
    "mobilenet_v1": (4_231_976, 569, 0.01),  # Keras; table 4 of the paper
    "mobilenet_v2": (3_504_872, 300, 0.01),  # torchvision; table 4
    "mobilenet_v3_small": (2_542_856, 56, 0.02),  # torchvision; table 3
    "efficientnet_b0": (5_288_548, 390, 0.02),  # torchvision; table 2
    "efficientnet_b1": (7_794_184, 700, 0.02),
    "efficientnet_b2": (9_109_994, 1000, 0.02),
    "efficientnet_lite0": (4_652_008, 407, 0.06),  # its table counts more than products
    "bert": (4_386_178, None, 0.0),  # BERT-Tiny's 4,385,920 and a layer of 2 × 128 + 2
}
# MLPerf Tiny counts the statistics of normalizations as well, as Keras does.
WITH_STATISTICS = {"ds_cnn": (24_908, 2.66), "resnet8": (78_666, 12.5)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    parameters, millions, apart = PUBLISHED[name]
    network = architectures.build(name)
    assert architectures.parameters(network) == parameters
    if millions is not None:
        assert architectures.macs(network) / 1e6 == pytest.approx(millions, rel=apart)


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_published_figures_of_mlperf_tiny(name: str) -> None:
    network = architectures.build(name)
    values = sum(v.numel() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked"))
    assert (values, round(architectures.macs(network) / 1e6, 2)) == (
        WITH_STATISTICS[name][0], pytest.approx(WITH_STATISTICS[name][1], rel=0.01),
    )  # fmt: skip


def test_every_architecture_is_held_to_its_figures() -> None:
    assert set(architectures.names()) == {*PUBLISHED, *WITH_STATISTICS}


@pytest.mark.parametrize(
    "name, width, resolution, parameters, macs",
    [
        ("mobilenet_v1", 0.75, 224, 2.6, 325),  # table 6: width
        ("mobilenet_v1", 0.5, 224, 1.3, 149),
        ("mobilenet_v1", 0.25, 224, 0.5, 41),
        ("mobilenet_v1", 1.0, 192, 4.2, 418),  # table 7: resolution
        ("mobilenet_v1", 1.0, 160, 4.2, 290),
        ("mobilenet_v1", 1.0, 128, 4.2, 186),
        ("mobilenet_v2", 1.4, 224, 6.1, 582),  # timm's mobilenetv2_140
        ("mobilenet_v3_small", 0.75, 224, 2.04, 44),  # the paper's table 6: 2.4 M and 44 M
    ],
)
def test_width_and_resolution_scale_as_published(
    name: str, width: float, resolution: int, parameters: float, macs: float
) -> None:
    network = architectures.build(name, width=width, resolution=resolution)
    assert architectures.macs(network) / 1e6 == pytest.approx(macs, rel=0.12 if "v3" in name else 0.02)
    if "v3" not in name:
        assert architectures.parameters(network) / 1e6 == pytest.approx(parameters, abs=0.05)


@pytest.mark.parametrize(
    "layers, hidden, heads, parameters",
    [(2, 128, 0, 4_385_920), (4, 256, 0, 11_170_560), (4, 512, 0, 28_763_648), (6, 384, 12, 22_713_216)],
)
def test_sizes_of_bert(layers: int, hidden: int, heads: int, parameters: int) -> None:
    network = architectures.build("bert", layers=layers, hidden=hidden, heads=heads, task="embed")
    assert architectures.parameters(network) == parameters


@pytest.mark.parametrize("name", [*PUBLISHED, *WITH_STATISTICS])
def test_networks_answer_in_any_depth_and_width(name: str) -> None:
    small = {"layers": 1, "hidden": 64} if name == "bert" else {"width": 0.5, "depth": 0.5}
    network = architectures.build(name, classes=7, **small).eval()
    with torch.no_grad():
        assert network(*network.example).shape == (1, 7)
    if name != "bert":
        deeper = architectures.build(name, classes=7, width=0.5, depth=2.0)
        assert architectures.parameters(deeper) > architectures.parameters(network)


def test_embeddings_have_length_one_and_leave_out_padding() -> None:
    torch.manual_seed(0)
    network = architectures.build("bert", layers=1, hidden=64, tokens=8, task="embed").eval()
    ids = torch.tensor([[5, 6, 7, 0, 0, 0, 0, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        vector = network(ids, mask)
        other = network(torch.where(mask > 0, ids, 9), mask)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(vector, other, atol=1e-5, rtol=0)


def test_weights_are_taken_by_name_and_in_order() -> None:
    torch.manual_seed(1)
    ours, theirs = (architectures.build("mobilenet_v2", width=0.25, classes=3).eval() for _ in range(2))
    architectures.load_weights(ours, theirs.state_dict())
    renamed = {
        f"block{number}.{name.rpartition('.')[2]}": value
        for number, (name, value) in enumerate(theirs.state_dict().items())
    }
    again = architectures.build("mobilenet_v2", width=0.25, classes=3).eval()
    architectures.load_weights(again, renamed)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
        assert torch.equal(again(x), theirs(x))


def test_weights_of_another_network_are_refused() -> None:
    network = architectures.build("resnet8")
    other = architectures.build("resnet8", classes=3).state_dict()
    with pytest.raises(
        UsageError, match=r"weights: 'head.weight' has shape \[3, 64\], where 'head.weight' has"
    ):
        architectures.load_weights(network, other)
    with pytest.raises(UsageError, match="2 tensors were given, the network has"):
        architectures.load_weights(network, nn.Linear(2, 2).state_dict())


def test_wrong_wishes_are_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"there is no architecture 'mobilenet_v4'; did you mean"):
        architectures.build("mobilenet_v4")
    with pytest.raises(UsageError, match=r"resnet8 takes no 'heads'; it takes width, depth"):
        architectures.build("resnet8", heads=2)
    with pytest.raises(UsageError, match="width is 0, expected more than 0"):
        architectures.build("resnet8", width=0)
