"""Why integers lose an operator's values: one word for the cause, and the figures that show it.

Every function looks at one thing and says how many times smaller the squared error would be without it; below
a threshold it says nothing, so that sound tensors get no cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress.quantizing.histogram import Histogram, Range

Vector = npt.NDArray[np.float64]

RANGE, CHANNEL, SATURATION, PRECISION = "range", "outlier channel", "saturation", "precision"
OVERFLOW, SHARED, FIXED, BIAS = "overflow", "shared scale", "fixed scale", "bias"

_WHOLE = 99.9  # percent of the values that ought to need most of a range
_PART = 4.0  # a range this many times wider than needed
_APART = 8.0  # channels whose sizes differ by this much
_CUT = 4.0  # squared error of what is cut off over that of rounding; the best range has about 1
_FEW = 4.0  # steps: half of the values lie within so few
_TAIL = 8.0  # a row's largest weight, in root mean squares: normal ones have 3 to 4
_COARSE = 0.02  # relative error of weights: int8 per channel has 0.003 to 0.01
_MOVED = 2.0  # squared shift of the mean over the squared error around it
_RARE = 0.1  # values that a channel would give if it were large all the time
_INT32 = 2**31 - 2


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause.

    Attributes:
        word: ``range``, ``outlier channel``, ``saturation``, ``precision``, ``overflow``, ``shared scale``,
            ``fixed scale`` or ``bias``.
        evidence: what shows it, one clause with figures.
        excess: how many times smaller the squared error would be without it.
    """

    word: str
    evidence: str
    excess: float


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """A tensor as integers hold it.

    Attributes:
        seen: its values on the samples.
        extremes: [2, channels] lowest and highest value of each channel; None where unknown.
        low, high: what the integers can hold.
        step: their scale.
        fixed: the operator dictates the scale.
        shared: the scale is that of other tensors, too.
    """

    seen: Histogram
    extremes: Vector | None
    low: float
    high: float
    step: float
    fixed: bool = False
    shared: bool = False

    @property
    def width(self) -> float:
        return self.high - self.low


def of_activation(tensor: Activation) -> tuple[Cause, ...]:
    """Returns: why a tensor's integers are far from its values, the main cause first."""
    if tensor.seen.empty or tensor.seen.exponent is None or tensor.step <= 0:
        return ()
    found = _ordered([saturation(tensor), wide(tensor), stretched(tensor)])
    few = few_levels(tensor)  # what all of the others lead to
    return found if few is None else (*found, few)


def saturation(tensor: Activation) -> Cause | None:
    """Values beyond the range, which cost far more than rounding does."""
    held = (tensor.low, tensor.high)
    values, counts = tensor.seen.bins()
    outside = (values < tensor.low - tensor.step) | (values > tensor.high + tensor.step)
    share = float(counts[outside].sum() / max(counts.sum(), 1))
    rounding = tensor.step**2 / 12
    excess = tensor.seen.noise(held) * _power(values, counts) / rounding if share else 1.0
    if excess < _CUT:
        return None
    return Cause(SATURATION, f"{share:.2g} of the values lie beyond {_range(held)}", excess)


def wide(tensor: Activation) -> Cause | None:
    """A scale for more than this tensor holds: the operator's own, or one that it shares."""
    low, high = tensor.seen.minmax()
    if tensor.fixed:
        low, high = tensor.seen.percentile(_WHOLE)
    used = (high - low) / tensor.width
    if used * _PART > 1:
        return None
    excess = used**-2
    if tensor.fixed:
        return Cause(FIXED, f"{_WHOLE} % of the values lie in {used:.2g} of the operator's own range", excess)
    if tensor.shared:
        return Cause(SHARED, f"its values take {used:.2g} of a range that it shares", excess)
    return Cause(
        RANGE, f"its values take {used:.2g} of the range {_range((tensor.low, tensor.high))}", excess
    )


def stretched(tensor: Activation) -> Cause | None:
    """A few values, or a few channels, far larger than all others."""
    if tensor.fixed:
        return None
    channel = _outlier(tensor)
    if channel is not None:
        return channel
    low, high = tensor.seen.percentile(_WHOLE)
    used = (high - low) / tensor.width
    if used * _PART > 1:
        return None
    held = _range((tensor.low, tensor.high))
    return Cause(RANGE, f"{_WHOLE} % of the values lie in {used:.2g} of the range {held}", used**-2)


def few_levels(tensor: Activation) -> Cause | None:
    """Most values are only a few steps."""
    values, counts = tensor.seen.bins()
    moved = counts * (values != 0)
    if moved.sum() == 0:
        return None
    order = np.argsort(np.abs(values))
    running = np.cumsum(moved[order])
    middle = float(np.abs(values[order][np.searchsorted(running, running[-1] / 2)]))
    steps = middle / tensor.step
    if steps > _FEW:
        return None
    evidence = f"half of the values other than 0 are smaller than {max(steps, 0.1):.1f} steps"
    return Cause(PRECISION, evidence, (_FEW / max(steps, 0.1)) ** 2)


def unequal(steps: Sequence[float]) -> Cause | None:
    """Operands of an addition of which one is hardly more than a step of the sum.

    Args:
        steps: root mean square of each operand, in steps of the result.
    """
    least = min(steps, default=_FEW)
    if len(steps) < 2 or least <= 0 or least >= _FEW or max(steps) < _APART * least:
        return None
    evidence = f"one operand is {least:.1f} steps of the sum, the other {max(steps):.0f}"
    return Cause(SHARED, evidence, (_FEW / least) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """An operator's weights as integers hold them.

    Attributes:
        rows: [O, K] the float weights behind each result.
        stored: [O, K] what became of them.
        columns: [C] the largest weight of each input channel; None for depthwise ones.
        per_channel: every row has a scale of its own.
    """

    rows: Vector
    stored: Vector
    columns: Vector | None
    per_channel: bool


def of_weights(weights: Weights) -> tuple[Cause, ...]:
    """Returns: why an operator's integers are far from its weights, the main cause first."""
    error = float(np.square(weights.stored - weights.rows).sum())
    power = float(np.square(weights.rows).sum())
    if error <= 0 or power <= 0:
        return ()
    found = [_clipped(weights, error), _rows_apart(weights), _columns_apart(weights), _tails(weights)]
    relative = (error / power) ** 0.5
    if relative > _COARSE:
        evidence = f"rounding changes the weights by {relative:.2g} of their size"
        found.append(Cause(PRECISION, evidence, min((relative / _COARSE) ** 2, 2.0)))
    return _ordered(found)


def mean_shift(shift: Vector, spread: Vector, size: float) -> Cause | None:
    """Weights whose errors move a channel's mean rather than scatter it.

    Args:
        shift: [O] the error of each result's mean.
        spread: [O] variance of each result's error around it.
        size: root mean square of the results.
    """
    moved, around = float(np.square(shift).sum()), float(spread.sum())
    worst = int(np.argmax(np.abs(shift)))
    if moved <= _MOVED * around or np.abs(shift[worst]) < 1e-3 * size:
        return None
    share = abs(shift[worst]) / max(size, 1e-30)
    evidence = f"the mean of channel {worst} moves by {share:.2g} of the results' size"
    return Cause(BIAS, evidence, 1 + moved / max(around, 1e-30))


def overflow(bias: npt.NDArray[np.int64]) -> Cause | None:
    """A bias that int32 cannot hold.

    Args:
        bias: as it is stored.
    """
    cut = int(np.count_nonzero(np.abs(bias.astype(np.float64)) >= _INT32))
    return Cause(OVERFLOW, f"{cut} of {bias.size} biases are cut off by int32", np.inf) if cut else None


def _outlier(tensor: Activation) -> Cause | None:
    if tensor.extremes is None or tensor.extremes.shape[1] < 2:
        return None
    widths = np.maximum(tensor.extremes[1], 0) - np.minimum(tensor.extremes[0], 0)
    alive = widths[widths > 0]
    middle = float(np.median(alive)) if alive.size else 0.0
    if alive.size < 2 or middle <= 0 or widths.max() < _APART * middle:
        return None
    large = widths > widths.max() / 2
    # Rare values are a matter of the range: a channel that is large gives its share of large values.
    values, counts = tensor.seen.bins()
    share = float(counts[np.abs(values) > np.abs(tensor.extremes).max() / 8].sum() / max(counts.sum(), 1))
    if share < _RARE * np.count_nonzero(large) / widths.size:
        return None
    ratio, worst = float(widths.max() / middle), int(np.argmax(widths))
    evidence = f"channel {worst} of {widths.size} is {ratio:.0f} times as wide as the median one"
    return Cause(CHANNEL, evidence, float(widths.max() ** 2 / np.square(widths).mean()))


def _clipped(weights: Weights, error: float) -> Cause | None:
    ends = np.abs(weights.stored).max(axis=1 if weights.per_channel else None, keepdims=True)
    beyond = np.abs(weights.rows) > ends
    cut = float(np.square(weights.stored - weights.rows)[beyond].sum())
    rest = max(error - cut, 1e-30)
    if cut < rest:
        return None
    evidence = f"{np.count_nonzero(beyond) / beyond.size:.2g} of the weights lie beyond what is stored"
    return Cause(SATURATION, evidence, 1 + cut / rest)


def _rows_apart(weights: Weights) -> Cause | None:
    if weights.per_channel:
        return None
    sizes = np.abs(weights.rows).max(axis=1)
    alive = sizes[sizes > 0]
    if alive.size < 2 or alive.max() < _APART * np.median(alive):
        return None
    ratio = float(alive.max() / np.median(alive))
    evidence = f"one scale for all: channel {int(np.argmax(sizes))} is {ratio:.0f} times the median one"
    return Cause(CHANNEL, evidence, float(alive.max() ** 2 / np.square(alive).mean()))


def _columns_apart(weights: Weights) -> Cause | None:
    columns = weights.columns
    if columns is None or columns.size < 2 or np.median(columns) <= 0:
        return None
    ratio = float(columns.max() / np.median(columns))
    if ratio < _APART:
        return None
    evidence = f"weights of input channel {int(np.argmax(columns))} are {ratio:.0f} times the median one's"
    return Cause(CHANNEL, evidence, float(columns.max() ** 2 / np.square(columns).mean()))


def _tails(weights: Weights) -> Cause | None:
    largest, size = np.abs(weights.rows).max(axis=1), np.sqrt(np.square(weights.rows).mean(axis=1))
    power = float(np.square(size).sum())
    ratio = float(np.sqrt(np.square(largest).sum() / power)) if power > 0 else 0.0
    if ratio < _TAIL:
        return None
    evidence = f"the largest weights are {ratio:.0f} times the root mean square"
    return Cause(RANGE, evidence, (ratio / _FEW) ** 2)


def _ordered(found: Sequence[Cause | None]) -> tuple[Cause, ...]:
    return tuple(sorted((c for c in found if c is not None), key=lambda c: -c.excess))


def _power(values: Vector, counts: npt.NDArray[np.int64]) -> float:
    return float((np.square(values) * counts).sum() / max(counts.sum(), 1))


def _range(held: Range) -> str:
    return f"{held[0]:.3g} to {held[1]:.3g}"
