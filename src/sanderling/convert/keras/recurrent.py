"""LSTM and GRU layers as they are traced: the products with the input for all steps at once, then the steps.

Keras's own loop multiplies the input step by step. What does not depend on the state is one product of
matrices here, which XNNPACK computes several times faster than many products with vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sanderling.convert.stand_ins import loop, stand_in

# Measured with LiteRT on a Zen 4, one thread: at 28 steps of 64 units both ways take the same time.
LONGEST_WRITTEN_OUT = 64  # steps
MOST_PACKED_BYTES = 2 << 20
Step = Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]


def lstm(
    inputs: Any, initial_state_h: Any, initial_state_c: Any, mask: Any, kernel: Any, recurrent_kernel: Any,
    bias: Any, activation: Any, recurrent_activation: Any, return_sequences: bool = False,
    go_backwards: bool = False, unroll: bool = False,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """Hochreiter and Schmidhuber 1997 with forget gates, gates in Keras's order: input, forget, cell, output.

    Args:
        inputs [N,T,C]; initial_state_h, initial_state_c [N,U]; kernel [C,4U]; recurrent_kernel [U,4U];
        bias [4U] or None.

    Returns: the last output [N,U], outputs [N,T,U] ([N,1,U] unless ``return_sequences``), the states.

    Raises:
        NotImplementedError: some steps are masked: Keras's own loop does that.
    """
    if mask is not None:
        raise NotImplementedError
    from jax import numpy as jnp

    recurrent = jnp.asarray(recurrent_kernel)

    def step(projected: Any, states: tuple[Any, ...]) -> tuple[Any, ...]:
        h, c = states
        i, f, g, o = jnp.split(projected + jnp.matmul(h, recurrent), 4, axis=-1)
        c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
        return recurrent_activation(o) * activation(c), c

    projected = _project(inputs, kernel, bias)
    states = (initial_state_h, initial_state_c)
    return _walk(step, projected, states, recurrent.nbytes, return_sequences, go_backwards)


def gru(
    inputs: Any, initial_state: Any, mask: Any, kernel: Any, recurrent_kernel: Any, bias: Any,
    activation: Any, recurrent_activation: Any, return_sequences: bool = False, go_backwards: bool = False,
    unroll: bool = False, reset_after: bool = True,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """Cho et al. 2014, gates in Keras's order: update, reset, candidate.

    Args:
        inputs [N,T,C]; initial_state [N,U]; kernel [C,3U]; recurrent_kernel [U,3U]; bias [2,3U] (for the
            input and for the state), with ``reset_after=False`` [3U], or None.
        reset_after: the reset gate is applied to the state's product, not to the state.

    Returns: the last output [N,U], outputs [N,T,U] ([N,1,U] unless ``return_sequences``), the state.

    Raises:
        NotImplementedError: some steps are masked: Keras's own loop does that.
    """
    if mask is not None:
        raise NotImplementedError
    from jax import numpy as jnp

    recurrent = jnp.asarray(recurrent_kernel)
    units = recurrent.shape[0]
    both = None if bias is None else jnp.asarray(bias)
    of_input, of_state = (both[0], both[1]) if both is not None and both.ndim == 2 else (both, None)

    def step(projected: Any, states: tuple[Any, ...]) -> tuple[Any, ...]:
        (h,) = states
        x_z, x_r, x_h = jnp.split(projected, 3, axis=-1)
        if reset_after:
            inner = jnp.matmul(h, recurrent)
            h_z, h_r, h_h = jnp.split(inner if of_state is None else inner + of_state, 3, axis=-1)
            z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
            candidate = activation(x_h + r * h_h)
        else:
            h_z, h_r = jnp.split(jnp.matmul(h, recurrent[:, : 2 * units]), 2, axis=-1)
            z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
            candidate = activation(x_h + jnp.matmul(r * h, recurrent[:, 2 * units :]))
        return (z * (h - candidate) + candidate,)

    projected = _project(inputs, kernel, of_input)
    return _walk(step, projected, (initial_state,), recurrent.nbytes, return_sequences, go_backwards)


def _project(inputs: Any, kernel: Any, bias: Any) -> Any:
    from jax import numpy as jnp

    product = jnp.matmul(inputs, jnp.asarray(kernel))
    return product if bias is None else product + jnp.asarray(bias)


def _walk(
    step: Step, projected: Any, states: Sequence[Any], weight_bytes: int, every: bool, backwards: bool
) -> tuple[Any, Any, list[Any]]:
    """Takes the steps [N,T,…] one after the other.

    As Keras does it, outputs are in the order in which the steps were taken, also backwards.
    """
    from jax import numpy as jnp

    now = tuple(jnp.asarray(state) for state in states)
    if backwards:
        projected = jnp.flip(projected, 1)

    def each(carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        carry = step(x, carry)
        return carry, carry[0] if every else None

    now, outputs = scan(each, now, jnp.swapaxes(projected, 0, 1), weight_bytes=weight_bytes)
    kept = jnp.swapaxes(outputs, 0, 1) if every else now[0][:, None]
    return now[0], kept, list(now)


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None = None,
    reverse: bool = False, unroll: Any = 1, *, weight_bytes: int = 0, **_: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """``jax.lax.scan``, written out where that is faster, else as a WHILE: litert-converter exports no loops.

    A step of a WHILE costs some 0.3 µs more. Written out, every step has weights of its own, since XNNPACK
    packs them for each operator anew, and together they fall out of the cache.
    """
    import jax
    from jax import numpy as jnp

    leaves = jax.tree.leaves(xs)
    times = int(leaves[0].shape[0]) if leaves else int(length or 0)
    order = range(times - 1, -1, -1) if reverse else range(times)
    if times <= LONGEST_WRITTEN_OUT and times * weight_bytes <= MOST_PACKED_BYTES:
        outputs = []
        for time in order:
            init, y = f(init, jax.tree.map(lambda x, time=time: x[time], xs))
            outputs.append(y)
        outputs = outputs[::-1] if reverse else outputs
        return init, jax.tree.map(lambda *ys: jnp.stack(ys), *outputs)
    done: tuple[Any, Any] = _looped(f, init, xs, times, reverse)
    return done


def _looped(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, times: int, reverse: bool) -> Any:
    import jax
    from jax import numpy as jnp

    first = jax.tree.map(lambda x: x[0], xs)
    pure, held = jax.closure_convert(f, init, first)
    kinds = jax.eval_shape(f, init, first)[1]
    ys = jax.tree.map(lambda kind: jnp.zeros((times, *kind.shape), kind.dtype), kinds)
    start, form = jax.tree.flatten((init, xs, list(held), ys))

    def body(number: Any, *values: Any) -> tuple[Any, ...]:
        carry, every, consts, outputs = jax.tree.unflatten(form, values)
        time = times - 1 - number if reverse else number
        x = jax.tree.map(partial(_row, time=time), every)
        carry, y = pure(carry, x, *consts)
        outputs = jax.tree.map(partial(_with_row, time=time), outputs, y)
        return tuple(jax.tree.leaves((carry, every, consts, outputs)))

    carry, _, _, outputs = jax.tree.unflatten(form, loop(body, times, *start))
    return carry, outputs


def _row(array: Any, time: Any) -> Any:
    """Returns: array[time]. JAX's own index is clamped and counted from the end, by five more operators."""
    attrs = {"axis": 0, "batch_dims": 0}
    result = (array.shape[1:], array.dtype)
    return stand_in("GATHER", [array, time], result, attrs=attrs, options="GatherOptions")


def _with_row(array: Any, row: Any, time: Any) -> Any:
    from jax import numpy as jnp

    place = jnp.stack([time, *[jnp.int32(0)] * (array.ndim - 1)])
    return stand_in("DYNAMIC_UPDATE_SLICE", [array, row[None], place], (array.shape, array.dtype))
