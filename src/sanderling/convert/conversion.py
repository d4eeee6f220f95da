"""What a converter is, and what it hands over: the model, and the source to compare it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sanderling.graph.graph import Model
from sanderling.graph.types import Array

Reference = Callable[[Sequence[Array]], Sequence[Array]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may ask of any conversion.

    Attributes:
        shapes: input name → its shape, where the source leaves sizes open or others are wanted; the name ""
            stands for the only input.
        layout: ``nhwc`` gives images to the model with channels last and leaves no transpose inside;
            ``keep`` feeds it as its source is fed.
        function: which of several entry points (a SavedModel's signature); "" for the usual one.
        example: for a live ``torch.nn.Module``: a tensor or array, the tuple of its arguments, a dict of
            named ones, or (tuple, dict).
    """

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    layout: str = "keep"
    function: str = ""
    example: object = None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted model and its source, ready to be compared.

    Attributes:
        model: the result, with the source's names of inputs and outputs in its signature.
        reference: runs the source in its own framework: arrays in the order, shape, layout and dtype of
            the result's inputs → arrays in those of its outputs. Whatever was moved or cast at the
            model's edges is moved and cast here, too.
        route: what it went through, with versions: ``Keras 3.15.1 → StableHLO → litert-converter 0.5.0``.
        notes: sentences for the user: what was left out, changed or guessed.
        careful: the model without rewrites that round in another way, for sources in which rounding alone is
            seen in the answer: it takes the place of ``model`` where that is too far off.
        rounds: the source rounds on its way, to integers of a scale that it chooses anew in every run or to
            floats of 16 bits, so two engines part wherever a value lies between two of them.
    """

    model: Model
    reference: Reference
    route: str
    notes: tuple[str, ...] = ()
    careful: Model | None = None
    rounds: bool = False


def _alone(path: Path) -> Sequence[Path]:
    return ()


@dataclass(frozen=True, slots=True)
class Converter:
    """One kind of source. A file or folder beside this one that holds a ``CONVERTER`` is found by scanning.

    Attributes:
        name: ``keras``, ``torch`` …
        what: what it reads, in words: ``a Keras model (.keras, .h5)``.
        extra: the extra of the package that it needs, for ``MissingExtra``.
        reads: whether a path that exists is one of its kind, told by its ending and first bytes; cheap, and
            imports nothing heavy.
        takes: whether a live object (a ``keras.Model``, a ``torch.nn.Module``) is one, told without
            importing its framework.
        convert: does it. May raise ``ConvertError``, ``MissingExtra``, ``UsageError``, each one sentence.
        packages: distributions whose versions the result depends on.
        endings: of its files' names, for a shell that completes them.
        parts: the further files that a file consists of; imports nothing heavy.
    """

    name: str
    what: str
    extra: str
    reads: Callable[[Path], bool]
    takes: Callable[[object], bool]
    convert: Callable[[object, Wishes], Conversion]
    packages: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    parts: Callable[[Path], Sequence[Path]] = _alone
