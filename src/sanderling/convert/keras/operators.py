"""Keras functions of which TFLite has an operator, or which litert-converter gets wrong or does not know."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any
from unittest.mock import patch

from sanderling.convert.keras import recurrent
from sanderling.convert.stand_ins import stand_in

Function = Callable[..., Any]


@contextmanager
def replaced() -> Iterator[None]:
    """While it lasts, Keras on JAX calls the functions of this file in the place of its own."""
    with ExitStack() as stack:
        for place, name, make in _TABLE:
            owner = importlib.import_module(place)
            own = getattr(owner, name, None)
            if own is not None:  # else this Keras does it otherwise, and is taken as it is
                stack.enter_context(patch.object(owner, name, make(own)))
        from keras.layers import UpSampling2D

        own = UpSampling2D._resize_images
        stack.enter_context(patch.object(UpSampling2D, "_resize_images", _upsampling(own)))
        yield


def _gelu(own: Function) -> Function:
    def gelu(x: Any, approximate: bool = True) -> Any:
        if not _is_float32(x):
            return own(x, approximate)
        return stand_in(
            "GELU", [x], (x.shape, x.dtype), attrs={"approximate": approximate}, options="GeluOptions"
        )

    return gelu


def _elu(own: Function) -> Function:
    def elu(x: Any, alpha: float = 1.0) -> Any:
        return stand_in("ELU", [x], (x.shape, x.dtype)) if alpha == 1 and _is_float32(x) else own(x, alpha)

    return elu


def _resize(own: Function) -> Function:
    def resize(images: Any, size: Any, interpolation: str = "bilinear", **options: Any) -> Any:
        """Args: images [N,H,W,C], size (H, W)."""
        channels = options.pop("data_format", None) or _data_format()
        smooth = options.get("antialias") and any(
            new < old for new, old in zip(size, images.shape[1:3], strict=True)
        )
        special = smooth or options.get("crop_to_aspect_ratio") or options.get("pad_to_aspect_ratio")
        known = interpolation in _RESIZES and channels == "channels_last" and len(images.shape) == 4
        if special or not known or not _is_float32(images):
            return own(images, size, interpolation, data_format=channels, **options)
        return _resized(images, tuple(size), interpolation)

    return resize


_RESIZES = {
    "bilinear": ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
}


def _resized(images: Any, size: Sequence[int], interpolation: str) -> Any:
    """Pixels are squares whose centers lie at a half, for Keras as for this option of TFLite."""
    import numpy as np

    op, options = _RESIZES[interpolation]
    shape = (images.shape[0], *size, images.shape[3])
    if shape == images.shape:
        return images
    sizes = np.asarray(size, np.int32)
    attrs = {"align_corners": False, "half_pixel_centers": True}
    result = (shape, images.dtype)
    return stand_in(op, [images, sizes], result, attrs=attrs, options=options, version=3)


def _upsampling(own: Function) -> Function:
    def resize_images(
        layer: Any, x: Any, height: int, width: int, data_format: str, interpolation: str = "nearest"
    ) -> Any:
        if interpolation != "nearest" or data_format != "channels_last" or not _is_float32(x):
            return own(layer, x, height, width, data_format, interpolation)
        return _resized(x, (x.shape[1] * height, x.shape[2] * width), "nearest")

    return resize_images


def _conv_transpose(own: Function) -> Function:
    def conv_transpose(
        inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
        data_format: Any = None, dilation_rate: Any = 1,
    ) -> Any:  # fmt: skip
        """Args: inputs [N,(D,)(H,)W,I], kernel [(D,)(H,)W,O,I]."""
        import jax

        space = len(inputs.shape) - 2
        given = (strides, padding, output_padding, data_format, dilation_rate)
        result = jax.eval_shape(lambda x, w: own(x, w, *given), inputs, _value(kernel))
        first = (data_format or _data_format()) == "channels_first"
        x = _moved(inputs, 1, -1) if first else inputs
        shape = (*result.shape[:1], *result.shape[2:], result.shape[1]) if first else result.shape
        plain = output_padding is None and set(_each(dilation_rate, space)) == {1} and _is_float32(x)
        if plain:
            y = _transposed(x, _value(kernel), _each(strides, space), padding, shape)
        else:
            y = _stretched(x, _value(kernel), given, shape)
        return _moved(y, -1, 1) if first else y

    return conv_transpose


def _transposed(x: Any, kernel: Any, strides: Sequence[int], padding: str, shape: Sequence[int]) -> Any:
    """The operator of two or three dimensions; one dimension is an image of height one."""
    import numpy as np
    from jax import numpy as jnp

    if len(strides) == 1:
        flat = _transposed(x[:, None], kernel[None], (1, *strides), padding, (shape[0], 1, *shape[1:]))
        return flat[:, 0]
    attrs = {
        "padding": padding.upper(), "stride_h": strides[-2], "stride_w": strides[-1],
        "fused_activation_function": "NONE",
    }  # fmt: skip
    sizes, result = np.asarray(shape, np.int32), (shape, x.dtype)
    if len(strides) == 3:
        attrs |= {
            "stride_d": strides[0],
            "dilation_d_factor": 1,
            "dilation_h_factor": 1,
            "dilation_w_factor": 1,
        }
        return stand_in("CONV_3D_TRANSPOSE", [sizes, kernel, x], result, attrs=attrs, options="Conv3DOptions")
    weights = jnp.transpose(kernel, (2, 0, 1, 3))
    return stand_in(
        "TRANSPOSE_CONV", [sizes, weights, x], result, attrs=attrs, options="TransposeConvOptions"
    )


def _stretched(x: Any, kernel: Any, given: tuple[Any, ...], shape: Sequence[int]) -> Any:
    """A convolution of the image with zeros between its pixels, where TFLite has no operator for it.

    litert-converter lowers the zeros that a convolution itself puts there for strides only.
    """
    import jax
    from jax import numpy as jnp
    from keras.src.backend.common.backend_utils import compute_conv_transpose_padding_args_for_jax

    strides, padding, output_padding, _, dilation = given
    space = len(x.shape) - 2
    pads = compute_conv_transpose_padding_args_for_jax(
        x.shape, kernel.shape, strides, padding, output_padding, dilation
    )
    for axis, stride in enumerate(_each(strides, space), 1):
        before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        rows = x.reshape(-1, size, 1, prod(after))
        wide = jnp.pad(rows, ((0, 0), (0, 0), (0, stride - 1), (0, 0)))
        x = wide.reshape(*before, size * stride, *after)
        x = jax.lax.slice_in_dim(x, 0, (size - 1) * stride + 1, axis=axis)
    letters = "DHW"[-space:]
    flipped = jnp.swapaxes(jnp.flip(kernel, tuple(range(space))), -1, -2)
    y = jax.lax.conv_general_dilated(
        x, flipped, (1,) * space, pads, rhs_dilation=_each(dilation, space),
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )  # fmt: skip
    return y.reshape(shape)


def _take(own: Function) -> Function:
    def take(x: Any, indices: Any, axis: int | None = None) -> Any:
        table, places = _value(x), _value(indices)
        whole = str(getattr(places, "dtype", "")) in ("int32", "int64", "uint8", "int8", "int16", "uint16")
        if axis != 0 or getattr(table, "ndim", 0) != 2 or not whole or not _is_float32(table):
            return own(x, indices, axis)
        # An embedding. Keras on JAX gives NaN for a word that is not in the table, and LiteRT an error.
        from jax import numpy as jnp

        rows = jnp.asarray(places, "int32")
        result = ((*rows.shape, table.shape[1]), table.dtype)
        attrs = {"axis": 0, "batch_dims": 0}
        return stand_in("GATHER", [table, rows], result, attrs=attrs, options="GatherOptions")

    return take


def _sort(_: Function) -> Function:
    def sort(x: Any, axis: int = -1) -> Any:
        return _sorted(x, axis)[0]

    return sort


def _argsort(_: Function) -> Function:
    def argsort(x: Any, axis: int = -1) -> Any:
        return _sorted(x, axis)[1]

    return argsort


def _sorted(x: Any, axis: int) -> tuple[Any, Any]:
    """Values and places in rising order: the largest of the negative ones, of equal ones the first."""
    from jax import numpy as jnp

    rows = jnp.moveaxis(x, axis, -1)
    values, places = _largest(-rows, rows.shape[-1])
    return jnp.moveaxis(-values, -1, axis), jnp.moveaxis(places, -1, axis)


def _top_k(_: Function) -> Function:
    def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
        return _largest(x, k)

    return top_k


def _largest(x: Any, k: int) -> tuple[Any, Any]:
    import numpy as np

    shape = (*x.shape[:-1], k)
    found: tuple[Any, Any] = stand_in(
        "TOPK_V2", [x, np.int32(k)], (shape, x.dtype), (shape, np.int32), options="TopKV2Options"
    )
    return found


def _is_float32(x: Any) -> bool:
    return str(x.dtype) == "float32"


def _value(variable: Any) -> Any:
    return getattr(variable, "value", variable)


def _each(value: Any, count: int) -> tuple[int, ...]:
    return (int(value),) * count if isinstance(value, int) else tuple(int(each) for each in value)


def _moved(x: Any, start: int, end: int) -> Any:
    from jax import numpy as jnp

    return jnp.moveaxis(x, start, end)


def _data_format() -> str:
    import keras

    return str(keras.config.image_data_format())


_NN, _ARRAYS = "keras.src.backend.jax.nn", "keras.src.backend.jax.numpy"
# Where Keras looks a function up, its name, and what makes a new one of it.
_TABLE: tuple[tuple[str, str, Callable[[Function], Function]], ...] = (
    ("keras.src.backend", "lstm", lambda _: recurrent.lstm),
    ("keras.src.backend", "gru", lambda _: recurrent.gru),
    ("jax.lax", "scan", lambda _: recurrent.scan),
    ("keras.src.backend.jax.image", "resize", _resize),
    (_NN, "conv_transpose", _conv_transpose),
    (_NN, "gelu", _gelu),
    (_NN, "elu", _elu),
    (_ARRAYS, "take", _take),
    (_ARRAYS, "sort", _sort),
    (_ARRAYS, "argsort", _argsort),
    ("keras.src.backend.jax.math", "top_k", _top_k),
)
