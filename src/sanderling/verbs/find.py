"""From what a user names (a path, a zoo model, a target) to what the search takes."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import zoo
from sanderling.errors import FormatError, SampleError, StorageError, UsageError
from sanderling.files import expanded

if TYPE_CHECKING:
    from sanderling.convert.conversion import Wishes
    from sanderling.search.request import Reading

MINIMIZE = ("latency", "size", "memory", "energy")
IO = ("float", "int8", "keep")


def one_of(value: str, choices: Iterable[str], name: str) -> str:
    """Returns: the value, if it is one of the choices.

    Raises:
        UsageError: it is not; names the nearest one.
    """
    known = list(choices)
    if value in known:
        return value
    listed = ", ".join(known)
    close = difflib.get_close_matches(value, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of: {listed}"
    raise UsageError(f"there is no {value!r}", where=name, hint=hint)


def zoo_name(model: str | Path) -> str:
    """Returns: the name of the zoo model that is meant; "" where it is a path, or nothing that is known.

    A file of that name is meant first, and so is a folder that is a model; any other folder is not.
    """
    from sanderling.convert.registry import reader_of

    if str(model) not in zoo.names():
        return ""
    path = expanded(model)
    return "" if path.is_file() or (path.is_dir() and reader_of(path) is not None) else str(model)


def find_model(model: str | Path) -> Path:
    """Finds the ``.tflite`` of a model: a path that exists, else a zoo model, fetched if it is not here.

    What another framework wrote is converted first, once, and said on stderr.

    Raises:
        FormatError: there is neither, or it is of a kind that nothing reads.
        FetchError: the zoo model could not be fetched.
        ConvertError: it cannot be converted, or its conversion does not match it.
    """
    name = zoo_name(model)
    if name:
        return find_zoo_model(name)
    path = expanded(model)
    if path.exists():
        return _converted(path)
    raise FormatError("there is no such file or zoo model", where=str(model), hint=_nearby(path))


def find_zoo_model(name: str) -> Path:
    """Finds the ``.tflite`` of a zoo model, whatever files of this name there are; see ``find_model``."""
    path = zoo.fetch(name)
    if path.suffix.lower() == ".tflite":
        return path
    from sanderling.zoo.convert import samples, wishes

    card = zoo.describe(name)
    return _converted(path, wishes(card), samples(card))


def _converted(path: Path, wishes: Wishes | None = None, samples: Any = None) -> Path:
    if path.is_file() and path.suffix.lower() == ".tflite":
        return path
    from sanderling.convert.convert import cached
    from sanderling.convert.registry import reader_of

    converter = reader_of(path)
    if converter is not None:
        return cached(path, converter, _note, wishes, samples)
    if path.is_dir():
        raise _folder(path)
    return path  # a .tflite of another name, or no model at all: reading it tells


def _note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)  # noqa: T201 - on stdout there may be JSON


def at_resolutions(model: Path, pixels: Sequence[int], output: Path) -> tuple[Path, ...]:
    """Writes a model for pictures of other sizes, each as a file of its own in ``output/resolutions``.

    Raises:
        UsageError: a layer of the model depends on the size of its picture.
        StorageError: they cannot be written.
    """
    if not pixels:
        return ()
    from sanderling.compress.resolution import at_resolution, rows
    from sanderling.runtime.loading import read_model
    from sanderling.tflite import write

    original = read_model(model)
    wanted = {each: at_resolution(original, each) for each in pixels if each != rows(original)}
    folder = output / "resolutions"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot be made ({error.strerror or error})", where=str(folder)) from None
    files = []
    for each, resized in wanted.items():
        files.append(folder / f"{model.stem}-{each}px.tflite")
        write(resized, files[-1])
    return tuple(files)


def _folder(path: Path) -> FormatError:
    files = sorted(path.glob("*.tflite"))
    hint = f"did you mean {files[0]}?" if files else "give a .tflite file"
    if len(files) > 1:
        hint = f"it holds {len(files)} of them, for example {files[0]}"
    return FormatError("is a folder, expected a .tflite file", where=str(path), hint=hint)


def _nearby(path: Path) -> str:
    beside = sorted(path.parent.glob("*.tflite"))[:1000] if path.parent.is_dir() else []
    # Endings would make any two names alike.
    names = {name: name for name in zoo.names()} | {each.stem: str(each) for each in beside}
    close = difflib.get_close_matches(path.stem, [*names], 1)
    if close:
        return f"did you mean {names[close[0]]}?"
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either"
    return "check the path (the zoo's models: sanderling zoo list)"


def find_samples(samples: Any, reading: Reading, model: str | Path) -> tuple[Any, Reading]:
    """Resolves zoo names.

    Args:
        samples: a path that exists wins over a zoo model's name; None takes those of ``model`` if it is a zoo
            model; anything else is passed on.
        reading: how they are read; a zoo model's labels and normalization fill what is not stated.
        model: the first model as the user named it.

    Raises:
        SampleError: ``samples`` is neither a path that exists nor a zoo model.
    """
    if samples is None:
        name = zoo_name(model)
        if not name or zoo.samples_path(name) is None:
            return None, reading
        return _own_samples(name, reading)
    if not isinstance(samples, str | Path):
        return samples, reading
    path = expanded(samples)
    if path.exists():
        return path, _normalized(path, reading, model)
    if zoo.samples_path(str(samples)) is None:
        raise SampleError("there are no such samples", where=str(samples), hint=_samples_nearby(path))
    return _own_samples(str(samples), reading)


def _own_samples(name: str, reading: Reading) -> tuple[Path | None, Reading]:
    """Returns: what comes with a bundled model, and how it is read."""
    if reading.labels is None:
        reading = replace(reading, labels=zoo.labels_path(name))
    normalization = zoo.normalization(name)
    if normalization is not None and not _stated(reading):
        reading = replace(reading, mean=normalization.mean, std=normalization.std, scale=normalization.scale)
    return zoo.samples_path(name), reading


def _stated(reading: Reading) -> bool:
    """Returns: whether a user said how samples become inputs."""
    return any(each is not None for each in (reading.mean, reading.std, reading.scale, reading.preprocess))


def _normalized(samples: Path, reading: Reading, model: str | Path) -> Reading:
    """Returns: the reading with what a zoo model's card says of pictures, where nothing else was said.

    Arrays and tables may hold anything, so nothing is known of how they become inputs.
    """
    from sanderling.samples.images import SUFFIXES

    pictures = samples.is_dir() or samples.suffix.lower() in SUFFIXES
    name = zoo_name(model)
    if not pictures or _stated(reading) or not name:
        return reading
    settings: dict[str, Any] = next(iter(zoo.describe(name).spec.get("inputs", ())), {})
    if settings.get("kind") != "image" or "mean" not in settings:
        return reading
    return replace(reading, mean=tuple(settings["mean"]), std=tuple(settings["std"]), scale=1.0)


def _samples_nearby(path: Path) -> str:
    from sanderling.convert.registry import reader_of

    parent = path.parent
    entries = sorted(parent.iterdir())[:1000] if parent.is_dir() else []
    beside = [each.name for each in entries if each.suffix != ".tflite" and reader_of(each) is None]
    close = difflib.get_close_matches(path.name, beside, 1)
    if close:
        return f"did you mean {parent / close[0]}?"
    return "give a folder of images or sounds, an .npz, .npy or .csv file, or the name of a zoo model"


def class_names(model: str | Path) -> tuple[str, ...]:
    """Returns: the names of the classes that a zoo model tells apart; () for any other model."""
    name = zoo_name(model)
    return zoo.describe(name).classes if name else ()


def as_list(models: str | Path | Sequence[str | Path], *, distinct: bool = True) -> list[str | Path]:
    """Returns: one or several models as a list.

    Args:
        distinct: refuse the same one twice. Timing a model against itself shows the machine's noise.

    Raises:
        UsageError: there is none, or one twice.
    """
    named = [models] if isinstance(models, str | Path) else list(models)
    if not distinct and named:
        return named
    twice = next((each for i, each in enumerate(named) if str(each) in map(str, named[:i])), None)
    if twice is not None:
        raise UsageError("the model is given twice", where=str(twice), hint="name every model once")
    if not named:
        raise UsageError("no model was given", hint="give at least one .tflite file")
    return named
