"""LSTM and GRU layers as they are traced: the products with the input for all steps at once, then the steps.

Keras's own loop multiplies the input step by step. What does not depend on the state is one product of
matrices here, which XNNPACK computes several times faster than many products with vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
    return _walk(step, projected, (initial_state_h, initial_state_c), return_sequences, go_backwards)


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
    return _walk(step, projected, (initial_state,), return_sequences, go_backwards)


def _project(inputs: Any, kernel: Any, bias: Any) -> Any:
    from jax import numpy as jnp

    product = jnp.matmul(inputs, jnp.asarray(kernel))
    return product if bias is None else product + jnp.asarray(bias)


def _walk(
    step: Step, projected: Any, states: Sequence[Any], every: bool, backwards: bool
) -> tuple[Any, Any, list[Any]]:
    """Takes the steps [N,T,…] one after the other, each written out: litert-converter exports no loops.

    As Keras does it, outputs are in the order in which the steps were taken, also backwards.
    """
    from jax import numpy as jnp

    now = tuple(jnp.asarray(state) for state in states)
    outputs = []
    times = range(projected.shape[1])
    for time in reversed(times) if backwards else times:
        now = step(projected[:, time], now)
        outputs.append(now[0])
    kept = outputs if every else outputs[-1:]
    return outputs[-1], jnp.stack(kept, axis=1), list(now)
