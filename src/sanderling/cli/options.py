"""The options that several commands share, said once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

_READING = "How samples are read"
_LIMITS = "Limits, all at once"


def _models(incomplete: str) -> list[str]:
    """Completes a model: zoo names; the shell completes paths by itself where there is no match."""
    from sanderling import zoo
    from sanderling.convert.registry import converters

    named = [name for name in zoo.names() if name.startswith(incomplete)]
    endings = (ending for each in converters() for ending in each.endings)
    return named + _paths(incomplete, (".tflite", *endings))


def sample_paths(incomplete: str) -> list[str]:
    """Completes samples: names of zoo models that bring some, folders, and files of known kinds."""
    from sanderling import zoo

    kinds = (".npz", ".npy", ".csv", ".txt", ".wav", ".png", ".jpg", ".jpeg")
    return [name for name in zoo.bundled() if name.startswith(incomplete)] + _paths(incomplete, kinds)


def _paths(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Returns: folders, and files of these kinds, that begin with what was typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    start = "" if incomplete.endswith("/") else typed.name
    if not folder.is_dir():
        return []
    prefix = incomplete[: len(incomplete) - len(start)]
    found = []
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            found.append(f"{prefix}{entry.name}/")
        elif entry.suffix.lower() in suffixes:
            found.append(f"{prefix}{entry.name}")
    return found


def choices(*values: str) -> Any:
    """Returns: a completion from a fixed list."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def variants(incomplete: str) -> list[str]:
    """Completes a list of ways to run models: ``litert,openvino:bf16``."""
    from sanderling.engines import registry

    before, comma, started = incomplete.rpartition(",")
    known = ["all", *(str(variant) for variant in registry.every_variant())]
    return [f"{before}{comma}{name}" for name in known if name.startswith(started)]


def engines(text: str, option: str = "--engine") -> list[str]:
    """Reads a list of ways to run models.

    Raises:
        UsageError: the list is empty, or one of them is not known here; says which is meant.
    """
    from sanderling.engines import registry
    from sanderling.errors import UsageError
    from sanderling.verbs.find import one_of

    named = [part.strip() for part in text.split(",") if part.strip()]
    if not named:
        raise UsageError("the list is empty", where=option, hint="for example litert")
    for name in named:
        if one_of(name.partition(":")[0], [*registry.names(), "all"], option) == "all" and name == "all":
            continue
        try:
            registry.find_variant(name)
        except UsageError as error:
            raise UsageError(error.what, where=option, hint=error.hint) from None
    return named


def model_argument(name: str, help_text: str) -> Any:
    """Returns: an argument that names a model."""
    return typer.Argument(metavar=name, help=help_text, autocompletion=_models, show_default=False)


MODEL_HELP = "A .tflite file (.onnx, .keras, … are converted), or a zoo model's name (sanderling zoo list)."
Model = Annotated[str, model_argument("MODEL", MODEL_HELP)]
Models = Annotated[list[str], model_argument("MODEL", f"{MODEL_HELP} Several are compared.")]
Samples = Annotated[
    str | None,
    typer.Option(
        "--samples",
        metavar="PATH",
        help="Folder of images or sounds, .npz, .npy, .csv, or .txt of sentences. Without it: noise.",
        autocompletion=sample_paths,
        show_default=False,
    ),
]
PowerMeter = Annotated[
    str | None,
    typer.Option(
        "--power-meter",
        metavar="CMD",
        help="A program that prints watts, a number a line.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document and nothing else.")]


def _reading(name: str, metavar: str, help_text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=help_text, rich_help_panel=_READING, show_default=False)


Labels = Annotated[
    str | None, _reading("--labels", "CSV", "Right answers: lines of file,label or index,label.")
]
Mean = Annotated[str | None, _reading("--mean", "NUMBERS", "input = (pixel × scale − mean) / std.")]
Std = Annotated[str | None, _reading("--std", "NUMBERS", "One number, or one per channel: 0.2,0.2,0.2.")]
Scale = Annotated[float | None, _reading("--scale", "NUMBER", "For example 0.00392 for pixels as 0..1.")]
Preprocess = Annotated[
    str | None, _reading("--preprocess", "FILE.py:FN", "Your own function from a raw sample to inputs.")
]
SampleRate = Annotated[int | None, _reading("--sample-rate", "HZ", "What the model expects of sounds.")]
FrontEnd = Annotated[
    str | None, _reading("--front-end", "NAME", "Features of sounds: mlperf-tiny-kws …, or a .json file.")
]
Hop = Annotated[str | None, _reading("--hop", "TIME", "From one window of a sound to the next: 250ms.")]
Tokenizer = Annotated[
    str | None, _reading("--tokenizer", "JSON", "For sentences. Default: tokenizer.json beside the model.")
]
Limit = Annotated[int | None, _reading("--limit", "N", "Use at most so many samples.")]
How = Mapping[str, Any]
UNREAD: How = MappingProxyType({})
_HOW = {
    "mean": Mean, "std": Std, "scale": Scale, "preprocess": Preprocess, "sample_rate": SampleRate,
    "front_end": FrontEnd, "hop": Hop, "tokenizer": Tokenizer, "limit": Limit,
}  # fmt: skip


_SINGLE = ("mean", "std", "scale", "sample_rate", "front_end", "hop", "tokenizer")


def reads_samples(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of how samples are read: it takes them parsed, as one keyword ``how``."""
    return _reads(command, tuple(_HOW))


def reads_things(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of how one thing becomes an input, in the same way."""
    return _reads(command, _SINGLE)


def _reads(command: Callable[..., None], names: tuple[str, ...]) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.name == "how":
            parameters += [
                parameter.replace(name=n, annotation=a, default=None) for n, a in _HOW.items() if n in names
            ]
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        how = reading(**{name: given.pop(name, None) for name in _HOW})
        command(**given, how={name: how[name] for name in names})

    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return run


def _limit(name: str, metavar: str, help_text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=help_text, rich_help_panel=_LIMITS, show_default=False)


MaxDrop = Annotated[
    str | None, _limit("--max-drop", "SHARE", "Largest loss of fidelity: 1% or 0.01. Default: the task's.")
]
MaxLatency = Annotated[str | None, _limit("--max-latency", "TIME", "Per call: 5ms.")]
MaxSize = Annotated[str | None, _limit("--max-size", "SIZE", "Of the file: 1.5MB.")]
MaxMemory = Annotated[str | None, _limit("--max-memory", "SIZE", "Peak while loading and running: 50MB.")]
MinThroughput = Annotated[str | None, _limit("--min-throughput", "RATE", "Calls per second: 200/s.")]
Io = Annotated[
    str | None,
    typer.Option(
        "--io", metavar="KIND", help="Inputs and outputs: float, int8 or keep. Default: float.",
        autocompletion=choices("float", "int8", "keep"), rich_help_panel=_LIMITS, show_default=False,
    ),
]  # fmt: skip
AllowOps = Annotated[
    str | None,
    _limit("--allow-ops", "LIST", "Only these: CONV_2D,RELU,…; a file; microcontroller."),
]
OldestRuntime = Annotated[
    str | None,
    _limit("--oldest-runtime", "RELEASE", "That must run it: 2.14 (TensorFlow Lite), litert-1.2."),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME",
        help="classify, segment, detect, landmarks, embed or other. Default: guessed, and said.",
        autocompletion=choices("classify", "segment", "detect", "landmarks", "embed", "other"),
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="FILE.py:FN", help="Your own drop for one sample's outputs.", show_default=False
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="CPU threads.", show_default=False)
]


def reading(**given: Any) -> dict[str, Any]:
    """Returns: the options of how samples are read, as keyword arguments of the verbs."""
    from sanderling.cli import units

    numbers = {
        name: units.numbers(given[name], f"--{name}") for name in ("mean", "std") if given[name] is not None
    }
    hop = None if given["hop"] is None else units.milliseconds(given["hop"], "--hop") / 1000
    return {**given, **numbers, "hop": hop}


def deployment(io: str | None, allow_ops: str | None, oldest_runtime: str | None) -> dict[str, Any]:
    """Returns: what a model may be where it will run, as keyword arguments of the verbs."""
    return {"io": io, "allow_ops": allow_ops, "oldest_runtime": oldest_runtime}


def limits(
    max_drop: str | None,
    max_latency: str | None,
    max_size: str | None,
    max_memory: str | None,
    min_throughput: str | None,
) -> dict[str, Any]:
    """Returns: the limits as keyword arguments of the verbs.

    Raises:
        UsageError: one has no unit, a wrong one, or is no number.
    """
    from sanderling.cli import units

    def parse(text: str | None, read: Any, *rest: str) -> Any:
        return None if text is None else read(text, *rest)

    return {
        "max_drop": parse(max_drop, units.share, "--max-drop"),
        "max_latency_ms": parse(max_latency, units.milliseconds, "--max-latency"),
        "max_size_bytes": parse(max_size, units.size_bytes, "--max-size"),
        "max_memory_bytes": parse(max_memory, units.size_bytes, "--max-memory", "50MB"),
        "min_throughput": parse(min_throughput, units.per_second, "--min-throughput"),
    }
