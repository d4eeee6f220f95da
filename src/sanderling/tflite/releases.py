"""Which release of TensorFlow Lite or LiteRT a model needs: the versions of its operators decide.

TensorFlow Lite's releases are TensorFlow's. LiteRT goes on where it ended and counts anew: 1.0 runs what
TensorFlow Lite 2.16 does, and most of 2.18. So ``2.14`` is TensorFlow Lite's, ``litert-1.2`` is LiteRT's.

Source: TensorFlow, ``lite/tools/versioning/runtime_version.cc`` (the figures, as of release 2.23).
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from sanderling.graph.graph import CUSTOM, Model
from sanderling.ops.versions import is_special, least_version, with_versions
from sanderling.tflite import introduced

Release = tuple[int, ...]
METADATA = "min_runtime_version"
_METADATA_BYTES = 16
_FIRST_LITERT: Release = (1, 0)
_UNKNOWN: Release = (9999,)  # after all that the tables tell of


@dataclass(frozen=True, slots=True)
class Runtime:
    """A release that runs models.

    Attributes:
        release: its number.
        litert: LiteRT's, which counts anew; else TensorFlow Lite's.
    """

    release: Release
    litert: bool = False

    def __str__(self) -> str:
        return f"{'LiteRT' if self.litert else 'TensorFlow Lite'} {_dotted(self.release)}"


@dataclass(frozen=True, slots=True)
class Need:
    """What older releases do not have.

    Attributes:
        operator, version: of an operator.
        special: what of a call the version does not tell: ``int4 weights and float data``.
    """

    operator: str
    version: int
    special: str = ""

    def __str__(self) -> str:
        return f"{self.what} needs {self.releases}" if self.known else f"no known release has {self.what}"

    @property
    def what(self) -> str:
        """The operator and its version, or what is special about the call."""
        return (
            f"{self.operator} with {self.special}"
            if self.special
            else f"{self.operator} version {self.version}"
        )

    @property
    def tflite(self) -> Release | None:
        """The first release of TensorFlow Lite that runs it, None where no table tells."""
        known = () if self.special else tflite_releases().get(self.operator, ())
        return known[self.version - 1] if 1 <= self.version <= len(known) else None

    @property
    def litert(self) -> Release | None:
        """The first release of LiteRT that runs it, None where no table tells."""
        if self.special:
            return _KERNELS[self.operator, self.special]
        own = _litert_releases()
        if (self.operator, self.version) in own:
            return own[self.operator, self.version]
        return _FIRST_LITERT if self.tflite else None

    @property
    def known(self) -> bool:
        """Whether some release runs it."""
        return self.tflite is not None or self.litert is not None

    @property
    def releases(self) -> str:
        """The first releases that run it: ``TensorFlow Lite 2.17 or LiteRT 1.1``."""
        found = (self.tflite and Runtime(self.tflite), self.litert and Runtime(self.litert, litert=True))
        return " or ".join(str(each) for each in found if each)

    @property
    def age(self) -> tuple[Release, Release, str, int]:
        """Orders needs: what came later is larger."""
        return self.tflite or _UNKNOWN, self.litert or _UNKNOWN, self.operator, self.version

    def met(self, runtime: Runtime) -> bool:
        """Returns: whether a release runs it."""
        first = self.litert if runtime.litert else self.tflite
        return first is not None and first <= runtime.release


def parse(text: str) -> Runtime:
    """Reads ``2.14`` and ``2.14.1``, which are TensorFlow Lite's, and ``litert-1.2``.

    Raises:
        ValueError: it is no release.
    """
    told = re.fullmatch(r"(?:(tflite|litert)[ =-]?)?(\d{1,4}(?:\.\d{1,4}){1,2})", text.strip().lower())
    if told is None:
        raise ValueError(f"{text!r} is no release")
    found = Runtime(_numbers(told[2]), litert=told[1] == "litert")
    if found.litert and found.release < _FIRST_LITERT:
        raise ValueError(f"{text!r} is no release, LiteRT's first is {_dotted(_FIRST_LITERT)}")
    return found


def _numbers(text: str) -> Release:
    return tuple(int(part) for part in text.split("."))


def _dotted(release: Release) -> str:
    return ".".join(map(str, release))


@cache
def tflite_releases() -> dict[str, tuple[Release | None, ...]]:
    """Returns: operator → TensorFlow Lite's first release of its version 1, 2, …; None where none had it."""
    rows = (line.split() for line in introduced.TFLITE.strip().splitlines())
    return {name: tuple(None if text == "-" else _numbers(text) for text in found) for name, *found in rows}


@cache
def _litert_releases() -> dict[tuple[str, int], Release | None]:
    """Returns: LiteRT's first release of what came after its first one; None for what none has."""
    found: dict[tuple[str, int], Release | None] = {}
    for line in introduced.LITERT.strip().splitlines():
        release, *versions = line.split()
        for text in versions:
            operator, _, version = text.partition(":")
            found[operator, int(version)] = None if release == "never" else _numbers(release)
    return found


_KERNELS = {(op, words): _numbers(release) for release, op, _, words in introduced.KERNELS}


def model_needs(model: Model) -> Need | None:
    """Returns: what keeps a model from the oldest releases; None where nothing in it is known.

    Custom operators are left out: they come with the program, not with a release.
    """
    known = [need for need in _needs(model) if need.known]
    return max(known, key=lambda need: need.age, default=None)


def needs(model: Model) -> str:
    """Returns: the first releases that run a model, and what asks for them: ``TensorFlow Lite 2.0 or LiteRT
    1.0 (FULLY_CONNECTED version 5)``; "" where nothing is known."""
    need = model_needs(model)
    return "" if need is None else f"{need.releases} ({need.what})"


def too_new(model: Model, oldest: Runtime) -> list[Need]:
    """Returns: what does not run in a release, the newest first, each operator and version once. What no
    table tells of counts as too new: it came after all of them."""
    unmet = (need for need in _needs(model) if not need.met(oldest))
    return sorted(unmet, key=lambda need: need.age, reverse=True)


def _needs(model: Model) -> Set[Need]:
    """Returns: what each operator asks for: the version that the file says, which a runtime looks at, or the
    one that the call takes, where an old converter said too little; and what no version tells."""
    found: set[Need] = set()
    for graph in model.graphs:
        for node in (node for node in graph.nodes if node.op != CUSTOM):
            tensors = graph.operands(node), graph.results(node)
            version = max(node.version, least_version(node, *tensors))
            found.add(Need(node.op, version))
            for _, operator, condition, words in introduced.KERNELS:
                if operator == node.op and is_special(condition, node, *tensors):
                    found.add(Need(node.op, version, words))
    return found


def settled(model: Model) -> Model:
    """Returns: a model that was made, ready to be handed out: its operators say the versions that they need,
    and its metadata the first release that runs it, as converters write it."""
    return _with_least_release(replace(model, graphs=tuple(map(with_versions, model.graphs))))


def _with_least_release(model: Model) -> Model:
    kept = tuple(each for each in model.metadata if each[0] != METADATA)
    first = max((need.tflite for need in _needs(model) if need.tflite), default=None)
    if first is None:
        return replace(model, metadata=kept)
    text = _dotted(first if len(first) > 2 else (*first, 0)).encode()
    written = np.frombuffer(text.ljust(_METADATA_BYTES, b"\0"), np.uint8)
    return replace(model, metadata=(*kept, (METADATA, written)))
