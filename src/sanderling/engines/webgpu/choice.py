"""What the name of a choice means: a variant of an operator, and the width of its workgroups."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.ops.kernel import Limits, Variant

WORKGROUP = (64, 1, 1)  # of all kernels but cooperative ones: another shape would be another pipeline
SOFTWARE_WORKGROUP = (32, 1, 1)
WIDTHS = (32, 64, 128, 256)  # of workgroups that a tuner may choose from


def named(found: Sequence[Variant], name: str, limits: Limits) -> tuple[Variant, int]:
    """Returns: the variant that a name means, the first if none does; and its workgroups' width, 0 for the
    usual one.

    Args:
        name: of a variant, or with a width of ``WIDTHS`` behind it: ``direct_4x8@128``.
    """
    wanted, _, width = name.partition("@")
    known = {str(n): n for n in WIDTHS if n <= limits.invocations} | {"": 0}
    chosen = next((variant for variant in found if variant.name == wanted), None)
    return (found[0], 0) if chosen is None or width not in known else (chosen, known[width])
