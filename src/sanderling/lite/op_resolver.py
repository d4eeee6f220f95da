"""Which of LiteRT's kernel sets an interpreter takes."""

from __future__ import annotations

import enum

from sanderling.runtime.backend import BadValue


@enum.unique
class OpResolverType(enum.Enum):
    """LiteRT's kernel sets.

    ``AUTO`` and ``BUILTIN``: optimised kernels, with XNNPACK where it can. ``BUILTIN_REF``: the reference
    kernels, slow. ``BUILTIN_WITHOUT_DEFAULT_DELEGATES``: optimised kernels without XNNPACK.
    """

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


def as_resolver(value: object) -> OpResolverType:
    """Returns: the resolver, which may also be a member of LiteRT's or TensorFlow's own enumeration.

    Raises:
        BadValue: it is none of them.
    """
    if isinstance(value, enum.Enum) and type(value).__name__ == OpResolverType.__name__:
        known = OpResolverType.__members__.get(value.name)
        if known is not None:
            return known
    raise BadValue(
        f"Unrecognized passed in op resolver type: {value}",
        hint=f"take one of OpResolverType: {', '.join(OpResolverType.__members__)}",
    )
