"""What an engine is: something that can say which models it takes, load one, and run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Quant, TensorType, Verdict


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a loaded model.

    Attributes:
        name: unique among the model's inputs (or outputs): the signature's name, else the tensor's.
        type: shape, dtype and quantization. The shape is the one in force now.
        signature: the shape with −1 for sizes that may change; equals the shape when none may.
    """

    name: str
    type: TensorType
    signature: tuple[int, ...]

    @property
    def quant(self) -> Quant | None:
        return self.type.quant


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which an engine runs a model: on one of its devices, in one precision.

    Attributes:
        engine: the engine's name.
        name: "" for its usual way, else ``bf16``, ``gpu``, ``cuda`` …
        options: of the engine's ``load`` that make it so.
        threads: the number of CPU threads makes a difference.
        exact: float tensors are computed in float32, so that its answers are held to float32's bounds.
        choose: ``engine="auto"`` may choose it. Others must be named: they are slow by design, or imitate
            hardware that is not there.
    """

    engine: str
    name: str = ""
    options: Mapping[str, object] = field(default_factory=dict, hash=False)
    threads: bool = True
    exact: bool = True
    choose: bool = True

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}" if self.name else self.engine


class Runner(Protocol):
    """A model loaded into an engine, ready to be called from one thread at a time."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. Arrays in the order of ``inputs``, with exactly their dtypes; shapes may differ
        where the signature has −1. Returns fresh arrays in the order of ``outputs``.

        Raises:
            RunError: the engine failed.
        """

    def reset(self) -> None:
        """Sets variables (stateful models) back to their initial values."""

    def close(self) -> None:
        """Frees the engine's memory."""


class Engine(Protocol):
    """What can run models. A folder of ``engines/`` with an ``ENGINE`` of this shape is an engine.

    Attributes:
        name: the folder's.
        isolated: what it loads runs in a process of its own, since its library may end the whole process.
        packages: distributions that its library may come from, whose versions its speed depends on.
    """

    name: str
    isolated: bool
    packages: tuple[str, ...]

    def available(self) -> Verdict:
        """Returns: whether it can be used in this process, or why not (what to install)."""

    def variants(self) -> Sequence[Variant]:
        """Returns: the ways in which it can run models here, its usual one first; [] where it is not
        available. Devices that this machine does not have are left out."""

    def version(self) -> str:
        """Returns: the version of the library behind it."""

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether this engine runs it, or why not."""

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> Runner:
        """Loads a verified model from its file.

        Raises:
            ModelError: the engine refuses the model, with its reason.
        """
