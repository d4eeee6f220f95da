"""What a user states of sounds and sentences, put into a task's inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError
from sanderling.tasks.inputs.sound import SoundInput
from sanderling.tasks.inputs.text import TextInput
from sanderling.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from sanderling.pipeline.machine import Machine


def with_reading(
    spec: TaskSpec,
    machine: Machine,
    *,
    front_end: Any = None,
    sample_rate: int | None = None,
    hop: float | None = None,
    tokenizer: str | Path | None = None,
) -> TaskSpec:
    """Returns: the task with these settings in its inputs of sound and text.

    Args:
        front_end: makes features of sounds; an input that looks like no sound becomes one by it.
        sample_rate: Hz, of a model that takes waveforms.
        hop: seconds from one window to the next.
        tokenizer: for sentences.

    Raises:
        UsageError: the model takes no sound, or no text.
    """
    from sanderling.tasks.input_kind import recognise_input

    sound = {"front_end": front_end, "rate": sample_rate, "hop": hop}
    sound = {name: value for name, value in sound.items() if value is not None}
    if not sound and tokenizer is None:
        return spec
    inputs: list[Any] = [
        spec.inputs[i] if i < len(spec.inputs) else recognise_input(machine.model, i, each)
        for i, each in enumerate(machine.inputs)
    ]
    if front_end is not None and not any(isinstance(each, SoundInput) for each in inputs):
        inputs[0] = SoundInput()
    told: dict[type[Any], tuple[str, str, dict[str, Any]]] = {
        SoundInput: ("--front-end, --sample-rate, --hop", "sound", sound)
    }
    if tokenizer is not None:
        told[TextInput] = ("--tokenizer", "text", {"tokenizer": str(tokenizer)})
    for kind, (where, what, settings) in told.items():
        if settings and not any(isinstance(each, kind) for each in inputs):
            raise UsageError(f"the model takes no {what}", where=where)
        inputs = [replace(each, **settings) if isinstance(each, kind) else each for each in inputs]
    return replace(spec, inputs=tuple(inputs))
