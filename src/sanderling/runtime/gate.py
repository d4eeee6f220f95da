"""The trust gate: does an engine answer this model as LiteRT does, and if not, which operator is the first
that it gets wrong?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sanderling.engines import registry, trust
from sanderling.engines.engine import Runner, Variant
from sanderling.errors import ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array


@dataclass(frozen=True, slots=True)
class Struck:
    """Why an engine may not run a model.

    Attributes:
        operator: kind of the first operator that is wrong, in the order of execution; "" where none can be
            told by itself.
        tensor: its first output's name.
        reason: one sentence.
    """

    operator: str
    tensor: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Returns: JSON values."""
        return asdict(self)


class EngineCheck(trust.Check):
    """Compares a variant of an engine with LiteRT, on a whole model and, where that differs, operator by
    operator.

    Args:
        path, model: the file and what was read from it.
        variant: how the engine runs it.
        folder: for files of single operators.
    """

    def __init__(self, path: Path, model: Model, variant: Variant, folder: Path) -> None:
        super().__init__(model, folder, [not variant.exact] * len(model.main.nodes), (path, model))
        self._variant, self._part = variant, folder / "part.tflite"

    def answers(self, part: trust.Part, inputs: Sequence[Array]) -> list[Array] | None:
        """Runs some of the operators by themselves."""
        from sanderling.tflite import write

        model = trust.cut(self._model, part)
        write(model, self._part)
        engine = registry.find(self._variant.engine)
        try:
            runner = engine.load(self._part, model, options=self._variant.options)
        except ModelError:
            return None
        try:
            return runner.run(list(inputs))
        except RunError:
            return None
        finally:
            runner.close()


def strike(
    path: Path, model: Model, variant: Variant, runner: Runner, inputs: Sequence[Array]
) -> Struck | None:
    """Compares an engine's answer with LiteRT's.

    Args:
        path, model: the file and what was read from it.
        variant: how the engine runs it.
        runner: the model, loaded so; stateful models in their initial state.
        inputs: one array per input, as the model stores them.

    Returns: None where the answer is right, and where LiteRT cannot run the model, so that there is nothing
        to compare with; else what is wrong.

    Raises:
        RunError: the engine failed.
    """
    outputs = runner.run([array.copy() for array in inputs])
    with tempfile.TemporaryDirectory(prefix="sanderling-gate-") as name:
        check = EngineCheck(path, model, variant, Path(name))
        try:
            expected = check.expected(inputs)
        except ModelError:
            return None
        wrong = check.verdict(inputs, outputs, expected)
    if not wrong:
        return None
    graph, first = model.main, wrong[0]
    if not first.alone and len(wrong) == len(graph.nodes):
        return Struck("", "", f"{variant} gives wrong answers: {first.reason}")
    node = graph.nodes[first.position]
    tensor = graph.tensors[node.outputs[0]].name if node.outputs else ""
    more = f", and {len(wrong) - 1} more" if first.alone and len(wrong) > 1 else ""
    return Struck(
        node.kind, tensor, f"{variant} computes {node.kind} {tensor!r} wrongly: {first.reason}{more}"
    )
