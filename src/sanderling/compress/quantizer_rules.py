"""Recipes for litert-quantizer as data: scope × operator × algorithm, the last rule that fits wins.

The algorithm is always the plain one: ranges of weights and activations are chosen by us.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sanderling.compress.prepare import FLOAT_GRAPH, FLOAT_OPERATOR

Rule = Mapping[str, Any]
_ANY, _ALL = ".*", "*"


def static(*, float_io: bool, four_bit: Collection[str] = ()) -> list[Rule]:
    """Returns: int8 activations and weights, but int4 weights for the operators ``four_bit``."""
    rules = [_rule(_ANY, _ALL, _static(8)), *(_rule(_ANY, op, _static(4)) for op in four_bit)]
    if float_io:
        rules += [_untouched(_ANY, "INPUT"), _untouched(_ANY, "OUTPUT")]
    return rules


def dynamic(operators: Collection[str], *, four_bit: Collection[str] = ()) -> list[Rule]:
    """Returns: integer weights for ``operators``; activations are quantized at run time."""
    return _weights_only("INTEGER", False, operators, four_bit)


def weight_only(operators: Collection[str], *, four_bit: Collection[str] = ()) -> list[Rule]:
    """Returns: integer weights for ``operators`` that are dequantized before use: float arithmetic."""
    return _weights_only("FLOAT", True, operators, four_bit)


def keeping_float(rules: list[Rule], operators: Collection[str]) -> list[Rule]:
    """Returns: the rules, followed by those that leave alone what ``prepare.given_names`` marked float.

    Args:
        rules: what to do with the rest.
        operators: all operators that a rule can name. Naming them one by one leaves out the graph's
            inputs and outputs, whose rules look at the name of the first of them.
    """
    marked = [_untouched(f"^{FLOAT_OPERATOR}", op) for op in operators]
    return [*rules, *marked, _untouched(f"^{FLOAT_GRAPH}", _ALL)]


def _weights_only(
    precision: str, dequantize: bool, operators: Collection[str], four_bit: Collection[str]
) -> list[Rule]:
    config = {"compute_precision": precision, "explicit_dequantize": dequantize}
    return [
        _rule(_ANY, op, {**config, "weight_tensor_config": _weights(4 if op in four_bit else 8)})
        for op in operators
    ]


def _rule(scope: str, operator: str, config: Mapping[str, Any]) -> Rule:
    return {
        "regex": scope,
        "operation": operator,
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": dict(config),
    }


def _untouched(scope: str, operator: str) -> Rule:
    return {"regex": scope, "operation": operator, "algorithm_key": "no_quantize"}


def _static(weight_bits: int) -> dict[str, Any]:
    return {
        "activation_tensor_config": {
            "num_bits": 8, "symmetric": False, "granularity": "TENSORWISE", "dtype": "INT",
        },
        "weight_tensor_config": _weights(weight_bits),
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }  # fmt: skip


def _weights(bits: int) -> dict[str, Any]:
    return {"num_bits": bits, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
