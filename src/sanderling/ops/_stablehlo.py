"""StableHLO operators that LiteRT runs as they are: two operands of one shape, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops import _cases
from sanderling.ops._elementwise import Binary, binary
from sanderling.ops._operands import INTEGERS
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, Op, float_only


def elementwise(
    name: str,
    compute: Binary,
    *,
    dtypes: frozenset[DType] | None = None,
    options: str = "",
    gpu: Gpu | None = None,
    torch: Callable[..., Any] | None = None,
) -> Op:
    """Returns: an operator on two operands of one shape, which do not broadcast."""

    def cases(rng: np.random.Generator) -> list[Case]:
        whole = [np.abs(_cases.whole_numbers(rng, (3, 5))) for _ in range(2)]
        found = [Case("int32", list(whole))]
        if dtypes is None:
            found.append(Case("float", [_cases.normal(rng, (2, 3, 4)) for _ in range(2)]))
        return found

    rule = float_only("LiteRT computes with stored integers as they are")
    taken = dtypes or frozenset({DType.FLOAT32, *INTEGERS})
    return binary(
        name,
        compute,
        options=options,
        quant=rule,
        dtypes=taken,
        stretch=False,
        as_stored=True,
        cases=cases,
        gpu=gpu,
        torch=torch,
    )
