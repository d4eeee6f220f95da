"""What is to be deployed: the model, its task in full, and examples with the answers that must come out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input
from sanderling.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Example:
    """One thing given to the model, and what it answers in LiteRT.

    Attributes:
        name: for people.
        given: opened, by input's name: a PIL image, (waveform, rate), a text, an array. Where a detector
            found the part of a picture, that part.
        whole: the picture of which ``given`` holds a part, None where that is all of it.
        feeds: the inputs by name, as the model stores them.
        outputs: the outputs by name, as the model stores them.
        lines: the answer in words.
        data: the same for programs.
    """

    name: str
    given: Mapping[str, Any]
    feeds: Mapping[str, Array]
    outputs: Mapping[str, Array]
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    whole: Any = None

    @property
    def told(self) -> str:
        """The answer's first lines in one, without the bars that are drawn in a terminal."""
        return "; ".join(" ".join(line.rstrip(" █▏▎▍▌▋▊▉░").split()) for line in self.lines[:2])


@dataclass(frozen=True, slots=True)
class Detector:
    """The model that finds the parts of a picture which the other one is to see.

    Attributes:
        file: a verified ``.tflite``.
        model: what is in it.
        spec: its task, in full.
    """

    file: Path
    model: Model
    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be deployed.

    Attributes:
        file: a verified ``.tflite``.
        model: what is in it.
        spec: its task, with all settings and options.
        inputs: what it takes.
        examples: at least one.
        noise: the examples are noise: nothing better was given.
        tolerance: by output's name, how far an answer elsewhere may be off: see ``tolerance``.
        detector: finds what the model is to see; None: it sees the whole picture.
        options: settings of the target that the user gave, by name.
        threads: for the target, 0: its own choice.
        notes: what was guessed of the task, and what else must be known.
    """

    file: Path
    model: Model
    spec: TaskSpec
    inputs: tuple[Input, ...]
    examples: tuple[Example, ...]
    noise: bool
    tolerance: Mapping[str, float]
    detector: Detector | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model's name as part of files' and programs' names: lower case, digits and underscores."""
        stem = re.sub(r"[^a-z0-9]+", "_", self.file.stem.lower()).strip("_")[:60]
        return stem if stem[:1].isalpha() else f"model_{stem}".rstrip("_")

    @property
    def sha256(self) -> str:
        """Of the model's file."""
        with self.file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def is_integer(self) -> bool:
        """Whether all inputs and outputs are integers, and nothing between them is float."""
        return not any(t.dtype.is_float for t in self.model.main.tensors)
