"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.engines.engine import Variant
from sanderling.engines.isolated import IsolatedRunner, is_worker
from sanderling.engines.tflite_micro.operators import supported
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Verdict, no

if TYPE_CHECKING:
    from sanderling.engines.tflite_micro.runner import MicroRunner

_INSTALL = "run: pip install 'sanderling[micro]' (there are wheels for Linux on x86-64 only)"


class IsolatedMicroRunner(IsolatedRunner):
    """A model in TFLite Micro, in a process of its own."""

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena that the model takes up, as TFLite Micro's own allocator recorded them."""
        return int(self.told["arena_bytes"])


class TFLiteMicro:
    """TFLite Micro's interpreter with its portable kernels, as microcontrollers run them.

    Its library ends the process on some models, so it lives in another one.
    """

    name = "tflite_micro"
    isolated = True
    packages = ("tflite-micro",)

    def available(self) -> Verdict:
        """Returns: whether ``tflite-micro`` is installed. It is not imported for that."""
        try:
            found = find_spec("tflite_micro.python.tflite_micro.runtime")
        except ImportError:
            found = None
        return YES if found is not None else no(f"tflite-micro is not installed; {_INSTALL}")

    def variants(self) -> Sequence[Variant]:
        """Returns: the one way, which imitates other hardware: it must be named."""
        return (Variant("tflite_micro", threads=False, choose=False),) if self.available() else ()

    def version(self) -> str:
        """Returns: the version of ``tflite-micro``."""
        from importlib.metadata import version

        return version("tflite-micro")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether TFLite Micro has a kernel for it and its types.

        Cheap: nothing is loaded.
        """
        return [supported(model.main, node) for node in model.main.nodes]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> MicroRunner | IsolatedMicroRunner:
        """Loads a verified model from its file, which is read as a whole.

        Args:
            path: the ``.tflite`` file.
            model: what ``tflite.read`` gives for it.
            threads: ignored: TFLite Micro has no threads.
            options: ``precision``: ``"auto"`` or ``"float32"``, which are the same here.

        Raises:
            ModelError: TFLite Micro refuses the model, with its reason.
            UsageError: an option is unknown or has a wrong value.
        """
        _check(dict(options or {}))
        for position, (graph, node) in enumerate((g, n) for g in model.graphs for n in g.nodes):
            verdict = supported(graph, node)
            if not verdict:
                raise UnsupportedOperator(f"operator {position}: {verdict.reason}", where=str(path))
        if not is_worker():
            return IsolatedMicroRunner(self.name, path, model, options=options)
        from sanderling.engines.tflite_micro.runner import MicroRunner

        return MicroRunner(path, model)


def _check(options: dict[str, object]) -> None:
    if unknown := sorted(set(options) - {"precision"}):
        raise UsageError(f"engine tflite_micro has no option {unknown[0]!r}", hint="it has: precision")
    if options.get("precision", "auto") not in ("auto", "float32"):
        raise UsageError(
            f"engine tflite_micro computes float tensors in float32, got precision {options['precision']!r}",
            hint="leave precision at 'auto'",
        )
