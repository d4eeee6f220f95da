"""Settles the sizes that a source's inputs leave open, by what a user gives: one rule for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sanderling.errors import UsageError

Declared = Sequence[int | None] | None  # None: not even the rank is known
_PICTURE, _ROW = 224, 128  # sizes for the example in a sentence


def settled_sizes(
    declared: Mapping[str, Declared], given: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """Returns: the sizes of every input: as given, else as declared, an open first one being 1.

    Args:
        declared: input name → its sizes, None for an open one.
        given: input name → its sizes; "" names the only input.

    Raises:
        UsageError: sizes stay open, or what was given fits no input.
    """
    unknown = [name for name in given if name and name not in declared]
    if unknown or ("" in given and len(declared) != 1):
        what = f"there is no input {unknown[0]!r}" if unknown else f"the model has {len(declared)} inputs"
        raise UsageError(what, where="--shape", hint=f"name one of: {', '.join(declared)}")
    return {name: _settled(name, sizes, given.get(name, given.get(""))) for name, sizes in declared.items()}


def _settled(name: str, declared: Declared, given: Sequence[int] | None) -> tuple[int, ...]:
    if declared is None:
        if given is None:
            hint = f"give --shape {name}=…"
            raise UsageError(f"input {name!r} states no shape", where="--shape", hint=hint)
        return tuple(given)
    listed = ",".join("?" if size is None else str(size) for size in declared)
    if given is not None:
        fits = len(given) == len(declared) and all(
            size in (None, wish) for size, wish in zip(declared, given, strict=True)
        )
        if not fits:
            raise UsageError(f"input {name!r} has the shape {listed}, got {list(given)}", where="--shape")
        return tuple(given)
    if None in declared[1:]:
        usual = _PICTURE if len(declared) == 4 else _ROW
        sizes = [size or (usual if axis else 1) for axis, size in enumerate(declared)]
        raise UsageError(
            f"input {name!r} leaves sizes open: {listed}",
            where="--shape",
            hint=f"for example --shape {name}={','.join(map(str, sizes))}",
        )
    return tuple(1 if size is None else size for size in declared)
