"""Finds operators: the folder is the registry, one file per operator, named after it in lower case.

Operators of an application's own (custom ones) are registered by whoever brings them along.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sanderling.errors import UsageError
from sanderling.graph.graph import CUSTOM, Node
from sanderling.ops.op import Op

_custom: dict[str, Op] = {}


@cache
def find(name: str) -> Op | None:
    """Looks an operator up by TFLite's name, importing just its file.

    Returns: the operator, or None when there is no file for it.
    """
    if name not in names():
        return None
    op: Op = importlib.import_module(f"sanderling.ops.{name.lower()}").OP
    return op


@cache
def names() -> frozenset[str]:
    """Returns: the names of all operators that have a file in this folder."""
    package = importlib.import_module("sanderling.ops")
    shared = {"declined", "kernel", "op", "registry", "versions"}
    return frozenset(
        module.name.upper()
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_") and module.name not in shared
    )


def find_for(node: Node) -> Op | None:
    """Returns: the operator that a node calls, also one that was registered; None when it is not known."""
    return _custom.get(node.custom_code) if node.op == CUSTOM else find(node.op)


def register_operator(op: Op, *, replace: bool = False) -> Op:
    """Makes an application's own operator known: models that call it can be analysed and run.

    Args:
        op: ``name`` is the custom code in the file; ``infer`` gives its output types; with ``reference`` the
            reference engine runs it, with ``gpu`` the GPU does (see ``docs/guide/gpu-kernels.md``), and with
            ``torch`` models are trained through it. Its options are ``node.custom_options``, the bytes as the
            file has them.
        replace: an operator of this name may be registered already.

    Returns: the operator.

    Raises:
        UsageError: the name is empty, TFLite's own, or registered already.
    """
    if not op.name or op.name in names():
        raise UsageError(f"an operator cannot be registered as {op.name!r}: TFLite has that name")
    if op.name in _custom and not replace:
        raise UsageError(f"the operator {op.name!r} is registered already", hint="pass replace=True")
    _custom[op.name] = op
    return op


def forget_operator(name: str) -> None:
    """Takes back what ``register_operator`` did; an unknown name changes nothing."""
    _custom.pop(name, None)
