"""Embed: a vector of features; of sentences, how near they are in meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.embed import cosine
from sanderling.tasks.pooling import mask_of, pooled, similarities
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import View
from sanderling.tasks.words import output_at

_SHOWN, _MOST_ROWS = 48, 12
_WIDE = 32  # values of a token's vector


@dataclass(frozen=True, slots=True)
class Options:
    """How the vector is read.

    Attributes:
        output: which output holds it; vectors of a sentence's tokens are averaged, those of padding left out.
        first: how many of its values are shown.
    """

    output: int = 0
    first: int = 8


def _vector(outputs: Outputs, options: Options, asked: Asked) -> npt.NDArray[np.float32]:
    values = output_at(outputs, options.output)
    if _sentence(asked) is None:
        return values.ravel().astype(np.float32)
    table = values.reshape(-1, values.shape[-1])
    rows = table[0] if len(table) == 1 else table
    return pooled(rows, mask_of(asked.fed, len(table))).astype(np.float32)


def _sentence(asked: Asked) -> str | None:
    return next((raw for raw in asked.given.values() if isinstance(raw, str)), None)


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    vector = _vector(outputs, options, asked)
    length = float(np.linalg.norm(vector))
    shown = "  ".join(f"{value:.4g}" for value in vector[: options.first])
    more = "  …" if vector.size > options.first else ""
    lines = (f"{vector.size} numbers of length {length:.4g}", shown + more)
    data = {"size": int(vector.size), "length": length, "first": [float(v) for v in vector[: options.first]]}

    def held(others: Outputs) -> float:
        return max(0.0, cosine(vector, _vector(others, options, asked)))

    return Answer(lines, data, None, {"embedding": vector}, held=held)


def _together(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    vectors = [_vector(outputs, options, asked) for outputs, asked in parts]
    if len(vectors) == 1:
        return _answer(parts[0][0], options, parts[0][1])
    names = [_sentence(asked) or f"part {i}" for i, (_, asked) in enumerate(parts, 1)]
    units = [np.asarray(v, np.float64) / max(float(np.linalg.norm(v)), 1e-12) for v in vectors]
    table = similarities(units)
    data: dict[str, Any] = {"parts": names, "similarity": table.tolist()}
    return Answer(
        tuple(_table(names, table)), data, None, {"embeddings": np.stack(vectors), "similarity": table}
    )


def _table(names: Sequence[str], table: npt.NDArray[np.float64]) -> list[str]:
    """Returns: cosines of every two in a table; of many only who is nearest to whom."""
    short = [name if len(name) <= _SHOWN else name[: _SHOWN - 1] + "…" for name in names]
    width = max(map(len, short))
    if len(names) <= _MOST_ROWS:
        head = " " * (width + 4) + " ".join(f"{i:>6}" for i in range(1, len(names) + 1))
        rows = [
            f"{i:>2}  {name:<{width}}" + " ".join(f"{v:>6.2f}" for v in row)
            for i, (name, row) in enumerate(zip(short, table, strict=True), 1)
        ]
        return [head, *rows]
    alone = table - 3 * np.eye(len(table))
    nearest = alone.argmax(axis=1)
    return [f"{short[i]:<{width}}  {alone[i, j]:.2f}  {short[j]}" for i, j in enumerate(nearest)]


def _guess(view: View) -> Mapping[str, Any] | None:
    """A vector for each of the tokens that went in."""
    if len(view.input_shape) != 2 or view.input_shape[1] < 2:
        return None
    for output in view.outputs:
        if output.shape[:-1] == view.input_shape and output.shape[-1] >= _WIDE:
            return {"output": output.position}
    return None


def _columns(answer: Answer) -> Mapping[str, Any]:
    return answer.arrays


TASK = Answering(
    "embed",
    "a vector of features",
    Options,
    _answer,
    _guess,
    _together,
    columns=_columns,
    as_given=True,
    rank=45,
)
