"""How a GPU walks along the steps of a recurrent layer: in a loop, or with a dispatch for every step.

The loop keeps a sequence's state in the memory of a workgroup, which reads all weights in every step: best
for small layers. Where the weights are many, a single core of the GPU cannot read them fast enough, and a
dispatch for every step has all cores do it. A long sequence takes several dispatches either way, for a driver
stops what runs for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sanderling.graph.types import Array, Verdict, no
from sanderling.ops.kernel import In, Kernel, Limits, Number, Read, Shape, Temp, Weights, WeightStorage

_MOST_THREADS = 256
_MOST_SHARES = 8  # threads that share the sum of one cell
_MOST_ROUNDS = 2**19  # of a thread's loops in a dispatch: half a second at worst
_SOFTWARE_ROUNDS = 60000  # llvmpipe ends all loops of a thread after 65,535
_MOST_DISPATCHES = 256
_STEP_THREADS, _STEP_CELLS = 64, 4  # of a workgroup that takes a single step
_LARGE = 2**21  # bytes of recurrent weights from which on single steps should be faster; timing tells
_MOST_BYTES = 2**28  # of recurrent weights
_MOST_GROUPS = 65535


Scales = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Walk:
    """How a layer walks along a sequence.

    Attributes:
        steps, batch: their numbers.
        time_major: rows lie step by step, not sequence by sequence.
        reverse: from the last step to the first.
    """

    steps: int
    batch: int
    time_major: bool = True
    reverse: bool = False

    @property
    def rows(self) -> int:
        return self.steps * self.batch

    @property
    def by_step(self) -> int:
        """Rows from one step to the next."""
        return self.batch if self.time_major else 1

    @property
    def by_batch(self) -> int:
        """Rows from one sequence to the next."""
        return 1 if self.time_major else self.steps

    @property
    def last(self) -> int:
        """The step that comes last."""
        return 0 if self.reverse else self.steps - 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One recurrent layer.

    Attributes:
        name: of its values.
        walk: along the sequence.
        features: of the input.
        cells: of an LSTM; of a plain layer groups of four units.
        outputs: of a step.
        states: positions of output and cell state among the operands.
        inputs: gives what the input is multiplied by, [4 · cells, features].
        bias: [4 · cells], added at once; None where it comes later.
        recurrent: gives what the outputs are multiplied by, [outputs, cells, 4].
        input_scales: scales of a cell's four where ``inputs`` gives stored int8; None for floats.
        recurrent_scales: the same of ``recurrent``.
        lstm: it is an LSTM.
        norm: its gates are normalized.
        project: gives the projection [cells, outputs padded to 4].
        table: gives peepholes (with ``norm`` also scales and biases) per cell, and the projection's bias.
        uniforms: limits.
    """

    name: str
    walk: Walk
    features: int
    cells: int
    outputs: int
    states: tuple[int, ...]
    inputs: Callable[[], Array]
    bias: Array | None
    recurrent: Callable[[], Array]
    input_scales: Scales | None = None
    recurrent_scales: Scales | None = None
    lstm: bool = False
    norm: bool = False
    project: Callable[[], Array] | None = None
    table: Callable[[], Array] | None = None
    uniforms: Mapping[str, Number] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Of a row of its results."""
        return max(self.outputs, self.cells) if self.lstm else self.outputs

    @property
    def result(self) -> Temp:
        """A row for every step, then one for every sequence's cell states."""
        return Temp(f"{self.name}_result", (self.walk.rows + self.walk.batch * self.lstm, self.width), "f")


def _bucket(size: int, least: int = 4) -> int:
    """Returns: a size rounded up, to one of few: every size of shared memory is a pipeline of its own."""
    power = 1 << (max(size, least) - 1).bit_length()
    return power if power <= 256 else -(-size // 256) * 256


def walked(layer: Layer, limits: Limits) -> dict[str, list[Kernel]] | Verdict:
    """Returns: ways to walk along the steps, the one expected to be faster first; or why there is none."""
    if layer.walk.batch > _MOST_GROUPS:
        return no(f"{layer.walk.batch} sequences at once are more than a GPU has workgroups for")
    size = 16 * layer.cells * layer.outputs  # also of a diagonal, which a file stores in less
    if size > _MOST_BYTES:
        return no(f"its recurrent weights take {size} bytes, more than {_MOST_BYTES}")
    loop, steps = _loop(layer, limits), _steps(layer, limits)
    found = {name: way for name, way in (("loop", loop), ("steps", steps)) if not isinstance(way, Verdict)}
    if not found and isinstance(loop, Verdict):
        return loop
    order = ("steps", "loop") if size >= _LARGE else ("loop", "steps")
    return {name: found[name] for name in order if name in found}


def _loop(layer: Layer, limits: Limits) -> list[Kernel] | Verdict:
    """Returns: the kernels that walk along the steps in a loop: one, or several for a long sequence."""
    walk, cells = layer.walk, _bucket(layer.cells)
    most = min(_MOST_THREADS, 1 << (limits.invocations.bit_length() - 1))
    lanes = min(cells, most)
    split = min(most // lanes, _MOST_SHARES)
    constants = {
        "LSTM": int(layer.lstm), "NORM": int(layer.norm), "PROJECT": int(layer.project is not None),
        "CELLS": cells, "OUTPUTS": _bucket(layer.outputs), "WIDTH": cells if layer.lstm else 4 * cells,
        "LANES": lanes, "SPLIT": split, "THREADS": lanes * split, "SHARED": int(split > 1),
        "PARTS": int(split > 1 or layer.norm),
    }  # fmt: skip
    needed = constants["OUTPUTS"] + constants["WIDTH"] + cells * layer.lstm + 4 * cells * layer.norm
    needed = 4 * (needed + 4 * constants["THREADS"] * constants["PARTS"])
    if needed > limits.workgroup_bytes:
        return no(
            f"the state of its {layer.outputs} outputs takes {needed} bytes of a workgroup's memory, of which"
            f" this device has {limits.workgroup_bytes}"
        )
    most_rounds = _SOFTWARE_ROUNDS if limits.software else _MOST_ROUNDS
    count = max(1, most_rounds // _rounds(layer, constants))
    if -(-walk.steps // count) > _MOST_DISPATCHES:
        return no(f"a sequence of {walk.steps} steps takes longer than a GPU's driver allows")
    first = Kernel(
        "recurrent", layer.result, (walk.batch, 1, 1), _reads(layer), (constants["THREADS"], 1, 1),
        constants=constants, cooperative=True, partial=True, fusable=False,
    )  # fmt: skip
    return [
        _part(layer, first, start, min(count, walk.steps - start)) for start in range(0, walk.steps, count)
    ]


def _steps(layer: Layer, limits: Limits) -> list[Kernel] | Verdict:
    """Returns: a kernel for every step."""
    walk = layer.walk
    if limits.software or layer.norm or layer.project is not None or walk.steps > _MOST_DISPATCHES:
        return no("its steps cannot be taken one by one")
    groups = (-(-layer.cells // _STEP_CELLS), walk.batch, 1)
    constants = {"LSTM": int(layer.lstm), "THREADS": _STEP_THREADS, "CELLS": _STEP_CELLS}
    first = Kernel(
        "recurrent_step", layer.result, groups, _reads(layer), (_STEP_THREADS, 1, 1), constants=constants,
        cooperative=True, partial=True, fusable=False,
    )  # fmt: skip
    return [_part(layer, first, step, 1) for step in range(walk.steps)]


def _rounds(layer: Layer, constants: Mapping[str, int]) -> int:
    """Returns: how many rounds of its loops a thread does in a step, of which each counts as several where
    the workgroup waits for all its threads."""
    threads, split = constants["THREADS"], constants["SPLIT"]
    cells, outputs = -(-layer.cells // constants["LANES"]), -(-layer.outputs // threads)
    sums = cells * (-(-layer.outputs // (4 * split)) + split)
    norms = 8 * (-(-layer.cells // threads) + threads.bit_length()) if layer.norm else 0
    return sums + outputs * (2 + layer.cells * constants["PROJECT"]) + norms + 16


def _whole_quads(weights: Array) -> Array:
    """Returns: recurrent weights, flat, their outputs padded to a multiple of 4."""
    return np.pad(weights, ((0, -len(weights) % 4), (0, 0), (0, 0))).reshape(-1)


def _reads(layer: Layer) -> dict[str, Read | Weights]:
    """Returns: what the first kernel reads; all others share its weights."""
    walk = layer.walk
    gates: Shape = (1, 1, walk.rows, 4 * layer.cells)
    reads: dict[str, Read | Weights] = {"x": Temp(f"{layer.name}_gates", gates)}
    storage: WeightStorage = "float" if layer.recurrent_scales is None else "i8"
    reads["w"] = Weights(lambda: _whole_quads(layer.recurrent()), storage)
    names = zip("sd", layer.states, (layer.outputs, layer.cells), strict=False)
    reads |= {name: In(position, (walk.batch, size)) for name, position, size in names}
    if layer.project is not None:
        reads["p"] = Weights(layer.project)
    if layer.table is not None:
        reads["t"] = Weights(layer.table, "f32")
    return reads


def _part(layer: Layer, first: Kernel, start: int, count: int) -> Kernel:
    """Returns: the kernel that takes ``count`` steps, the first of which is number ``start``. After the first
    one, the state is what the one before has written."""
    walk = layer.walk
    uniforms: dict[str, Number] = {
        "cells": layer.cells, "outputs": layer.outputs, "count": count, "rows": walk.rows,
        "first": walk.steps - 1 - start if walk.reverse else start, "stride": -1 if walk.reverse else 1,
        "by_step": walk.by_step, "by_batch": walk.by_batch,
    }  # fmt: skip
    scales = layer.recurrent_scales or (1.0, 1.0, 1.0, 1.0)
    uniforms |= {f"scale{gate}": scale for gate, scale in enumerate(scales)}
    states = "sd" if start else ""
    return replace(
        first,
        reads={name: read for name, read in first.reads.items() if name not in states},
        uniforms=uniforms | dict(layer.uniforms),
        constants={**first.constants, "RESUMED": int(start > 0)},
    )
