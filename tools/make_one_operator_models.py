"""Makes some 680 one-operator and block models with TensorFlow's converter, to try the project on.

Run it in an environment of its own, since TensorFlow is no dependency of this project:

    python3 -m venv /tmp/tf && /tmp/tf/bin/pip install tensorflow-cpu tf_keras
    /tmp/tf/bin/python tools/make_one_operator_models.py FOLDER [NAME PART]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

Spec = tuple[tuple[int | None, ...], Any]
Model = tuple[Callable[..., Any], list[Spec]]
FLOAT, INT = tf.float32, tf.int32
IMAGE: Spec = ((1, 9, 11, 4), FLOAT)
MATRIX: Spec = ((3, 8), FLOAT)
SEQUENCE: Spec = ((2, 6, 5), FLOAT)
MODES = ("dynamic", "float16", "int8", "int8_float_io", "int16x8")
keras, layers = tf.keras, tf.keras.layers


def sized(spec: Spec) -> tuple[int, ...]:
    """Returns: a shape with 2 for every size that may change."""
    return tuple(2 if size is None else size for size in spec[0])


def drawn(spec: Spec, rng: np.random.Generator) -> np.ndarray:
    """Returns: an array to calibrate with."""
    if spec[1].is_floating:
        return rng.uniform(-2, 2, sized(spec)).astype(spec[1].as_numpy_dtype)
    if spec[1].is_bool:
        return rng.random(sized(spec)) < 0.5
    return rng.integers(0, 3, sized(spec)).astype(spec[1].as_numpy_dtype)


def unary() -> Iterator[tuple[str, Model]]:
    """Yields: one operator on one operand."""
    functions = {
        "abs": tf.abs,
        "ceil": tf.math.ceil,
        "cos": tf.cos,
        "elu": tf.nn.elu,
        "exp": tf.exp,
        "floor": tf.floor,
        "gelu": tf.nn.gelu,
        "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
        "leaky": tf.nn.leaky_relu,
        "log": lambda x: tf.math.log(tf.abs(x) + 0.1),
        "log_softmax": tf.nn.log_softmax,
        "neg": tf.negative,
        "relu": tf.nn.relu,
        "relu6": tf.nn.relu6,
        "round": tf.round,
        "rsqrt": lambda x: tf.math.rsqrt(tf.abs(x) + 0.1),
        "selu": tf.nn.selu,
        "sigmoid": tf.sigmoid,
        "sign": tf.sign,
        "sin": tf.sin,
        "softmax": tf.nn.softmax,
        "softplus": tf.nn.softplus,
        "softsign": tf.nn.softsign,
        "sqrt": lambda x: tf.sqrt(tf.abs(x)),
        "square": tf.square,
        "swish": tf.nn.swish,
        "tan": tf.tan,
        "tanh": tf.tanh,
        "hard_swish": lambda x: x * tf.nn.relu6(x + 3) / 6,
        "hard_sigmoid": lambda x: tf.nn.relu6(x + 3) / 6,
        "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
        "expm1": tf.math.expm1,
        "log1p": lambda x: tf.math.log1p(tf.abs(x)),
        "reciprocal": lambda x: tf.math.reciprocal(x + 5),
        "cast_int": lambda x: tf.cast(x, INT),
        "cast_bool": lambda x: tf.cast(x, tf.bool),
        "zeros_like": tf.zeros_like,
        "l2_normalize": lambda x: tf.math.l2_normalize(x, -1),
        "relu_n1_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
        "relu_0_1": lambda x: tf.clip_by_value(x, 0.0, 1.0),
        "cumsum": lambda x: tf.cumsum(x, 1, exclusive=True, reverse=True),
        "softmax_axis": lambda x: tf.nn.softmax(x, 1),
        "is_nan": lambda x: tf.cast(tf.math.is_nan(x), FLOAT),
        "lrn": lambda x: tf.nn.local_response_normalization(x, 2),
        "bitcast": lambda x: tf.bitcast(x, INT),
        "erf": tf.math.erf,
        "moments": lambda x: tf.nn.moments(x, [1, 2]),
        "shape": tf.shape,
        "size": tf.size,
        "rank": lambda x: tf.rank(x) + tf.shape(x)[0],
    }
    for name, function in functions.items():
        yield f"unary_{name}", (function, [IMAGE])


def binary() -> Iterator[tuple[str, Model]]:
    """Yields: one operator on two operands, some of which broadcast."""
    functions = {
        "add": tf.add,
        "sub": tf.subtract,
        "mul": tf.multiply,
        "div": lambda a, b: a / (tf.abs(b) + 0.5),
        "max": tf.maximum,
        "min": tf.minimum,
        "pow": lambda a, b: tf.pow(tf.abs(a) + 0.1, b),
        "squared_difference": tf.math.squared_difference,
        "floor_div": lambda a, b: tf.math.floordiv(a, tf.abs(b) + 0.5),
        "floor_mod": lambda a, b: tf.math.floormod(a, tf.abs(b) + 0.5),
        "less": tf.less,
        "greater_equal": tf.greater_equal,
        "equal": tf.equal,
        "not_equal": tf.not_equal,
        "atan2": tf.atan2,
        "add_relu": lambda a, b: tf.nn.relu(a + b),
        "add_n": lambda a, b: tf.add_n([a, b, a]),
        "where": lambda a, b: tf.where(a > b, a, b),
        "logical": lambda a, b: tf.logical_or(tf.logical_and(a > 0, b > 0), tf.logical_not(a > 1)),
    }
    for name, function in functions.items():
        yield f"binary_{name}", (function, [IMAGE, IMAGE])
    for name in ("add", "sub", "mul", "max", "less"):
        yield f"broadcast_{name}", (functions[name], [((2, 1, 5, 3), FLOAT), ((4, 1, 3), FLOAT)])
    whole = {
        "floor_mod": lambda a, b: a % (b + 1),
        "xor": tf.bitwise.bitwise_xor,
        "shift": tf.bitwise.right_shift,
        "mul": tf.multiply,
        "sub": tf.subtract,
        "floor_div": lambda a, b: a // (b + 1),
        "div": lambda a, b: tf.truncatediv(a, b + 1),
        "maximum": tf.maximum,
    }
    for name, function in whole.items():
        yield f"int32_{name}", (function, [((3, 4), INT), ((3, 4), INT)])


def reductions() -> Iterator[tuple[str, Model]]:
    """Yields: reductions and positions."""
    names = ("mean", "sum", "max", "min", "prod")
    for name in names:
        function = getattr(tf, f"reduce_{name}")
        yield f"reduce_{name}", (lambda x, f=function: f(x, [1, 2]), [IMAGE])
        yield f"reduce_{name}_last_keep", (lambda x, f=function: f(x, -1, keepdims=True), [IMAGE])
        yield f"reduce_{name}_all", (lambda x, f=function: f(x), [MATRIX])
    yield "reduce_any", (lambda x: tf.reduce_any(x > 1, 1), [MATRIX])
    yield "reduce_all", (lambda x: tf.reduce_all(x > -1, 1), [MATRIX])
    yield "reduce_logsumexp", (lambda x: tf.reduce_logsumexp(x, 1), [MATRIX])
    yield "reduce_std", (lambda x: tf.math.reduce_std(x, 1), [MATRIX])
    yield "argmax", (lambda x: tf.argmax(x, -1), [IMAGE])
    yield "argmin_int32", (lambda x: tf.argmin(x, 1, output_type=INT), [IMAGE])
    yield "top_k", (lambda x: tf.math.top_k(x, 3), [MATRIX])
    yield "norm", (lambda x: tf.norm(x, axis=-1), [MATRIX])
    yield "cumprod", (lambda x: tf.math.cumprod(x, 1), [MATRIX])


def movement() -> Iterator[tuple[str, Model]]:
    """Yields: operators that move data."""
    image = {
        "reshape": lambda x: tf.reshape(x, [-1, 44]),
        "transpose": lambda x: tf.transpose(x, [0, 3, 1, 2]),
        "tile": lambda x: tf.tile(x, [1, 2, 1, 3]),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]]),
        "pad_value": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 1]], constant_values=1.5),
        "mirror": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], "REFLECT"),
        "symmetric": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], "SYMMETRIC"),
        "strided": lambda x: x[:, 1:-1:2, ::-1, 0],
        "newaxis": lambda x: x[:, tf.newaxis, 2, ..., 1:],
        "slice": lambda x: tf.slice(x, [0, 1, 2, 0], [1, 3, -1, 2]),
        "split": lambda x: tf.split(x, 2, 3),
        "split_v": lambda x: tf.split(x, [3, 6, 2], 2),
        "unstack": lambda x: tf.unstack(x, axis=3),
        "stack": lambda x: tf.stack([x, x + 1, x], 2),
        "concat": lambda x: tf.concat([x, x * 2], -1),
        "concat_mixed": lambda x: tf.concat([x, tf.tanh(x), x * 9], 1),
        "reverse": lambda x: tf.reverse(x, [2]),
        "roll": lambda x: tf.roll(x, 2, 1),
        "gather": lambda x: tf.gather(x, [3, 0, 0, 2], axis=3),
        "space_to_depth": lambda x: tf.nn.space_to_depth(x[:, :8, :10], 2),
        "depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
        "space_to_batch": lambda x: tf.space_to_batch_nd(x, [3, 2], [[0, 0], [0, 1]]),
        "squeeze": lambda x: tf.squeeze(x, 0),
        "expand": lambda x: tf.expand_dims(x, 2),
        "resize_bilinear": lambda x: tf.image.resize(x, [17, 23]),
        "resize_bilinear_down": lambda x: tf.image.resize(x, [5, 4]),
        "resize_nearest": lambda x: tf.image.resize(x, [18, 22], "nearest"),
        "resize_align": lambda x: tf.compat.v1.image.resize_bilinear(x, [17, 23], align_corners=True),
        "resize_legacy": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [5, 23]),
        "resize_bicubic": lambda x: tf.image.resize(x, [12, 13], "bicubic"),
        "broadcast_to": lambda x: tf.broadcast_to(x, [3, 9, 11, 4]),
        "flip": tf.image.flip_left_right,
        "crop_center": lambda x: tf.image.central_crop(x, 0.5),
        "adjust_contrast": lambda x: tf.image.adjust_contrast(x, 2.0),
        "grayscale": lambda x: tf.image.rgb_to_grayscale(x[..., :3]),
        "one_hot_argmax": lambda x: tf.one_hot(tf.argmax(x, -1), 4),
        "where_index": lambda x: tf.where(x > 1.5),
        "boolean_mask": lambda x: tf.boolean_mask(x, x > 0),
        "fill_like": lambda x: tf.fill(tf.shape(x)[1:3], 2.0),
        "range": lambda x: tf.range(0.0, tf.cast(tf.shape(x)[1], FLOAT)),
        "meshgrid": lambda x: x[0, ..., 0] + tf.cast(tf.meshgrid(tf.range(11), tf.range(9))[0], FLOAT),
    }
    for name, function in image.items():
        yield f"move_{name}", (function, [IMAGE])
    yield (
        "move_batch_to_space",
        (lambda x: tf.batch_to_space(x, [2, 3], [[0, 1], [1, 0]]), [((6, 3, 4, 2), FLOAT)]),
    )


def indexing() -> Iterator[tuple[str, Model]]:
    """Yields: operators that read or write at indices."""
    yield "gather_nd", (lambda x, i: tf.gather_nd(x, i), [((3, 4, 5), FLOAT), ((6, 2), INT)])
    yield (
        "gather_batch",
        (lambda x, i: tf.gather(x, i, axis=1, batch_dims=1), [((3, 4, 5), FLOAT), ((3, 2), INT)]),
    )
    yield "scatter_nd", (lambda i, x: tf.scatter_nd(i, x, [5, 4]), [((6, 1), INT), ((6, 4), FLOAT)])
    yield (
        "scatter_update",
        (lambda x, u: tf.tensor_scatter_nd_update(x, [[1], [0]], u), [((4, 3), FLOAT), ((2, 3), FLOAT)]),
    )
    yield (
        "embedding",
        (
            lambda i: tf.nn.embedding_lookup(
                tf.constant(np.random.default_rng(1).normal(size=(7, 5)), FLOAT), i
            ),
            [((2, 3), INT)],
        ),
    )
    yield "segment_sum", (lambda x: tf.math.segment_sum(x, [0, 0, 1]), [MATRIX])
    for name in ("sum", "prod", "max", "min"):
        function = getattr(tf.math, f"unsorted_segment_{name}")
        yield (
            f"unsorted_segment_{name}",
            (lambda x, i, f=function: f(x, i, 4), [((5, 3), FLOAT), ((5,), INT)]),
        )
    yield "unique", (tf.unique, [((9,), INT)])
    yield "reverse_sequence", (lambda x, n: tf.reverse_sequence(x, n, 1), [((3, 6, 2), FLOAT), ((3,), INT)])
    yield "matrix_diag", (tf.linalg.diag, [MATRIX])
    yield "matrix_set_diag", (tf.linalg.set_diag, [((2, 3, 5), FLOAT), ((2, 3), FLOAT)])
    yield "matrix_band_part", (lambda x: tf.linalg.band_part(x, 1, 2), [((2, 5, 5), FLOAT)])
    yield (
        "sparse_to_dense",
        (lambda v: tf.compat.v1.sparse_to_dense([[0, 1], [2, 3]], [3, 4], v, -1.0), [((2,), FLOAT)]),
    )


def rare() -> Iterator[tuple[str, Model]]:
    """Yields: what converters seldom write: transforms, box suppression, chance; and matrix products."""
    yield "bucketize", (lambda x: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 1.5]), [MATRIX])
    yield "rfft2d", (lambda x: tf.abs(tf.signal.rfft2d(x)), [((2, 8, 16), FLOAT)])
    yield "rfft", (lambda x: tf.math.real(tf.signal.rfft(x)), [((3, 32), FLOAT)])
    yield (
        "nms",
        (
            lambda b, s: tf.image.non_max_suppression_padded(b, s, 4, 0.4, 0.1, pad_to_max_output_size=True),
            [((9, 4), FLOAT), ((9,), FLOAT)],
        ),
    )
    yield (
        "nms_v5",
        (
            lambda b, s: tf.raw_ops.NonMaxSuppressionV5(
                boxes=b,
                scores=s,
                max_output_size=4,
                iou_threshold=0.4,
                score_threshold=0.0,
                soft_nms_sigma=0.5,
                pad_to_max_output_size=True,
            ),
            [((9, 4), FLOAT), ((9,), FLOAT)],
        ),
    )
    yield (
        "dynamic_update",
        (
            lambda x, u: tf.raw_ops.XlaDynamicUpdateSlice(input=x, update=u, indices=[1, 2]),
            [((5, 6), FLOAT), ((2, 3), FLOAT)],
        ),
    )
    yield "fake_quant", (lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1.5, 1.0), [MATRIX])
    yield "random_uniform", (lambda x: x + tf.random.uniform([3, 8], seed=1), [MATRIX])
    yield "multinomial", (lambda x: tf.random.categorical(x, 5, seed=1), [MATRIX])
    yield "einsum", (lambda a, b: tf.einsum("bij,bkj->bik", a, b), [((2, 3, 4), FLOAT), ((2, 5, 4), FLOAT)])
    yield (
        "einsum_heads",
        (lambda a, b: tf.einsum("bthd,bshd->bhts", a, b), [((1, 3, 2, 4), FLOAT), ((1, 5, 2, 4), FLOAT)]),
    )
    yield "matmul", (lambda a, b: tf.matmul(a, b, transpose_b=True), [((3, 4), FLOAT), ((5, 4), FLOAT)])
    yield "matmul_batch", (tf.matmul, [((2, 1, 3, 4), FLOAT), ((5, 4, 2), FLOAT)])


def windows() -> Iterator[tuple[str, Model]]:
    """Yields: convolutions and pools as Keras layers."""
    shape = (9, 11, 4)
    made = {
        "conv": layers.Conv2D(6, 3),
        "conv_same_s2": layers.Conv2D(6, 3, 2, "same", activation="relu"),
        "conv_1x1": layers.Conv2D(5, 1),
        "conv_odd": layers.Conv2D(3, (2, 5), (2, 1), "same", use_bias=False),
        "conv_dilated": layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
        "conv_grouped": layers.Conv2D(8, 3, groups=2),
        "depthwise": layers.DepthwiseConv2D(3, padding="same"),
        "depthwise_mult": layers.DepthwiseConv2D(
            3, 2, depth_multiplier=3, activation="relu6" if hasattr(keras.activations, "relu6") else "relu"
        ),
        "separable": layers.SeparableConv2D(6, 3, padding="same"),
        "depthwise_dilated": layers.DepthwiseConv2D(3, dilation_rate=2),
        "transpose": layers.Conv2DTranspose(5, 3, 2, "same"),
        "transpose_valid": layers.Conv2DTranspose(5, 3, 2, "valid", activation="relu"),
        "transpose_k4": layers.Conv2DTranspose(3, 4, 2, "same", use_bias=False),
        "max_pool": layers.MaxPool2D(3, 2),
        "max_pool_same": layers.MaxPool2D(2, 2, "same"),
        "avg_pool": layers.AveragePooling2D(2, 1, "same"),
        "avg_pool_valid": layers.AveragePooling2D((3, 2), 2),
        "global_avg": layers.GlobalAveragePooling2D(),
        "global_max": layers.GlobalMaxPooling2D(keepdims=True),
        "upsample": layers.UpSampling2D(2),
        "upsample_bilinear": layers.UpSampling2D(3, interpolation="bilinear"),
        "zero_pad": layers.ZeroPadding2D((1, 2)),
        "crop": layers.Cropping2D((1, 2)),
        "batch_norm": layers.BatchNormalization(),
        "layer_norm": layers.LayerNormalization(),
        "group_norm": layers.GroupNormalization(2),
        "unit_norm": layers.UnitNormalization(),
        "prelu": layers.PReLU(shared_axes=[1, 2]),
        "dense_4d": layers.Dense(7, activation="relu"),
        "rescale": layers.Rescaling(1 / 127.5, -1.0),
        "softmax": layers.Softmax(),
        "leaky": layers.LeakyReLU(0.2),
        "flatten_dense": keras.Sequential([layers.Flatten(), layers.Dense(5)]),
        "permute": layers.Permute((3, 1, 2)),
        "normalization": layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4]),
        "rms_norm": layers.RMSNormalization()
        if hasattr(layers, "RMSNormalization")
        else layers.LayerNormalization(),
        "spatial_dropout": layers.SpatialDropout2D(0.2),
        "se_block": SqueezeExcite(),
        "inverted_residual": InvertedResidual(),
        "unet_block": UNet(),
    }
    for name, layer in made.items():
        yield f"keras_{name}", layer_model(layer, (1, *shape))
    for name in (
        "conv",
        "max_pool",
        "flatten_dense",
        "transpose",
        "upsample_bilinear",
        "global_avg",
        "layer_norm",
    ):
        yield f"dynamic_{name}", layer_model(made[name], (None, *shape))


def other_windows() -> Iterator[tuple[str, Model]]:
    """Yields: convolutions and pools over sequences and volumes."""
    yield "keras_conv1d", layer_model(layers.Conv1D(5, 3, padding="causal"), (2, 9, 4))
    yield (
        "keras_conv1d_dilated",
        layer_model(layers.Conv1D(5, 3, dilation_rate=2, activation="relu"), (2, 9, 4)),
    )
    yield "keras_depthwise1d", layer_model(layers.DepthwiseConv1D(3, padding="same"), (2, 9, 4))
    yield "keras_pool1d", layer_model(layers.MaxPool1D(2), (2, 9, 4))
    yield "keras_global1d", layer_model(layers.GlobalAveragePooling1D(), (2, 9, 4))
    yield "keras_transpose1d", layer_model(layers.Conv1DTranspose(3, 3, 2, "same"), (2, 9, 4))
    yield (
        "keras_conv3d",
        layer_model(layers.Conv3D(5, 3, (1, 2, 1), "same", activation="relu"), (1, 5, 7, 6, 2)),
    )
    yield "keras_conv3d_valid", layer_model(layers.Conv3D(5, (2, 3, 1)), (2, 5, 7, 6, 2))
    yield "keras_conv3d_transpose", layer_model(layers.Conv3DTranspose(3, 3, 2, "same"), (1, 3, 4, 3, 2))
    yield "keras_pool3d", layer_model(layers.MaxPool3D(2), (1, 4, 6, 4, 3))


def layer_model(layer: Any, shape: tuple[int | None, ...], dtype: Any = FLOAT) -> Model:
    """Returns: a layer with fixed random weights as a function."""
    keras.utils.set_random_seed(7)
    layer(tf.cast(tf.ones([2 if size is None else size for size in shape]), dtype))
    rng = np.random.default_rng(5)
    layer.set_weights(
        [
            w if "seed" in v.path else spread(w, v.path, rng)
            for w, v in zip(layer.get_weights(), layer.weights, strict=True)
        ]
    )
    return (lambda *x: layer(x[0], training=False) if _takes_training(layer) else layer(x[0])), [
        (shape, dtype)
    ]


def _takes_training(layer: Any) -> bool:
    return "training" in layer.call.__code__.co_varnames


def spread(weight: np.ndarray, path: str, rng: np.random.Generator) -> np.ndarray:
    """Returns: weights that differ from zero everywhere; variances stay positive."""
    if weight.dtype.kind != "f":
        return weight
    if any(part in path for part in ("variance", "gamma", "scale")):
        return rng.uniform(0.5, 1.5, weight.shape).astype(weight.dtype)
    fan = max(1, int(np.prod(weight.shape[:-1])))
    return (rng.normal(size=weight.shape) / np.sqrt(fan)).astype(weight.dtype)


class SqueezeExcite(layers.Layer):
    """Channels weighted by what the whole image shows."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = layers.Dense(2, "relu"), layers.Dense(4, "sigmoid")

    def call(self, x: Any) -> Any:
        return x * self.up(self.down(tf.reduce_mean(x, [1, 2], keepdims=True)))


class InvertedResidual(layers.Layer):
    """MobileNetV2's block."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.deep, self.project = (
            layers.Conv2D(12, 1),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(4, 1),
        )
        self.norm = layers.BatchNormalization()

    def call(self, x: Any) -> Any:
        return x + self.project(tf.nn.relu6(self.norm(self.deep(tf.nn.relu6(self.expand(x))))))


class UNet(layers.Layer):
    """One level down and up again, with a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.up, self.last = (
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.Conv2DTranspose(6, 2, 2),
            layers.Conv2D(2, 1, activation="softmax"),
        )

    def call(self, x: Any) -> Any:
        wide = self.first(x[:, :8, :10])
        return self.last(tf.concat([wide, self.up(tf.nn.max_pool2d(wide, 2, 2, "VALID"))], -1))


class Attention(layers.Layer):
    """Self-attention, causal or on every other step."""

    def __init__(self, causal: bool = False, cross: bool = False) -> None:
        super().__init__()
        self.inner, self.causal, self.cross = layers.MultiHeadAttention(2, 3), causal, cross

    def call(self, x: Any) -> Any:
        return self.inner(x, x[:, ::2] if self.cross else x, use_causal_mask=self.causal)


class Transformer(layers.Layer):
    """A pre-norm encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.first, self.second = (
            layers.MultiHeadAttention(2, 3),
            layers.LayerNormalization(),
            layers.LayerNormalization(),
        )
        self.wide, self.narrow = layers.Dense(16, "gelu"), layers.Dense(5)

    def call(self, x: Any) -> Any:
        x = x + self.attention(self.first(x), self.first(x))
        return x + self.narrow(self.wide(self.second(x)))


class Embedded(layers.Layer):
    """Token ids to class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell, self.last = layers.Embedding(11, 6), layers.LSTM(5), layers.Dense(3, "softmax")

    def call(self, x: Any) -> Any:
        return self.last(self.cell(self.table(x)))


def sequences() -> Iterator[tuple[str, Model]]:
    """Yields: recurrent layers, attention, control flow."""
    made = {
        "lstm": layers.LSTM(4),
        "lstm_all": layers.LSTM(4, return_sequences=True),
        "lstm_no_bias": layers.LSTM(4, use_bias=False),
        "lstm_time_major": keras.Sequential([layers.LSTM(4, return_sequences=True), layers.LSTM(3)]),
        "lstm_relu": layers.LSTM(4, activation="relu"),
        "lstm_unrolled": layers.LSTM(4, unroll=True),
        "lstm_backwards": layers.LSTM(4, go_backwards=True),
        "gru": layers.GRU(4),
        "gru_all": layers.GRU(4, return_sequences=True, reset_after=False),
        "gru_unrolled": layers.GRU(4, unroll=True),
        "rnn": layers.SimpleRNN(4),
        "rnn_unrolled": layers.SimpleRNN(4, unroll=True, return_sequences=True),
        "bidirectional_lstm": layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        "bidirectional_gru": layers.Bidirectional(layers.GRU(3), merge_mode="sum"),
        "time_distributed": layers.TimeDistributed(layers.Dense(3)),
        "attention": Attention(),
        "attention_causal": Attention(causal=True),
        "attention_cross": Attention(cross=True),
        "transformer": Transformer(),
        "einsum_dense": layers.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d"),
        "masking": layers.Masking(0.0),
        "repeat": keras.Sequential([layers.GlobalMaxPooling1D(), layers.RepeatVector(3)]),
    }
    for name, layer in made.items():
        yield f"seq_{name}", layer_model(layer, SEQUENCE[0])
    yield "seq_lstm_batch1", layer_model(layers.LSTM(4), (1, 6, 5))
    yield "dynamic_lstm", layer_model(layers.LSTM(4), (None, 6, 5))
    yield "dynamic_transformer", layer_model(Transformer(), (None, 6, 5))
    yield "dynamic_steps_gru", layer_model(layers.GRU(4), (1, None, 5))
    yield "seq_embedded", layer_model(Embedded(), (2, 4), INT)
    yield "if", (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2 + 1, lambda: tf.nn.relu(x)), [MATRIX])
    yield (
        "while",
        (
            lambda x: tf.while_loop(
                lambda i, y: i < 5, lambda i, y: (i + 1, tf.tanh(y) + x), [tf.constant(0), x]
            )[1],
            [MATRIX],
        ),
    )
    yield (
        "while_until",
        (
            lambda x: tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) > 1.0, lambda y: (y * 0.5,), [x])[0],
            [MATRIX],
        ),
    )
    yield (
        "case",
        (
            lambda x, i: tf.switch_case(i[0], [lambda: x, lambda: x * 2, lambda: tf.sin(x)]),
            [MATRIX, ((1,), INT)],
        ),
    )
    yield "map_fn", (lambda x: tf.map_fn(lambda row: tf.reduce_sum(row) * row, x), [MATRIX])
    yield "dynamic_reshape", (lambda x: tf.reshape(x, [tf.shape(x)[0], -1]), [((None, 3, 4), FLOAT)])
    yield (
        "dynamic_both",
        (lambda x: tf.reduce_mean(tf.transpose(x, [0, 2, 1]), -1), [((None, None, 4), FLOAT)]),
    )
    yield "double", (lambda x: tf.cast(x, tf.float64) * 2, [MATRIX])
    yield "int64", (lambda x: tf.reduce_sum(tf.cast(x, tf.int64) * 3, 1), [((3, 4), INT)])
    yield "scalar", (lambda x: x * 2 + 1, [((), FLOAT)])
    yield "rank5", (lambda x: tf.transpose(x * 2, [4, 2, 0, 1, 3]), [((2, 3, 2, 3, 2), FLOAT)])
    yield "rank6_add", (lambda a, b: a + b, [((2, 1, 2, 3, 1, 2), FLOAT), ((3, 2, 1, 4, 2), FLOAT)])
    yield "two_outputs", (lambda x: (tf.nn.relu(x), {"sum": tf.reduce_sum(x, 1)}), [MATRIX])
    yield "constant_output", (lambda x: (x + 1, tf.constant([1.0, 2.0])), [MATRIX])


def fused() -> Iterator[tuple[str, Any]]:
    """Yields: Keras 2 models, whose LSTM becomes one operator (Keras 3's becomes a loop)."""
    import tf_keras

    old = tf_keras.layers
    made = {
        "lstm": [old.LSTM(4)],
        "lstm_all": [old.LSTM(6, return_sequences=True)],
        "lstm_two": [old.LSTM(4, return_sequences=True), old.LSTM(3), old.Dense(2)],
        "lstm_no_bias": [old.LSTM(4, use_bias=False)],
        "lstm_time_major": [old.LSTM(4, time_major=True, return_sequences=True)],
        "bidirectional": [old.Bidirectional(old.LSTM(4, return_sequences=True))],
        "rnn": [old.SimpleRNN(4)],
        "gru": [old.GRU(4)],
        "conv_lstm": [old.Reshape((6, 5, 1, 1)), old.ConvLSTM2D(2, (3, 1), padding="same")],
    }
    for batch in (1, 2, None):
        for name, stack in made.items():
            if batch == 2 and name not in ("lstm", "bidirectional"):
                continue
            tf_keras.utils.set_random_seed(3)
            clones = [layer.__class__.from_config(layer.get_config()) for layer in stack]
            model = tf_keras.Sequential([tf_keras.Input((6, 5), batch_size=batch), *clones])
            yield f"fused_{name}_{batch or 'dynamic'}", model


# What the quantizers have kernels or trouble for: the rest is made in float only.
QUANTIZED = (
    "unary_sigmoid",
    "unary_tanh",
    "unary_softmax",
    "unary_log_softmax",
    "unary_hard_swish",
    "unary_leaky",
    "unary_relu6",
    "unary_elu",
    "unary_gelu",
    "unary_exp",
    "unary_log",
    "unary_rsqrt",
    "unary_sqrt",
    "unary_abs",
    "unary_neg",
    "unary_square",
    "unary_l2_normalize",
    "unary_relu_n1_1",
    "binary_add",
    "binary_sub",
    "binary_mul",
    "binary_max",
    "binary_squared_difference",
    "binary_div",
    "binary_pow",
    "binary_less",
    "binary_where",
    "broadcast_mul",
    "reduce_mean",
    "reduce_sum",
    "reduce_max",
    "reduce_prod",
    "argmax",
    "top_k",
    "move_pad",
    "move_mirror",
    "move_strided",
    "move_split",
    "move_stack",
    "move_concat_mixed",
    "move_gather",
    "move_space_to_depth",
    "move_space_to_batch",
    "move_resize_bilinear",
    "move_resize_nearest",
    "move_transpose",
    "move_tile",
    "keras_conv",
    "keras_conv_same_s2",
    "keras_conv_dilated",
    "keras_conv_grouped",
    "keras_depthwise_mult",
    "keras_transpose",
    "keras_transpose_valid",
    "keras_avg_pool",
    "keras_max_pool_same",
    "keras_global_avg",
    "keras_batch_norm",
    "keras_layer_norm",
    "keras_prelu",
    "keras_dense_4d",
    "keras_flatten_dense",
    "keras_se_block",
    "keras_inverted_residual",
    "keras_unet_block",
    "keras_conv1d",
    "seq_lstm_unrolled",
    "seq_gru_unrolled",
    "seq_rnn_unrolled",
    "seq_attention",
    "seq_transformer",
    "matmul_batch",
    "gather_nd",
    "dynamic_conv",
    "embedding",
    "keras_conv3d",
    "einsum",
)


def convert(function: Callable[..., Any], specs: list[Spec], mode: str) -> bytes:
    """Returns: the model as a file, quantized as ``mode`` says."""
    if isinstance(function, tf.Module):
        converter = tf.lite.TFLiteConverter.from_keras_model(function)
    else:
        traced = tf.function(function, input_signature=[tf.TensorSpec(*spec) for spec in specs])
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [traced.get_concrete_function()], tf.Module()
        )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if mode:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if "int" in mode:
        rng = np.random.default_rng(1)
        converter.representative_dataset = lambda: ([drawn(spec, rng) for spec in specs] for _ in range(20))
    if mode == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    if mode == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def models() -> Iterator[tuple[str, Model]]:
    """Yields: every model with its name."""
    for family in (unary, binary, reductions, movement, indexing, rare, windows, other_windows, sequences):
        yield from family()
    for name, model in fused():
        yield name, (model, [((model.input_shape[0] or 1, 6, 5), FLOAT)])


def main(folder: Path, part: str = "") -> None:
    """Writes the models into ``folder`` and says which the converter refused."""
    folder.mkdir(parents=True, exist_ok=True)
    made = refused = 0
    for name, (function, specs) in models():
        for mode in (
            "",
            *(
                MODES
                if name in QUANTIZED or (name.startswith("fused_lstm") and "no_bias" not in name)
                else ()
            ),
        ):
            path = folder / (f"{name}_{mode}.tflite" if mode else f"{name}.tflite")
            if part not in path.name or path.exists():
                continue
            try:
                path.write_bytes(convert(function, specs, mode))
                made += 1
            except (ConverterError, AttributeError, RuntimeError, TypeError, ValueError) as error:
                refused += 1
                print(
                    f"refused {path.stem}: {str(error).splitlines()[0][:150] if str(error) else type(error)}",
                    flush=True,
                )
    print(f"{made} made, {refused} refused")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
