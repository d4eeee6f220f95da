"""Keras models of many kinds, small, with weights that are not zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

Model = Any
NETWORKS: dict[str, Callable[[], Model]] = {}


def network(make: Callable[[], Model]) -> Callable[[], Model]:
    NETWORKS[make.__name__] = lambda: shaken(make())
    return make


def shaken(model: Model) -> Model:
    """Gives every bias and statistic a value, so that nothing is right by being zero."""
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.dtype == "float32" and variable.path.split("/")[-1] not in ("mean", "variance"):
            low = 0.5 if "gamma" in variable.path or "variance" in variable.path else -0.4
            variable.assign(rng.uniform(low, low + 0.9, variable.shape))
    return model


def stacked(*parts: Any) -> Model:
    return keras.Sequential(list(parts))


@network
def images() -> Model:
    return stacked(
        keras.Input((20, 18, 3), name="photo"), layers.Rescaling(1 / 127.5, -1),
        layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False), layers.BatchNormalization(),
        layers.ReLU(6), layers.DepthwiseConv2D(3, padding="same"), layers.SeparableConv2D(8, 3),
        layers.Conv2D(8, 3, groups=2, padding="same", activation="silu"), layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="softmax", name="kind"),
    )  # fmt: skip


@network
def transposed() -> Model:
    x = keras.Input((9, 7, 4))
    same = layers.Conv2DTranspose(6, 3, strides=2, padding="same")(x)
    valid = layers.Conv2DTranspose(3, 4, strides=3, padding="valid")(x)
    wide = layers.Conv2DTranspose(3, 3, strides=3, output_padding=2, padding="same")(x)
    dilated = layers.Conv2DTranspose(3, 3, dilation_rate=2, padding="same")(x)
    narrow = layers.Conv2DTranspose(3, 2, strides=3, padding="same")(x)
    return keras.Model(x, [same, valid, wide, dilated, narrow])


@network
def resized() -> Model:
    x = keras.Input((6, 5, 3))
    ways = [layers.UpSampling2D((2, 3), interpolation=how)(x) for how in ("nearest", "bilinear", "bicubic")]
    return keras.Model(
        x, [*ways, layers.Resizing(4, 9)(x), layers.Resizing(3, 2, interpolation="nearest")(x)]
    )


@network
def lines() -> Model:
    return stacked(
        keras.Input((30, 4)), layers.Conv1D(8, 5, padding="causal", dilation_rate=2, activation="elu"),
        layers.MaxPooling1D(), layers.Conv1DTranspose(4, 3, strides=2), layers.GroupNormalization(2),
        layers.Conv1D(4, 3, strides=2, padding="same"),
    )  # fmt: skip


@network
def volumes() -> Model:
    return stacked(
        keras.Input((4, 6, 6, 2)), layers.Conv3D(3, 3, padding="same", activation="relu"),
        layers.Conv3DTranspose(2, 3, strides=2, padding="same"), layers.AveragePooling3D(2),
    )  # fmt: skip


@network
def attention() -> Model:
    x, memory = keras.Input((7, 8), name="x"), keras.Input((5, 8), name="memory")
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(x, memory) + x)
    y = layers.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)
    return keras.Model([x, memory], layers.Dense(3, activation="gelu")(y))


@network
def lookups() -> Model:
    user, item = keras.Input((1,), dtype="int32", name="user"), keras.Input((2,), dtype="int64", name="item")
    a, b = layers.Embedding(30, 6)(user), layers.Embedding(20, 6)(item)
    both = layers.Concatenate(axis=1)([a, b])
    return keras.Model(
        {"user": user, "item": item},
        {"rating": layers.Dense(1)(layers.Flatten()(both)), "match": layers.Dot(-1)([a, b])},
    )


@network
def sorts() -> Model:
    x = keras.Input((4, 6))
    ops = keras.ops
    return keras.Model(x, [ops.sort(x, 1), ops.argsort(x), ops.top_k(x, 3)[1], ops.flip(ops.cumsum(x, 1), 1)])


@network
def recurrent() -> Model:
    x = keras.Input((6, 4))
    y = layers.LSTM(5, return_sequences=True)(x)
    outs = [
        layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y),
        layers.Bidirectional(layers.GRU(3))(y),
        layers.GRU(4, reset_after=False, go_backwards=True, return_sequences=True)(y),
        layers.LSTM(4, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid")(y),
        *layers.LSTM(2, return_state=True)(y),
        layers.SimpleRNN(3)(y),
    ]
    return keras.Model(x, outs)


@network
def masked() -> Model:
    return stacked(
        keras.Input((8,), dtype="int32"), layers.Embedding(4, 5, mask_zero=True),
        layers.LSTM(4, return_sequences=True), layers.GRU(3),
    )  # fmt: skip


@network
def channels_first() -> Model:
    first = {"data_format": "channels_first"}
    return stacked(
        keras.Input((3, 12, 12)), layers.Conv2D(4, 3, activation="relu", **first),
        layers.Conv2D(4, 3, padding="same", **first), layers.BatchNormalization(axis=1),
        layers.MaxPooling2D(**first), layers.Conv2DTranspose(2, 3, strides=2, **first),
    )  # fmt: skip


@network
def halves() -> Model:
    policy = keras.DTypePolicy("mixed_float16")
    return stacked(
        keras.Input((8, 8, 2)), layers.Conv2D(3, 3, dtype=policy), layers.Flatten(), layers.Dense(2)
    )
