"""From a source to a file on disk that is proven to match it."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sanderling.convert.conversion import Converter, Wishes
from sanderling.convert.proof import Proof, Tell, litert, prove
from sanderling.convert.registry import converter_for
from sanderling.errors import ConvertError, StorageError, UsageError
from sanderling.graph.graph import Model
from sanderling.samples.load import load_samples
from sanderling.samples.samples import Samples
from sanderling.settings import settings

NOISE_SAMPLES, MOST_SAMPLES = 8, 64


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a conversion.

    Attributes:
        path: the file, None where the proof failed and nothing was kept.
        model: the result.
        proof: the comparison with the source.
        route: what it went through, with versions.
        notes: what the user must be told.
        size_bytes: of the result.
        convert_seconds, proof_seconds: how long both took.
    """

    path: Path | None
    model: Model
    proof: Proof
    route: str
    notes: tuple[str, ...]
    size_bytes: int
    convert_seconds: float
    proof_seconds: float

    @property
    def ok(self) -> bool:
        return self.path is not None

    def to_json(self) -> dict[str, Any]:
        """Returns: all but the model as JSON values."""
        return {
            "ok": self.ok, "path": None if self.path is None else str(self.path), "route": self.route,
            "notes": list(self.notes), "size_bytes": self.size_bytes,
            "convert_seconds": self.convert_seconds, "proof_seconds": self.proof_seconds,
            "inputs": _ports(self.model, self.model.input_names(), self.model.main.inputs),
            "outputs": _ports(self.model, self.model.output_names(), self.model.main.outputs),
            "proof": self.proof.to_json(),
        }  # fmt: skip


def _ports(model: Model, names: list[str], indices: tuple[int, ...]) -> list[dict[str, Any]]:
    tensors = [model.main.tensors[i] for i in indices]
    return [
        {"name": name, "shape": list(each.shape), "dtype": each.dtype.value}
        for name, each in zip(names, tensors, strict=True)
    ]


def convert(
    source: object,
    output: Path,
    wishes: Wishes | None = None,
    *,
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    tell: Tell | None = None,
) -> Converted:
    """Converts a model and compares it with its source; the file appears only if they match.

    Args:
        source: a path, or a live model of a framework.
        output: the ``.tflite`` to write.
        wishes: shapes, layout and the like.
        samples: what both are compared on (see ``load_samples``); None: noise.
        reading: how samples are read: keywords of ``load_samples``.
        tolerance: see ``prove``.
        tell: is called with (what, done, total); a total of 0 says that nobody knows how long it takes.

    Raises:
        ConvertError, FormatError: the source cannot be read or converted.
        MissingExtra: its framework is not installed.
    """
    if tolerance is not None and not 0 <= tolerance < 1:
        raise UsageError(f"got {tolerance}, expected a share from 0 to 1", where="tolerance")
    converter = converter_for(source)
    told = tell or _silent
    told(f"converting {_named(source)}", 0, 0)
    began = time.monotonic()
    conversion = converter.convert(source, wishes or Wishes())
    converted = time.monotonic() - began
    began, notes = time.monotonic(), list(conversion.notes)
    loaded = proof_samples(samples, conversion.model, reading or {})

    def proven(model: Model, path: Path) -> tuple[int, Proof]:
        size = _write(model, path)
        with litert(path) as run:
            return size, prove(
                model, run, conversion.reference, loaded, rounds=conversion.rounds, tolerance=tolerance,
                tell=told,
            )  # fmt: skip

    model = conversion.model
    with beside(output) as unproven:
        size, proof = proven(model, unproven)
        if not proof.ok and conversion.careful is not None:
            told("comparing again, without rewrites that round otherwise", 0, 0)
            second = proven(conversion.careful, unproven)
            if second[1].ok:
                model, (size, proof) = conversion.careful, second
                notes.append(_CAREFUL)
        if proof.ok:
            unproven.replace(output)
    return Converted(
        output if proof.ok else None, model, proof, conversion.route, (*notes, *loaded.notes), size,
        converted, time.monotonic() - began,
    )  # fmt: skip


_CAREFUL = (
    "rounding alone moves this model's answer: rewrites that make it faster and round otherwise (batch"
    " normalization in weights, fused functions) were left out"
)


def cached(
    source: Path, converter: Converter, tell: Callable[[str], None], wishes: Wishes | None = None,
    samples: Any = None,
) -> Path:  # fmt: skip
    """Converts a file once: the result is kept for as long as the file and the converter stay the same.

    Args:
        source: a file or folder that ``converter`` reads.
        tell: is called with what was done, in a sentence.
        wishes: shapes, layout and the like.
        samples: what it is compared with its source on; None: noise.

    Returns: the ``.tflite`` in the cache.

    Raises:
        ConvertError: it cannot be converted, or the result does not match; says the worst output.
    """
    kept = settings().cache / "converted" / _identity(source, converter, wishes) / f"{source.stem}.tflite"
    if kept.is_file():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot be made ({error.strerror or error})", where=str(kept.parent)) from None
    try:
        done = convert(source, kept, wishes, samples=samples)
    except UsageError as error:
        if error.where != "--shape":
            raise
        example = error.hint.partition("--shape ")[2] or "NAME=1,…"
        raise UsageError(  # the command that was typed has no such option
            error.what,
            where=str(source),
            hint=f"convert it first: sanderling convert {source} -o {source.stem}.tflite --shape {example}",
        ) from None
    if not done.ok:
        raise ConvertError(
            f"its conversion to .tflite failed the comparison: {done.proof.sentence()}",
            where=str(source),
            hint=f"look at it with: sanderling convert {source} -o {source.stem}.tflite",
        )
    tell(f"{source.name} was converted to .tflite ({done.route}); {done.proof.sentence()}")
    return kept


def proof_samples(samples: Any, model: Model, reading: Mapping[str, Any]) -> Samples:
    """Returns: what two models are compared on: some of a user's samples, or a little noise."""
    given = {"limit": MOST_SAMPLES, **{k: v for k, v in reading.items() if v is not None}}
    if samples is None:
        given.pop("limit")
    return load_samples(samples, model, count_synthetic=NOISE_SAMPLES, **given)


class beside:  # noqa: N801 - reads as a statement: ``with beside(output) as unproven``
    """A folder beside the output for what is not proven yet, which a rename brings into place."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def __enter__(self) -> Path:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix=".converting-", dir=self._output.parent)
        except OSError as error:
            raise StorageError(
                f"cannot be written to ({error.strerror or error})",
                where=str(self._output.parent),
                hint="make the folder, or choose another one",
            ) from None
        return Path(self._folder.name) / self._output.name

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _write(model: Model, path: Path) -> int:
    from sanderling.runtime.loading import read_model
    from sanderling.tflite import write
    from sanderling.tflite.releases import settled

    size = write(settled(model), path)
    read_model(path)  # what is handed out is sound
    return size


def _identity(source: Path, converter: Converter, wishes: Wishes | None) -> str:
    digest = hashlib.sha256()
    if wishes is not None:
        digest.update(f"{sorted(wishes.shapes.items())} {wishes.layout} {wishes.function}\n".encode())
    for part in ("sanderling", *converter.packages):
        digest.update(f"{part} {_version(part)}\n".encode())
    folder = source.parent.resolve()
    for file in _files(source, converter):
        digest.update(f"{file.resolve().relative_to(folder)} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:24]


def _files(source: Path, converter: Converter) -> Iterator[Path]:
    """Yields: the file and its parts, or all files of the folder."""
    if source.is_dir():
        yield from sorted(each for each in source.rglob("*") if each.is_file())
        return
    yield source
    yield from sorted(converter.parts(source))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _named(source: object) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    return str(getattr(source, "name", "") or type(source).__name__)


def _silent(what: str, done: int, total: int) -> None:
    """Takes progress that nobody watches."""
