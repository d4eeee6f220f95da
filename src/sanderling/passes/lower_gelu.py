"""GELU by TANH, or by a polynomial for erf where it is the exact one.

Source: Hendrycks and Gimpel 2016; erf: Abramowitz and Stegun, 7.1.26, off by at most 1.5e-7.
"""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering

_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_ERF_P = 0.3275911


def _tanh(at: Steps) -> int:
    """Returns: tanh(√(2/π) · (x + 0.044715 x³))."""
    square = at("MUL", at.x, at.x)
    factor = at("ADD", at("MUL", square, at.number(0.044715)), at.number(1))
    return at("TANH", at("MUL", at("MUL", at.x, at.number(0.7978845608028654)), factor))


def _erf(at: Steps) -> int:
    """Returns: erf(x / √2)."""
    z = at("MUL", at.x, at.number(0.5**0.5))
    t = at("DIV", at.number(1), at("ADD", at("MUL", at("ABS", z), at.number(_ERF_P)), at.number(1)))
    total = at("MUL", t, at.number(_ERF[0]))
    for coefficient in _ERF[1:]:
        total = at("MUL", at("ADD", total, at.number(coefficient)), t)
    power = at("EXP", at("MUL", at("MUL", z, z), at.number(-1)))
    return at("MUL", at("SIGN", at.x), at("SUB", at.number(1), at("MUL", total, power)))


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    inner = _tanh(at) if at.node.attrs.get("approximate") else _erf(at)
    half = at("MUL", at.x, at.number(0.5))
    at.last("MUL", half, at("ADD", inner, at.number(1)))
    return True


PASS = lowering("GELU", ("ABS", "ADD", "DIV", "EXP", "MUL", "SIGN", "SUB", "TANH"), lower)
