"""A float network that computes as its quantized form will: what quantization-aware training runs.

Weights and activations are rounded to the integers of a scheme on the way, and gradients pass as if they were
not (straight through); the scales are learned with them. Where each value is rounded follows the writer's own
rules, so that what was trained is what is written.

Sources: Esser et al., Learned step size quantization (2020), equations 1 to 3 and section 2.2; Bengio et al.,
Estimating or propagating gradients through stochastic neurons (2013), for the straight-through estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.compress.quantizing.scales import Scales, assign_scales, fixed_output
from sanderling.compress.quantizing.scheme import Scheme, operands_of, real_results
from sanderling.compress.quantizing.stored import Stored, quant_of
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph
from sanderling.graph.types import Quant
from sanderling.ops._quantized import limits

_INSIDE = 0.5001  # of a step: further off, a weight was cut


@dataclass(slots=True, eq=False)
class _Step:
    """A scale that is learned by its logarithm, so that all of them change at one pace, and its integers."""

    logarithm: Any
    zero_point: int
    low: int
    high: int


class FakeQuantized:
    """Hooks for ``training.Net`` that round what a scheme makes integers.

    Args:
        torch: the module.
        graph: the float graph.
        scheme: what is quantized, and how; its weights are where training starts.
    """

    def __init__(self, torch: Any, graph: Graph, scheme: Scheme) -> None:
        self._torch, self._graph = torch, graph
        self._weights_function, self._values_function = _rounding(torch), _rounding_values(torch)
        self.scheme = replace(scheme, quants=assign_scales(graph, scheme).home)
        self._scales: Scales = assign_scales(graph, self.scheme)
        self._low, self._high = limits(scheme.activations)
        self.weights: dict[int, _Step] = {}
        self._steps: dict[tuple[float, int], _Step] = {}
        self._operands: dict[tuple[int, int], _Step] = {}
        self._results: dict[tuple[int, int], list[_Step]] = {}
        self._given: dict[int, _Step] = {}
        for position in sorted(set(scheme.nodes)):
            self._plan(position)

    def _plan(self, position: int) -> None:
        node = self._graph.nodes[position]
        for operand in operands_of(self._graph, node):
            read = (position, operand.position)
            if operand.role == "data":
                quant = self._scales.reads.get(read, self._scales.home[operand.tensor])
                step = self._step_of(quant)
                if self._given.get(operand.tensor) is not step:  # else its maker has rounded it already
                    self._operands[read] = step
            elif operand.role == "weights" and operand.tensor in self.scheme.weights:
                self._operands[read] = self._weights(operand.tensor)
            elif operand.role == "constant":
                self._operands[read] = self._step_of(self._constant_quant(operand.tensor), fixed=True)
        for place, index in real_results(self._graph, node):
            fixed = fixed_output(node, self.scheme.activations) is not None
            home = self._step_of(self._scales.home[index], fixed=fixed)
            self._given[index] = home
            own = self._scales.writes.get((position, place))
            self._results[position, place] = [*([] if own is None else [self._step_of(own)]), home]

    def _constant_quant(self, index: int) -> Quant:
        values = np.nan_to_num(real(self._graph.tensors[index]))
        low, high = (float(f(values)) if values.size else 0.0 for f in (np.min, np.max))
        return quant_of((low, high), self.scheme.activations)

    def _step_of(self, quant: Quant, *, fixed: bool = False) -> _Step:
        """Returns: the one scale of all tensors of this quantization, which the writer may have united."""
        key = (float(quant.scale[0]), int(quant.zero_point[0]))
        if key not in self._steps:
            logarithm = self._torch.nn.Parameter(self._torch.tensor(key[0]).log())
            self._steps[key] = _Step(logarithm, key[1], self._low, self._high)
        if fixed:
            self._steps[key].logarithm.requires_grad_(False)
        return self._steps[key]

    def _weights(self, index: int) -> _Step:
        if index not in self.weights:
            stored = self.scheme.weights[index]
            shape = [1] * stored.values.ndim
            if stored.quant.scale.size > 1 and stored.quant.axis is not None:
                shape[stored.quant.axis] = -1
            scale = self._torch.from_numpy(stored.quant.scale.astype(np.float32).reshape(shape).copy())
            steps = limits(stored.dtype)[1]
            self.weights[index] = _Step(self._torch.nn.Parameter(scale.log()), 0, -steps, steps)
        return self.weights[index]

    @property
    def activation_scales(self) -> list[Any]:
        """The parameters of activations' scales that may change."""
        return [step.logarithm for step in self._steps.values() if step.logarithm.requires_grad]

    @property
    def weight_scales(self) -> list[Any]:
        """The parameters of weights' scales."""
        return [step.logarithm for step in self.weights.values()]

    def operand(self, position: int, place: int, index: int, value: Any) -> Any:
        """Returns: the operand as its integers stand for it."""
        step = self._operands.get((position, place))
        return value if step is None else self._rounded(value, step)

    def result(self, position: int, place: int, index: int, value: Any) -> Any:
        """Returns: the result as its integers stand for it."""
        for step in self._results.get((position, place), ()):
            value = self._rounded(value, step)
        return value

    def _rounded(self, value: Any, step: _Step) -> Any:
        scale = step.logarithm.exp()
        if scale.dim():
            return self._weights_function.apply(value, scale, step.high)
        low, high = step.low - step.zero_point, step.high - step.zero_point
        return self._values_function.apply(value, scale, low, high)

    def learned(self, weights: Mapping[int, Any]) -> Scheme:
        """Returns: the scheme with what was learned.

        Args:
            weights: the constants as they are now, by tensor index.
        """
        stored = {}
        for index, step in self.weights.items():
            old = self.scheme.weights[index]
            scale = step.logarithm.detach().exp().numpy()
            values = np.clip(np.round(weights[index] / scale), step.low, step.high)
            quant = replace(old.quant, scale=scale.ravel().copy())
            stored[index] = Stored(values.astype(old.values.dtype), quant, old.dtype)
        quants = {index: self._now(quant) for index, quant in self.scheme.quants.items()}
        return replace(self.scheme, weights={**self.scheme.weights, **stored}, quants=quants)

    def _now(self, quant: Quant) -> Quant:
        key = (float(quant.scale[0]), int(quant.zero_point[0]))
        if key not in self._steps or not self._steps[key].logarithm.requires_grad:
            return quant
        return Quant.of(float(self._steps[key].logarithm.detach().exp()), key[1])


def _rounding(torch: Any) -> Any:
    """Returns: the rounding of weights to integers of scales per channel, with gradients for both."""

    class Rounding(torch.autograd.Function):  # type: ignore[misc]
        """(weights, scales, largest integer) → weights as their integers stand for them."""

        @staticmethod
        def forward(context: Any, x: Any, scale: Any, high: int) -> Any:
            out = torch.clamp(torch.round(x / scale), -high, high) * scale
            context.save_for_backward(x, out, scale)
            return out

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            x, out, scale = context.saved_tensors
            error = out - x
            inside = error.abs() <= _INSIDE * scale
            axes = [axis for axis, size in enumerate(scale.shape) if size == 1]
            of_scale = (gradient * torch.where(inside, error, out)).sum(axes, keepdim=True) / scale
            return gradient * inside, of_scale, None

    return Rounding


def _rounding_values(torch: Any) -> Any:
    """Returns: the rounding of values to integers of one scale, with gradients for both.

    PyTorch's own kernels for it take several times as long, and would be half of the training.
    """

    class Rounding(torch.autograd.Function):  # type: ignore[misc]
        """(values, scale, lowest and highest integer less the zero point) → values as integers hold them."""

        @staticmethod
        def forward(context: Any, x: Any, scale: Any, low: int, high: int) -> Any:
            step = float(scale)
            out = torch.mul(x, 1.0 / step).round_().clamp_(low, high).mul_(step)
            context.step, context.ends = step, ((low - 0.5) * step, (high + 0.5) * step)
            context.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            x, out = context.saved_tensors
            passed = torch.ops.aten.hardtanh_backward(gradient, x, *context.ends)
            if not context.needs_input_grad[1]:
                return passed, None, None, None
            # Of a value within the ends the scale moves the error of rounding, of one beyond them its end.
            flat = [each.reshape(-1) for each in (gradient, out, passed, x)]
            of_logarithm = torch.dot(flat[0], flat[1]) - torch.dot(flat[2], flat[3])
            return passed, of_logarithm / context.step, None, None

    return Rounding
