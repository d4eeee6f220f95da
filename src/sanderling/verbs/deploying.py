"""From what a user names to an order for ``deploy``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import zoo
from sanderling.errors import DeployError, UsageError
from sanderling.files import expanded
from sanderling.verbs.answering import known_of, make_pipeline, model_file
from sanderling.verbs.find import zoo_name

if TYPE_CHECKING:
    from sanderling.deploy.deploying import Deployed
    from sanderling.deploy.order import Detector, Order
    from sanderling.deploy.target import Target, Tell
    from sanderling.pipeline.pipeline import Pipeline
    from sanderling.tasks.spec import TaskSpec

_NOISE = (
    "no samples were given: the bundle's examples are noise, which shows that it computes right, not what it "
    "is good for; give --samples"
)


def deploy(
    model: str | Path,
    to: str,
    out: str | Path,
    *,
    samples: Any = None,
    options: Mapping[str, str] | None = None,
    threads: int = 0,
    tell: Tell | None = None,
    **known: Any,
) -> Deployed:
    """Makes a folder that runs a model on another machine, with nothing of ours installed there.

    The bundle is tried here as far as the target can be emulated. With other answers than the model's, there
    is none.

    Args:
        model: a ``.tflite``, a ``best.json``, a zoo model, or what ``convert`` reads.
        to: the target: one of ``deploy.names.target_names()``.
        out: a folder that is empty or does not exist.
        samples: what examples are taken from, as for ``run``; None: a zoo model's own, else noise.
        options: settings of the target, by name.
        threads: CPU threads there; 0: the target's choice.
        tell: is called with (what is being done, how far, of how much).
        known: ``task``, ``labels``, ``crop``, ``mean``, ``std``, ``scale``, ``front_end``, ``sample_rate``,
            ``hop`` and ``tokenizer``: see ``run``.

    Returns: the folder, how it was tried, and what is in its ``bundle.json``.

    Raises:
        UsageError: there is no such target or setting.
        DeployError: the target does not take the model, the folder cannot be written, or the answers differ.
        MissingExtra: what builds for the target is not installed.
    """
    from sanderling.deploy.deploying import deploy as build
    from sanderling.deploy.registry import find_target

    step = tell or (lambda what, done, total: None)
    target, folder = find_target(to), expanded(out)
    _one_model(expanded(model))
    given = _options(options or {}, target)
    found = _samples(model) if samples is None else samples
    notes = [] if found is not None else [_NOISE]
    with _plain(model, target) as (file, settings, known_task):
        if known_task is not None and known.get("task") is None:
            known["task"] = known_task
        pipeline = make_pipeline(file, engine="litert", threads=1, tell=notes.append, **known)
        try:
            order = _order(pipeline, target, folder, found, {**settings, **given}, step)
            order = replace(order, threads=threads, notes=tuple(dict.fromkeys(notes)))
            return build(order, target, folder, step)
        finally:
            pipeline.close()


def _one_model(file: Path) -> None:
    """Refuses a cascade, of which no other machine's runtime knows.

    Raises:
        DeployError: it is one.
    """
    from sanderling.runtime.cascade_file import cascade_of

    cascade = cascade_of(file) if file.is_file() else None
    if cascade is not None:
        names = " or ".join(str(part.path.name) for part in cascade.parts)
        raise DeployError(
            "is a cascade, which only a Session runs", where=str(file), hint=f"deploy its parts: {names}"
        )


@contextmanager
def _plain(
    model: str | Path, target: Target
) -> Iterator[tuple[str | Path, Mapping[str, str], TaskSpec | None]]:
    """Gives what LiteRT runs in a model's place (see ``Target.plain``).

    Yields: the model or a file of a temporary folder, settings that it needs, and, for such a file, what is
    known of the model's task.
    """
    if target.plain is None:
        yield model, {}, None
        return
    from sanderling.runtime.loading import read_model
    from sanderling.runtime.recipe_file import read_recipe_file
    from sanderling.tflite import write

    file = model_file(model)
    file = read_recipe_file(file).path if file.suffix.lower() == ".json" else file
    found, settings = target.plain(read_model(file))
    if not settings:
        yield model, {}, None
        return
    with tempfile.TemporaryDirectory(prefix="sanderling-") as place:
        write(found, Path(place) / file.name)
        yield Path(place) / file.name, settings, known_of(model)


def _order(
    pipeline: Pipeline, target: Target, folder: Path, samples: Any, options: Mapping[str, str], tell: Tell
) -> Order:
    """Returns: what is to be deployed; the pipeline settles the task on the way."""
    from sanderling.deploy.deploying import check_order
    from sanderling.deploy.examples import examples_of
    from sanderling.deploy.order import Order
    from sanderling.deploy.tolerance import tolerances
    from sanderling.graph.verify import verify

    model, inputs = pipeline.machine.model, pipeline.machine.inputs
    file = Path(model.source or "")
    verify(model)
    bare = Order(file, model, pipeline.spec, inputs, (), samples is None, {}, options=options)
    check_order(bare, target, folder)
    tell("answering the examples", 0, 0)
    examples = examples_of(pipeline, file, model, samples, target.examples)
    fed, right = [e.feeds for e in examples], [e.outputs for e in examples]
    allowed = tolerances(file, model, fed, right, target.drift, target.steps)
    return Order(
        file, model, pipeline.spec, inputs, examples, samples is None, allowed,
        detector=_detector(pipeline), options=options,
    )  # fmt: skip


def _detector(pipeline: Pipeline) -> Detector | None:
    from sanderling.deploy.order import Detector

    found = pipeline.cropper
    if found is None:
        return None
    model = found.machine.model
    return Detector(Path(model.source or ""), model, found.spec)


def _samples(model: str | Path) -> Any:
    """Returns: a zoo model's own samples, None where it has none."""
    name = zoo_name(model)
    return zoo.samples_path(name) if name else None


def _options(given: Mapping[str, str], target: Target) -> dict[str, str]:
    for name in given:
        if name not in target.options:
            listed = ", ".join(target.options) or "none"
            raise UsageError(f"{target.name} has no setting {name!r}", where="--set", hint=f"it has {listed}")
    return dict(given)


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Reads ``--set NAME=VALUE``.

    Raises:
        UsageError: one is not of that form.
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"got {text!r}, expected NAME=VALUE", where="--set")
        found[name] = value
    return found
