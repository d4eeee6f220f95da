"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.engines.engine import Variant
from sanderling.engines.isolated import IsolatedRunner, is_worker
from sanderling.engines.litert_gpu import adapter
from sanderling.engines.litert_gpu.operators import supported
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Verdict, no

if TYPE_CHECKING:
    from sanderling.engines.litert_gpu.runner import GPURunner

_PRECISIONS = ("auto", "float32", "float16")


class LiteRTGPU:
    """LiteRT's accelerator for GPUs through Vulkan, Metal or D3D12.

    Its library ends the process on some models, so it lives in another one.
    """

    name = "litert_gpu"
    isolated = True
    packages = ("ai-edge-litert",)

    def available(self) -> Verdict:
        """Returns: whether there is a GPU that the accelerator takes. Looks for one in a process of its own,
        the first time."""
        try:
            spec = find_spec("ai_edge_litert.compiled_model")
        except ImportError:
            spec = None
        if spec is None:
            return no("ai-edge-litert is not installed; run: pip install ai-edge-litert")
        found = adapter.find()
        return no(found) if isinstance(found, str) else YES

    def variants(self) -> Sequence[Variant]:
        """Returns: floats in 32 bits, and in 16, which is LiteRT's default. A GPU that is the processor
        itself must be named."""
        found = adapter.find() if self.available() else ""
        if isinstance(found, str):
            return ()
        hardware = not found.software
        half = Variant(
            "litert_gpu", "f16", {"precision": "float16"}, threads=False, exact=False, choose=hardware
        )
        return (Variant("litert_gpu", threads=False, choose=hardware), half)

    def version(self) -> str:
        """Returns: the version of ``ai-edge-litert``."""
        from importlib.metadata import version

        return version("ai-edge-litert")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether the accelerator may be asked to run it.

        Cheap: nothing is loaded. It takes whole models only, and whether it takes the operands' shapes, only
        ``load`` finds out.
        """
        return [supported(model, node) for node in model.main.nodes]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> GPURunner | IsolatedRunner:
        """Loads a verified model from its file: the whole of it onto the GPU.

        Args:
            path: the ``.tflite`` file.
            model: what ``tflite.read`` gives for it.
            threads: ignored.
            options: ``precision``: ``"auto"`` or ``"float32"``, which are the same here, or ``"float16"``.

        Raises:
            ModelError: the accelerator refuses a part of the model, with its reason.
            UsageError: an option is unknown or has a wrong value.
        """
        float32 = _float32(dict(options or {}))
        for position, node in enumerate(model.main.nodes):
            verdict = supported(model, node)
            if not verdict:
                raise UnsupportedOperator(f"operator {position}: {verdict.reason}", where=str(path))
        if not is_worker():
            return IsolatedRunner(self.name, path, model, options=options)
        from sanderling.engines.litert_gpu.runner import GPURunner

        return GPURunner(path, model, float32=float32)


def _float32(options: dict[str, object]) -> bool:
    """Returns: whether floats are to be computed in 32 bits."""
    if unknown := sorted(set(options) - {"precision"}):
        raise UsageError(f"engine litert_gpu has no option {unknown[0]!r}", hint="it has: precision")
    precision = options.get("precision", "auto")
    if precision not in _PRECISIONS:
        raise UsageError(f"precision is {precision!r}", hint=f"choose one of: {', '.join(_PRECISIONS)}")
    return precision != "float16"
