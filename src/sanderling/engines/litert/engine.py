"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from sanderling.engines.engine import Variant
from sanderling.engines.litert.operators import supported
from sanderling.engines.litert.runner import KERNELS, LiteRTRunner
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Verdict, no

_OPTIONS = ("kernels", "precision", "preserve_tensors")


class LiteRT:
    """LiteRT's interpreter on the CPU (XNNPACK unless other kernels are asked for)."""

    name = "litert"
    isolated = False
    packages = ("ai-edge-litert",)

    def available(self) -> Verdict:
        """Returns: whether ``ai-edge-litert`` can be imported here."""
        try:
            import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            return no(f"ai-edge-litert cannot be imported ({error}); run: pip install ai-edge-litert")
        return YES

    def variants(self) -> Sequence[Variant]:
        """Returns: XNNPACK's kernels, and the other sets, which are slower and must be named."""
        if not self.available():
            return ()
        others = (Variant("litert", k, {"kernels": k}, choose=False) for k in KERNELS if k != "default")
        return (Variant("litert"), *others)

    def version(self) -> str:
        """Returns: the version of ``ai-edge-litert``."""
        from importlib.metadata import version

        return version("ai-edge-litert")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether LiteRT has a kernel for the operator.

        Cheap: nothing is loaded. Whether a kernel takes the operands' types, only ``load`` finds out.
        """
        return [supported(node) for node in model.main.nodes]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> LiteRTRunner:
        """Loads a verified model from its file, which LiteRT maps into memory.

        Args:
            path: the ``.tflite`` file; it must stay in place until the runner is closed.
            model: what ``tflite.read`` gives for it.
            threads: CPU threads, at least 1.
            options: ``kernels``: ``"default"`` (XNNPACK where it can), ``"builtin"`` (no XNNPACK) or
                ``"reference"`` (slow, the definition of TFLite's arithmetic); ``preserve_tensors``: keep
                every intermediate tensor readable by ``LiteRTRunner.tensor``; ``precision``: ``"auto"`` or
                ``"float32"``, which are the same here.

        Raises:
            ModelError: LiteRT refuses the model, with its reason.
            UsageError: an option is unknown or has a wrong value.
        """
        kernels, preserve = _checked(dict(options or {}), threads)
        for graph in model.graphs:
            for node in graph.nodes:
                verdict = supported(node, kernels)
                if not verdict:
                    raise UnsupportedOperator(
                        verdict.reason, where=str(path), hint="see: sanderling analyze, for every operator"
                    )
        return LiteRTRunner(path, model, threads=threads, kernels=kernels, preserve_tensors=preserve)


def _checked(options: dict[str, object], threads: int) -> tuple[str, bool]:
    """Returns: the kernel set, and whether to preserve tensors."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise UsageError(f"engine litert has no option {unknown[0]!r}", hint=f"it has: {', '.join(_OPTIONS)}")
    kernels = options.get("kernels", "default")
    if not isinstance(kernels, str) or kernels not in KERNELS:
        raise UsageError(f"kernels is {kernels!r}", hint=f"choose one of: {', '.join(KERNELS)}")
    precision = options.get("precision", "auto")
    if precision not in ("auto", "float32"):
        raise UsageError(
            f"engine litert computes float tensors in float32, got precision {precision!r}",
            hint="leave precision at 'auto', convert the model, or choose engine 'webgpu'",
        )
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1")
    return kernels, bool(options.get("preserve_tensors", False))
