"""What comparing two models operator by operator gives. Plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanderling.measure.explaining import Why

ONE_STEP = 1.01  # quantization steps; a little more than one, for the rounding of the scale itself


@dataclass(frozen=True, slots=True)
class Difference:
    """One pair of values that ought to be the same.

    Attributes:
        index_a, index_b: positions of the operators that compute them; −1 for an output row.
        kind_a, kind_b: those operators.
        name_a, name_b: the tensors.
        shape: of the value in A.
        matched: how they were paired: ``name`` or ``position``; ``output`` for outputs.
        relative_error: root mean square of the difference / root mean square of A's values, each model run
            from its inputs on, so that what earlier operators did wrong is in it.
        spread: the smallest and the largest relative error of one sample.
        sqnr_db: −20 log10 of ``relative_error``; infinite for equal values.
        max_error: largest difference of two elements.
        own_error: relative error of this operator alone: A's and B's are both fed the values that A's run
            had there (rounded to what B can store). None where that was not possible, ``own_note`` says why.
        own_steps: the largest own difference in quantization steps, where both operators store integers of
            one scale and were fed exactly the same; else None.
        own_note: why there is no ``own_error``, or what is special about it.
        compared: False where one engine does not give the value out; ``note`` says why.
    """

    index_a: int
    index_b: int
    kind_a: str
    kind_b: str
    name_a: str
    name_b: str
    shape: tuple[int, ...]
    matched: str
    relative_error: float
    spread: tuple[float, float]
    sqnr_db: float
    max_error: float
    own_error: float | None = None
    own_steps: float | None = None
    own_note: str = ""
    compared: bool = True
    note: str = ""

    def beyond(self, tolerance: float) -> bool:
        """Returns: whether the values are further apart than ``tolerance``, however that came about."""
        return self.compared and not self.relative_error <= tolerance

    def guilty(self, tolerance: float) -> bool:
        """Returns: whether the operator itself computes something else. Integers may be one step apart."""
        if self.own_steps is not None:
            return not self.own_steps <= ONE_STEP
        return self.own_error is not None and not self.own_error <= tolerance


@dataclass(frozen=True, slots=True)
class DiffResult:
    """Two models, or one on two engines, operator by operator.

    Attributes:
        a, b: the files.
        engines: what ran A and B: an engine's name, with ``:kernels`` where a kernel set was chosen.
        rows: pairs of operators in A's order.
        outputs: the models' outputs, as the engines really run them (all their optimizations on).
        tolerance: relative error from which two values disagree.
        first: index into ``rows`` of the first pair whose values are apart, None when all agree.
        guilty: index into ``rows`` of the first operator that computes something else when fed the same
            inputs, None when there is none.
        alone_a, alone_b: operators of A (of B) without a counterpart, converters of a representation
            (QUANTIZE, DEQUANTIZE, CAST, DENSIFY) left out.
        samples: what they were fed, in words.
        count: how many samples.
        replayed: on how many of them the operators' own errors were measured.
        synthetic: True where they were fed noise.
        notes: what a user must be told.
        why: where B is a quantized A: the operators that cost accuracy, and what helps; None where that was
            not asked for.
    """

    a: str
    b: str
    engines: tuple[str, str]
    rows: tuple[Difference, ...]
    outputs: tuple[Difference, ...]
    tolerance: float
    first: int | None
    guilty: int | None
    alone_a: int
    alone_b: int
    samples: str
    count: int
    replayed: int
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    why: Why | None = None

    @property
    def one_model(self) -> bool:
        """True where one file was run on two engines."""
        return self.a == self.b

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)
