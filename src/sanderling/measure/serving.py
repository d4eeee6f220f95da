"""What the worker does for the search: loads models and runs them, known to the parent by their handles.

All functions here are called in the worker, by ``Worker.call("sanderling.measure.serving:<name>", …)``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sanderling.engines.engine import Port, Runner
from sanderling.errors import InputMismatch, RunError
from sanderling.graph.types import Array
from sanderling.runtime.opening import CASCADE, Read, open_runner, read_file, ready
from sanderling.runtime.ports import dequantize, to_stored
from sanderling.timing.race import Contender

Feed = Mapping[str, Array] | Sequence[Array]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in this process.

    Attributes:
        name: the file's name, for errors.
        runner: the engine's side of it.
        load_ms: milliseconds that the engine took to load it.
        contender: makes of its feeds what is timed, where its calls cannot be timed from here.
    """

    name: str
    runner: Runner
    load_ms: float
    contender: Callable[[list[list[Array]]], Contender] | None = None


_loaded: dict[int, Loaded] = {}
_handles = count(1)


def load(
    path: str,
    engine: str = "litert",
    threads: int = 1,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Loads a model into an engine.

    Returns: ``{"handle", "load_ms", "inputs", "outputs"}``; ports as ``{"name", "dtype", "shape",
        "signature", "scale", "zero_point"}`` (scale and zero point None for unquantized ones). ``load_ms``
        is the engine's part: reading and verifying the file, and importing the engine, are not in it.

    Raises:
        ModelError: the file cannot be read, or the engine refuses it.
    """
    return hold(load_file(Path(path), engine, threads, precision, options))


def hold(loaded: Loaded) -> dict[str, Any]:
    """Gives a loaded model a handle. Returns: as ``load``."""
    handle = next(_handles)
    _loaded[handle] = loaded
    return {
        "handle": handle,
        "load_ms": loaded.load_ms,
        "inputs": [_described(port) for port in loaded.runner.inputs],
        "outputs": [_described(port) for port in loaded.runner.outputs],
    }


def load_file(
    path: Path,
    engine: str,
    threads: int,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
    read: Read | None = None,
) -> Loaded:
    """Loads a model or a cascade without giving it a handle. ``read`` is what ``read_file`` gave, if it was
    called. The models of a cascade have an engine and threads each: see ``runtime/opening.py``."""
    read = read_file(path) if read is None else read
    engine = CASCADE if read.cascade is not None else engine
    ready(read, engine)
    start = time.perf_counter()
    own = None if read.cascade is not None else threads
    runner = open_runner(read, engine, threads=own, precision=precision, options=options)
    return Loaded(path.name, runner, (time.perf_counter() - start) * 1e3)


def run_many(handle: int, feeds: Sequence[Feed], dequantize: bool = False) -> list[list[Array]]:
    """Runs a loaded model on several feeds, in order.

    Args:
        handle: from ``load``.
        feeds: per call, arrays by input name or in the order of the inputs. Float arrays are quantized
            where the input is.
        dequantize: return real values (float32) where outputs are quantized.

    Returns: per feed, the outputs in the model's order.

    Raises:
        InputMismatch: a feed does not fit.
        RunError: the handle is not known here, or the engine failed.
    """
    loaded = find(handle)
    return run_feeds(loaded, feeds, real=dequantize)


def run_feeds(loaded: Loaded, feeds: Sequence[Feed], *, real: bool) -> list[list[Array]]:
    """Runs a loaded model on several feeds; ``real`` dequantizes the outputs."""
    answers = []
    for feed in feeds:
        outputs = loaded.runner.run(arrange(loaded, feed))
        if real:
            ports = loaded.runner.outputs
            outputs = [dequantize(value, port) for value, port in zip(outputs, ports, strict=True)]
        answers.append(outputs)
    return answers


def reset(handle: int) -> None:
    """Sets the variables of a stateful model back to their initial values."""
    find(handle).runner.reset()


def unload(handle: int) -> None:
    """Frees a loaded model. Unloading twice is fine."""
    loaded = _loaded.pop(handle, None)
    if loaded is not None:
        loaded.runner.close()


def find(handle: int) -> Loaded:
    """Returns: the model behind a handle.

    Raises:
        RunError: there is none: the worker was started afresh since, or it was unloaded.
    """
    loaded = _loaded.get(handle)
    if loaded is None:
        raise RunError(f"handle {handle} is not loaded in this worker", hint="load the model again")
    return loaded


def arrange(loaded: Loaded, feed: Feed) -> list[Array]:
    """Returns: one array per input, in order, in its stored dtype.

    Raises:
        InputMismatch: a name, a shape or a dtype does not fit.
    """
    ports = loaded.runner.inputs
    names = [port.name for port in ports]
    if isinstance(feed, Mapping):
        if set(feed) != set(names):
            raise InputMismatch(
                f"got inputs {', '.join(sorted(feed))}, expected {', '.join(names)}", where=loaded.name
            )
        values = [feed[name] for name in names]
    else:
        values = list(feed)
        if len(values) != len(names):
            raise InputMismatch(f"got {len(values)} inputs, expected {len(names)}", where=loaded.name)
    try:
        return [to_stored(value, port) for value, port in zip(values, ports, strict=True)]
    except InputMismatch as error:
        raise InputMismatch(error.what, where=loaded.name, hint=error.hint) from None


def _described(port: Port) -> dict[str, Any]:
    quant = port.quant if port.type.is_quantized else None
    return {
        "name": port.name,
        "dtype": port.type.dtype.value,
        "shape": list(port.type.shape),
        "signature": list(port.signature),
        "scale": None if quant is None else quant.scale.tolist(),
        "zero_point": None if quant is None else quant.zero_point.tolist(),
    }
