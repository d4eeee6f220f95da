"""GPU kernels of pointwise operators that need more than one line."""

from __future__ import annotations

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, no
from sanderling.ops._gpu import Answer, Inputs, Outputs, elementwise, kind_of, one, pointwise
from sanderling.ops._operands import operand, whole
from sanderling.ops.kernel import In, Kernel, Kind, Limits, Out, Step, Temp

# Whole numbers: WGSL's / and % cut towards zero. A division by 0 gives the dividend, nothing worse.
# Real ones: the quotient may be off by a rounding, what is left over tells.
FLOOR_DIV: dict[Kind, str] = {
    "i": "return x / y - select(T4(), T4(1), (x % y != T4()) & ((x < T4()) != (y < T4())));",
    "f": "let q = floor(x / y); let r = (x - q * y) * sign(y);"
    " return q + select(T4(), T4(1), r >= abs(y)) - select(T4(), T4(1), r < T4());",
}
FLOOR_MOD: dict[Kind, str] = {
    "i": "let r = x % y; return r + select(T4(), y, (r != T4()) & ((r < T4()) != (y < T4())));",
    "f": "let q = floor(x / y); let r = x - q * y; let s = r * sign(y);"
    " return r + select(T4(), y, s < T4()) - select(T4(), y, s >= abs(y));",
}
SHIFT_LEFT: dict[Kind, str] = {"i": "select(T4(), x << vec4<u32>(y & T4(31)), (y >= T4()) & (y < T4(32)))"}
SHIFT_RIGHT: dict[Kind, str] = {"i": "x >> vec4<u32>(clamp(y, T4(), T4(31)))"}
# WGSL's pow takes no negative base.
POW: dict[Kind, str] = {
    "i": "var r = T4(1); var b = x; var e = y;"
    " for (var k = 0u; k < 31u; k++) { r = select(r, r * b, (e & T4(1)) == T4(1)); b = b * b;"
    " e = e >> vec4<u32>(1u); } return r;",
    "f": "let p = pow(abs(x), y); let whole = y == floor(y); let odd = fract(y * 0.5) != T4();"
    " let s = select(p, select(sqrt(x), select(p, -p, odd), whole), x < T4());"
    " return select(s, T4(1), y == T4());",
}
# Minimax polynomial on [0, 1] (Hastings 1955, approximation 13); drivers' atan2 may be off by 2⁻¹².
ATAN2 = """let a = abs(x); let b = abs(y); let most = max(a, b);
  let t = select(min(a, b) / most, T4(), most == T4()); let q = t * t;
  let p = t * (0.9999993329 + q * (-0.3332985605 + q * (0.1994653599 + q * (-0.1390853351
    + q * (0.0964200441 + q * (-0.0559098861 + q * (0.0218612288 + q * -0.0040540580)))))));
  let r = select(p, 1.5707963268 - p, a > b); let s = select(r, 3.1415926536 - r, y < T4());
  return select(s, -s, x < T4());"""
# x Φ(x) for negative x is tiny, so not 1 − erf but erfc is computed: a fit of ln(erfc(z) exp(z²) / t) for
# t = 1 / (1 + z / 2), whose relative error is below 2e-6 for |x| < 6.
GELU = """let z = abs(x) * 0.70710678; let t = 1.0 / (1.0 + 0.5 * z);
  let p = -1.265468 + t * (0.998424053 + t * (0.395122319 + t * (-0.0439545773 + t * (0.358589828
    + t * (-1.01101077 + t * (0.757546723 + t * -0.18925032))))));
  let tail = 0.5 * x * t * exp(p - z * z); return select(x - tail, tail, x < T4());"""
# x (1 + tanh z) / 2 = x / (1 + exp(−2z)), which is exact where 1 + tanh z is not.
GELU_TANH = """let z = 0.79788456 * (x + 0.044715 * x * x * x);
  return x / (1.0 + exp(min(-2.0 * z, T4(80.0))));"""
_VECTOR = {"f": "vec4<f32>(x)", "i": "vec4<i32>(x)", "b": "x != T4()"}
_FROM_TRUTH = {
    "f": "select(vec4<f32>(), vec4<f32>(1.0), x)", "i": "select(vec4<i32>(), vec4<i32>(1), x)", "b": "x",
}  # fmt: skip
# Of a whole number that does not fit the lowest bits remain, as in C.
_NARROW = {
    DType.INT8: "(vec4<i32>(x) << vec4<u32>(24u)) >> vec4<u32>(24u)",
    DType.INT16: "(vec4<i32>(x) << vec4<u32>(16u)) >> vec4<u32>(16u)",
    DType.UINT8: "vec4<i32>(x) & vec4<i32>(255)",
}
MOST_OPERANDS = 5  # of one kernel: with its result and a table it binds 7 buffers of the 8


def gelu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of GELU, exact or approximated by tanh."""
    return pointwise(GELU_TANH if whole(node, "approximate") else GELU)(node, inputs, outputs, limits)


def cast(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of CAST."""
    x, out = operand(node, inputs, 0).type, outputs[0].type
    if x.is_quantized or out.is_quantized:
        return no(f"it reads {x} as {out}: stored integers without their scale")
    have, want = kind_of(x), kind_of(out)
    if have is None or want is None:
        return no(f"it casts {x.dtype.value} to {out.dtype.value}, which its GPU kernel does not")
    if out.dtype is DType.INT64 and have == "f":
        return no(f"its operand is {x}, whose numbers may not fit 32 bits")
    text = _FROM_TRUTH[want] if have == "b" else _NARROW.get(out.dtype, _VECTOR[want])
    return one(elementwise(out.shape, (Step(text, {"x": In(0)}),)))


def add_n(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of ADD_N: as many operands at once as a kernel can bind."""
    for position in range(len(inputs)):
        kind = operand(node, inputs, position).type
        if kind_of(kind) not in ("f", "i"):
            return no(f"its operand {position} is {kind}, which its GPU kernel does not take")
    kernels: list[Kernel] = []
    shape, first = outputs[0].shape, 0
    while first < len(inputs):
        last = min(first + MOST_OPERANDS, len(inputs))
        names = {f"x{i}": In(i) for i in range(first, last)}
        before = {"sum": Temp(f"sum{first}", shape)} if first else {}
        write = Out(0) if last == len(inputs) else Temp(f"sum{last}", shape)
        text = " + ".join([*before, *names])
        kernels.append(elementwise(shape, (Step(text, {**names, **before}),), write))
        first = last
    return one(*kernels)


def select(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SELECT and SELECT_V2. A condition of one axis chooses whole rows in the former."""
    condition, out = operand(node, inputs, 0).shape, outputs[0].shape
    for position in (1, 2):
        kind = operand(node, inputs, position).type
        if kind_of(kind) is None:
            return no(f"its operand {position} is {kind}, which its GPU kernel does not take")
    rows = node.op == "SELECT" and len(condition) == 1 and len(out) > 1
    chosen = In(0, (condition[0], *[1] * (len(out) - 1))) if rows else In(0)
    step = Step("select(z, y, x)", {"x": chosen, "y": In(1), "z": In(2)})
    return one(elementwise(out, (step,)))
