"""Running a model in LiteRT's interpreter with its inner tensors in reach, as calibration needs it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import InputMismatch, RunError
from sanderling.graph.types import Array


def load(file: Path, threads: int = 1, *, preserve: bool = False) -> Any:
    """Loads a verified model into LiteRT's interpreter.

    Args:
        file: the model.
        threads: CPU threads.
        preserve: every tensor can be read after a call, at the price of memory.

    Raises:
        RunError: LiteRT refuses the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that preserving takes memory, as intended
            interpreter = Interpreter(
                model_path=str(file), experimental_preserve_all_tensors=preserve, num_threads=threads
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise RunError(f"LiteRT cannot load the model ({error})", where=file.name) from None
    return interpreter


def feed_inputs(interpreter: Any, names: Sequence[str], feed: Mapping[str, Array]) -> None:
    """Sets a model's inputs, resizing those whose shape may change.

    Raises:
        InputMismatch: an input is missing or does not fit.
    """
    details = interpreter.get_input_details()
    missing = [name for name in names if name not in feed]
    if missing:
        raise InputMismatch(f"the feed has {sorted(feed)}, the model wants '{missing[0]}'")
    resized = False
    for name, detail in zip(names, details, strict=True):
        if tuple(detail["shape"]) != feed[name].shape:
            interpreter.resize_tensor_input(detail["index"], feed[name].shape)
            resized = True
    try:
        if resized:
            interpreter.allocate_tensors()
        for name, detail in zip(names, details, strict=True):
            interpreter.set_tensor(detail["index"], np.ascontiguousarray(feed[name]))
    except (ValueError, RuntimeError) as error:
        raise InputMismatch(f"LiteRT refuses a feed ({error})") from None


def invoke(interpreter: Any) -> None:
    """Runs the model once.

    Raises:
        RunError: LiteRT failed.
    """
    try:
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        raise RunError(f"LiteRT failed while running the model ({error})") from None
