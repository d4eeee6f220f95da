"""Whether the JSON of an exported program says nothing but what a network computes.

When PyTorch loads and runs such a program it evaluates the sizes as Python expressions (SymPy), compiles the
guards and the names of values and arguments as Python source, imports the modules of container types and
takes any ``torch.…`` name for an operator. Each of these has a narrow form here; nothing else passes.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Suspect(Exception):
    """A file that asks for more than a network needs. ``hint`` is what to do, "" for the usual."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


# Overloads and namespaces of PyTorch's own operators; prims and quantized ones have lowerings, too.
_OPERATOR = re.compile(
    r"torch\.ops\.(?:aten|prims|quantized_decomposed)\.[a-z_]\w*(?:\.\w+)?"
    r"|torch\.ops\.higher_order\.(?:cond|while_loop|scan|associative_scan|wrap_with_\w+)"
    r"|torch\.sym_(?:int|float|max|min|ite|not|sqrt|sum)|torch\._sym_sqrt"
    r"|math\.(?:ceil|floor|trunc|sqrt|pow)"
    r"|_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|abs|pow|and_|or_|xor|not_|inv"
    r"|lt|le|gt|ge|eq|ne|lshift|rshift)",
    re.IGNORECASE,
)
# Of aten: what reads or writes files, or prints.
_HOST = re.compile(r"torch\.ops\.aten\.(?:from_file|save|load|_?print|warn|backtrace)\b")
_PATH = re.compile(r"[A-Za-z_0-9]+(?:\.[A-Za-z_0-9]+)*")
_SYMBOL = re.compile(r"z?[suf]\w{0,30}")
_CONTAINERS = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None}
_FUNCTIONS = frozenset({
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Abs", "Mod",
    "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilToInt", "FloorToInt",
    "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv",
    "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity", "Eq", "Ne",
    "Equality", "Unequality", "GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan",
    "Ge", "Le", "Gt", "Lt", "And", "Or", "Not", "true", "false", "BooleanTrue", "BooleanFalse",
})  # fmt: skip
_ARITHMETIC = (
    ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.Compare, ast.keyword, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Call,
)  # fmt: skip
_EXPRESSION_LIMIT, _EXPONENT_LIMIT = 20_000, 8


def check_program(program: dict[str, Any]) -> dict[str, Any]:
    """Returns: the program without its guards (Python source) and without notes on where it comes from.

    Raises:
        Suspect: something in it is no operator, name, size or container as networks have them.
    """
    for key, value in _walk(program):
        check = _CHECKS.get(key)
        if check is not None and value is not None:
            check(value)
    for node in _nodes(program):
        node["metadata"] = {}
    graph = program.get("graph_module")
    spaces = program.get("range_constraints")
    for name in [*_keys(spaces), *(_keys(graph.get("graph")) if isinstance(graph, dict) else ())]:
        _name(name)
    return {**program, "guards_code": []}


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields: every key of every object with its value, from a stack and not by recursion."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from value.items()
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def _nodes(program: Any) -> Iterator[dict[str, Any]]:
    for key, value in _walk({"": program}):
        if key == "nodes" and isinstance(value, list):
            yield from (node for node in value if isinstance(node, dict))


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _operator(value: Any) -> None:
    if not isinstance(value, str) or not _OPERATOR.fullmatch(value) or _HOST.match(value):
        name = str(value)[:80]
        hint = "" if not name.startswith("torch.ops.") else "only PyTorch's own operators are converted"
        raise Suspect(f"calls {name!r}, which is no operator of a network", hint)


def _name(value: Any) -> None:
    if not isinstance(value, str) or not (value == "" or value.isidentifier()) or keyword.iskeyword(value):
        raise Suspect(f"names a value {str(value)[:80]!r}, which is no name")


def _path(value: Any) -> None:
    if not isinstance(value, str) or not (value == "" or _PATH.fullmatch(value)):
        raise Suspect(f"names a weight or module {str(value)[:80]!r}, which is no name")


def _names(value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        _name(each)


def _refused(_: Any) -> None:
    raise Suspect("holds an object of a class of its own, and these are never loaded")


def _expression(value: Any) -> None:
    text = value if isinstance(value, str) else ""
    try:
        tree = ast.parse(text, mode="eval") if 0 < len(text) <= _EXPRESSION_LIMIT else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if tree is None or not all(map(_is_size, ast.walk(tree))):
        raise Suspect(f"gives a size as {text[:80]!r}, which is no arithmetic of sizes")


def _is_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        number = isinstance(node.value, bool | int | float) and abs(node.value) < 2**63
        return number or (isinstance(node.value, str) and bool(_SYMBOL.fullmatch(node.value)))
    if isinstance(node, ast.Name):
        return node.id in _FUNCTIONS or bool(_SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
            return False
        return node.func.id not in ("Pow", "PowByNatural", "FloatPow", "LShift") or _is_small(node.args[-1:])
    return isinstance(node, _ARITHMETIC)


def _is_small(exponent: list[ast.expr]) -> bool:
    """Returns: whether an exponent is a small number: large ones take all memory there is."""
    values = [each for node in exponent for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return len(values) == 1 and isinstance(values[0].value, int) and abs(values[0].value) <= _EXPONENT_LIMIT


def _containers(value: Any) -> None:
    """Checks how arguments or results are nested: a JSON text of its own."""
    try:
        nested = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        raise Suspect("has arguments or results that are nested in no known way") from None
    for key, each in _walk({"": nested}):
        if key == "type" and each not in _CONTAINERS:
            raise Suspect(
                f"takes or gives a container of type {str(each)[:80]!r}",
                "export a model that takes and gives tensors, tuples, lists and dicts",
            )
        if key == "context" and each is not None:
            for name in _texts(json.loads(each)):
                if not re.fullmatch(r"[\w .:/+-]{1,200}", name) or name.startswith("__"):
                    raise Suspect(f"names an argument or result {name[:80]!r}, which is no name")


def _arguments(value: Any) -> None:
    """The names of arguments become source text, so they are held to more than those of results."""
    _containers(value)
    for key, each in _walk({"": json.loads(value)}):
        if key == "context" and each is not None:
            for name in _texts(json.loads(each)):
                _name(name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        yield from (each for each in value if isinstance(each, str))
    elif value is not None:
        raise Suspect("has arguments or results that are nested in no known way")


_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "target": _operator, "as_operator": _operator, "as_custom_obj": _refused, "custom_obj": _refused,
    "expr_str": _expression, "in_spec": _arguments, "out_spec": _containers, "forward_arg_names": _names,
    "name": _name, "as_name": _name, "fqn": _path, "parameter_name": _path, "buffer_name": _path,
    "tensor_constant_name": _path, "custom_obj_name": _refused, "user_input_name": _name,
    "class_fqn": _refused,
}  # fmt: skip
