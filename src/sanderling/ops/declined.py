"""Operators of the schema that have no file here, and why: what a refusal can say beside "not known"."""

from __future__ import annotations

_RANDOM = "it draws random numbers, and every engine draws its own"
_TABLE = "it looks things up in a table that lives outside of the graph"
_NO_KERNEL = "no runtime has a kernel for it"
_REASONS = {
    "CONCAT_EMBEDDINGS": _NO_KERNEL,
    "DELEGATE": "it stands for a part of a graph that was handed to a delegate, and is never in a file",
    "HASHTABLE": _TABLE,
    "HASHTABLE_FIND": _TABLE,
    "HASHTABLE_IMPORT": _TABLE,
    "HASHTABLE_LOOKUP": _TABLE,
    "HASHTABLE_SIZE": _TABLE,
    "LSH_PROJECTION": "its hashes are those of one library, bit for bit",
    "MULTINOMIAL": _RANDOM,
    "PLACEHOLDER_FOR_GREATER_OP_CODES": "it marks codes above 127 and is no operator",
    "RANDOM_STANDARD_NORMAL": _RANDOM,
    "RANDOM_UNIFORM": _RANDOM,
    "SKIP_GRAM": "it works on strings",
    "STABLEHLO_RNG_BIT_GENERATOR": _RANDOM,
}
_STABLEHLO = "LiteRT has no kernel for it: its converter lowers StableHLO to TFLite's own operators"
_CUSTOM = "it is not an operator of TFLite but one that an application brings along"


def why_not(name: str) -> str:
    """Returns: why an operator without a file here has none.

    Args:
        name: TFLite's name, or ``CUSTOM``.
    """
    if name == "CUSTOM":
        return _CUSTOM
    if name.startswith("STABLEHLO_"):
        return _REASONS.get(name, _STABLEHLO)
    return _REASONS.get(name, "it is not in the schema that this version knows")
