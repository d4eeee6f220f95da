"""Embed: a vector of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.embed import cosine
from sanderling.tasks.task import Outputs
from sanderling.tasks.words import output_at


@dataclass(frozen=True, slots=True)
class Options:
    """How the vector is read.

    Attributes:
        output: which output holds it.
        first: how many of its values are shown.
    """

    output: int = 0
    first: int = 8


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    vector = output_at(outputs, options.output).ravel().astype(np.float32)
    length = float(np.linalg.norm(vector))
    shown = "  ".join(f"{value:.4g}" for value in vector[: options.first])
    more = "  …" if vector.size > options.first else ""
    lines = (f"{vector.size} numbers of length {length:.4g}", shown + more)
    data = {"size": int(vector.size), "length": length, "first": [float(v) for v in vector[: options.first]]}

    def held(others: Outputs) -> float:
        return max(0.0, cosine(vector, output_at(others, options.output)))

    return Answer(lines, data, None, {"embedding": vector}, held=held)


TASK = Answering("embed", "a vector of features", Options, _answer)
