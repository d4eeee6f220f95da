"""What is true of an operator, declared once: the ``Op`` contract that every file of this folder fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import MAX_ELEMENTS
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._torch_samples import for_samples
from sanderling.ops.kernel import Gpu

Operands = Sequence[Tensor | None]


class MissingOperand(InvalidGraph):
    """An operand that the operator cannot do without is absent."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic of one call.

    Attributes:
        macs: multiply-accumulates (the unit in which papers give MobileNetV2-224 as 300 M).
        ops: other arithmetic, about one per element written or compared.
    """

    macs: int = 0
    ops: int = 0


@dataclass(frozen=True, slots=True)
class QuantRule:
    """How the operator quantizes to integers.

    Attributes:
        integer: LiteRT has an int8 kernel for it; False keeps it float, ``reason`` says why.
        reason: why it cannot be int8.
        share: outputs (and inputs, when there are several) must have one scale and zero point.
        fixed_output: (scale, zero_point) that int8 outputs must have, e.g. (1/256, −128) for SOFTMAX.
        weights: inputs that are weights where they are constant: input position → channel axis, None for
            one scale.
        bias: position of the bias, stored int32 with scale = input scale × weight scale.
        passthrough: positions of inputs that are never quantized (shapes, indices, conditions, paddings).
            Outputs that are not real numbers (indices, comparisons) never are either: ``infer`` tells.
    """

    integer: bool = True
    reason: str = ""
    share: bool = False
    fixed_output: tuple[float, int] | None = None
    weights: Mapping[int, int | None] = field(default_factory=dict)
    bias: int | None = None
    passthrough: tuple[int, ...] = ()


def float_only(
    reason: str = "LiteRT has no int8 kernel for it", *, passthrough: tuple[int, ...] = ()
) -> QuantRule:
    """Returns: the rule of an operator that stays float."""
    return QuantRule(integer=False, reason=reason, passthrough=passthrough)


FLOAT_ONLY = float_only()


@dataclass(frozen=True, slots=True)
class Case:
    """One input on which every engine that claims the operator is tested.

    Attributes:
        name: short, unique within the operator.
        inputs: arrays, in operand order; None for an absent optional operand.
        attrs: the options; missing ones take the schema's default.
        constant: positions of inputs that are stored in the model rather than fed.
        declared: dtypes of the outputs, for operators where only the file's declaration says them.
        variables: positions of inputs that are the operator's own state between calls.
    """

    name: str
    inputs: Sequence[Array | None]
    attrs: Mapping[str, object] = field(default_factory=dict)
    constant: tuple[int, ...] = ()
    declared: tuple[str, ...] = ()
    variables: tuple[int, ...] = ()


Infer = Callable[[Node, Operands, Sequence[Tensor]], list[TensorType]]
CostFn = Callable[[Node, Operands, Sequence[Tensor]], Cost]
Types = Sequence[TensorType | None]
Reference = Callable[[Node, Sequence[Array | None], Types, Sequence[TensorType]], list[Array]]
# (the module torch, node, operands, their declared types, those of the results) → results. PyTorch is
# passed in, so that no operator imports it.
Torch = Callable[[Any, Node, Sequence[Any], Types, Sequence[TensorType]], list[Any]]
States = Callable[[Node], tuple[int, ...]]
LIFTED = "lifted"
# By this attribute an engine tells what the graph does that a node calls: SUM, PROD, MAX, MIN or LAST.
COMBINES = "combines"


def written(outputs: Sequence[Tensor]) -> int:
    """Returns: the number of elements of all outputs."""
    return sum(tensor.type.size for tensor in outputs)


def elementwise_cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    """Returns: one operation per element written."""
    return Cost(ops=written(outputs))


def stateless(node: Node) -> tuple[int, ...]:
    """Returns: no operand: the operator keeps nothing between calls."""
    return ()


def is_lifted(node: Node) -> bool:
    """Returns: whether a call was given its states as plain operands and gives back their next values. No
    file holds such a call: an engine makes it, by this attribute."""
    return LIFTED in node.attrs


def no_cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    """Returns: nothing: the operator moves or renames data without arithmetic."""
    return Cost()


@dataclass(frozen=True, slots=True)
class Op:
    """One operator.

    Attributes:
        name: TFLite's builtin name.
        infer: (node, input tensors, declared output tensors) → output types. Constants among the inputs
            carry ``data``. Sizes that depend on run-time values are −1. The declared outputs are asked only
            for what nothing else says: the dtype of QUANTIZE, of a CAST without options, the values of
            control flow and variables. ``quant`` is left None: ``QuantRule`` says what it must be.
            Raises ``InvalidGraph`` when operands do not fit.
        cost: arithmetic of one call.
        options: the schema's options table, "" for none.
        reference: NumPy implementation on real (unquantized) arrays: (node, inputs, input types, output
            types) → outputs. None = not written yet; only operators with one can be folded. It checks
            its operands as ``infer`` does and raises ``InvalidGraph``, also for an output of more than
            ``MAX_ELEMENTS`` elements. Only data movement, QUANTIZE and DEQUANTIZE take quantized operands.
            Operands that hold state (SVDF, LSTM) are updated in place: the caller passes arrays of its own.
        quant: how it quantizes.
        cases: inputs that test it on every engine.
        reads: positions of the inputs whose values ``infer`` needs when they are constant.
        moves_data: every output element is a copy of an input element (RESHAPE, GATHER …), so that stored
            integers of any quantization may be moved as they are.
        integer: NumPy implementation of TFLite's integer kernel, with the signature of ``reference``: arrays
            are the stored integers, types carry their quantization; also called for float activations with
            integer weights. Checked like ``reference``. Raises ``InvalidGraph`` for types that no kernel
            of LiteRT takes. None = ``_stored.compute`` goes the generic way: it dequantizes the operands,
            calls ``reference`` and quantizes the results, within one step of the kernel.
        gpu: its kernels for a GPU (see ``ops/kernel.py``); None = it stays on the CPU.
        torch: the same in PyTorch on real numbers, with gradients (see ``Torch``): operands are tensors in
            TFLite's own layouts, None for absent ones. It is written for the declared shapes; callers may
            pass the operands of several samples, one after the other along the first axis, and get their
            results so, too (see ``_torch_samples``). Nothing is changed in place. None = nothing before it
            can be trained through it.
        states: node → positions of the operands that hold its state between calls. In a *lifted* call (see
            ``is_lifted``) these are plain operands, and their next values follow its other outputs.
            ``infer`` knows that by itself; ``gpu`` is only asked for lifted calls.
    """

    name: str
    infer: Infer
    cost: CostFn = elementwise_cost
    options: str = ""
    reference: Reference | None = None
    quant: QuantRule = FLOAT_ONLY
    cases: Callable[[np.random.Generator], list[Case]] | None = None
    reads: tuple[int, ...] = ()
    moves_data: bool = False
    integer: Reference | None = None
    gpu: Gpu | None = None
    states: States = stateless
    torch: Torch | None = None

    def __post_init__(self) -> None:
        infer = self.infer  # an implementation writes states in place: it is never asked for lifted calls
        if self.reference is not None:
            object.__setattr__(self, "reference", _checked(self, infer, self.reference))
        if self.integer is not None:
            object.__setattr__(self, "integer", _checked(self, infer, self.integer, stored=True))
        if self.torch is not None:
            object.__setattr__(self, "torch", for_samples(self.torch, self.reads))
        if self.states is not stateless:
            object.__setattr__(self, "infer", _with_states(self.states, infer))


def _with_states(states: States, infer: Infer) -> Infer:
    """Wraps ``infer``, so that it gives the types of a lifted call's next states, too."""

    def lifted(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
        held = states(node) if is_lifted(node) else ()
        types = infer(node, inputs, outputs)
        return types + [tensor.type for tensor in (inputs[p] for p in held) if tensor is not None]

    return lifted


def _checked(op: Op, infer: Infer, compute: Reference, *, stored: bool = False) -> Reference:
    """Wraps an implementation, so that each of them may rely on operands that fit and on bounded outputs."""

    def reference(
        node: Node, inputs: Sequence[Array | None], input_types: Types, output_types: Sequence[TensorType]
    ) -> list[Array]:
        operands = [_known(node, array, kind) for array, kind in zip(inputs, input_types, strict=True)]
        inferred = infer(node, operands, [Tensor("", kind) for kind in output_types])
        if len(inferred) != len(output_types):
            raise InvalidGraph(
                f"it has {len(output_types)} outputs, expected {len(inferred)}", where=node.kind
            )
        if not stored:
            _refuse_stored(op, node, input_types, output_types)
        for kind in inferred:
            _numpy(node, kind)
            if kind.size > MAX_ELEMENTS:
                raise InvalidGraph(
                    f"its output {kind} has more than {MAX_ELEMENTS} elements", where=node.kind
                )
        types = [replace(kind, quant=told.quant) for kind, told in zip(inferred, output_types, strict=True)]
        with np.errstate(all="ignore"):  # as on every engine, log(−1) is NaN and 1/0 infinite
            results = compute(node, inputs, [t.type if t else None for t in operands], types)
        return [_fitted(node, array, kind) for array, kind in zip(results, types, strict=True)]

    return reference


def _refuse_stored(op: Op, node: Node, inputs: Types, outputs: Sequence[TensorType]) -> None:
    """Refuses stored integers, except where the operator moves them as they are."""
    if op.name in ("QUANTIZE", "DEQUANTIZE"):
        return
    taken = [kind for i, kind in enumerate(inputs) if i not in op.quant.passthrough and kind is not None]
    stored = [kind for kind in (*taken, *outputs) if kind.is_quantized]
    if stored and (not op.moves_data or len({kind.dtype for kind in (*taken, *outputs)}) > 1):
        raise InvalidGraph("stored integers cannot be computed with as real numbers", where=node.kind)


def _known(node: Node, array: Array | None, kind: TensorType | None) -> Tensor | None:
    if array is None or kind is None:
        return None
    if array.dtype != _numpy(node, kind):
        raise InvalidGraph(f"it got an array of {array.dtype}, expected {kind.dtype.value}", where=node.kind)
    return Tensor("", replace(kind, shape=array.shape), array)


def _fitted(node: Node, array: Array, kind: TensorType) -> Array:
    result = np.asarray(array).astype(_numpy(node, kind), copy=False)
    if result.shape != kind.shape:
        raise AssertionError(f"{node.kind}: infer says {kind.shape}, reference gave {result.shape}")
    return result


def _numpy(node: Node, kind: TensorType) -> np.dtype[np.generic]:
    try:
        return kind.dtype.numpy
    except TypeError as error:
        raise InvalidGraph(f"{error}, so it cannot be computed here", where=node.kind) from None
