"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from sanderling.engines.engine import Variant
from sanderling.engines.onnxruntime import library, providers
from sanderling.engines.onnxruntime.runner import ONNXRuntimeRunner
from sanderling.engines.onnxruntime.session import Provider
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import YES, DType, Verdict, no
from sanderling.onnx.write.refusals import refusals

_OPTIONS = ("precision", "provider")
_PRECISIONS = ("auto", "float32")


class ONNXRuntime:
    """ONNX Runtime's execution providers, given the graph as our exporter writes it.

    Quantized models are written with QuantizeLinear and DequantizeLinear, of which it makes integer kernels.
    """

    name = "onnxruntime"
    isolated = False
    packages = (
        "onnxruntime", "onnxruntime-gpu", "onnxruntime-webgpu", "onnxruntime-directml", "onnxruntime-qnn",
        "onnxruntime-openvino", "onnx",
    )  # fmt: skip

    def available(self) -> Verdict:
        """Returns: whether ``onnxruntime``, and ``onnx`` to write what it reads, can be imported here."""
        try:
            library.load()
            import_module("onnx")
        except ImportError as error:
            return no(f"onnxruntime cannot be used ({error}); run: pip install 'sanderling[onnxruntime]'")
        return YES

    def variants(self) -> Sequence[Variant]:
        """Returns: the CPU, and one for each execution provider of this build that is known here."""
        return providers.variants() if self.available() else ()

    def version(self) -> str:
        """Returns: the version of ONNX Runtime, whatever the package is called that it comes from."""
        text: str = library.load().__version__
        return text

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether it can be written as ONNX.

        Nothing is loaded: the graph is written, and what comes of it is thrown away.
        """
        return [
            _verdict(model.main, node, why)
            for node, why in zip(model.main.nodes, refusals(model), strict=True)
        ]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> ONNXRuntimeRunner:
        """Writes a verified model as ONNX and makes a session of it. The file itself is not read again.

        Args:
            path: where the model comes from, for messages.
            model: what ``tflite.read`` gives for it.
            threads: CPU threads, at least 1.
            options: ``provider``: "" for the CPU, or the name of a variant; ``precision``: ``"auto"`` or
                ``"float32"``, which are the same here.

        Raises:
            ModelError: an operator cannot be written as ONNX, or ONNX Runtime refuses the model.
            UsageError: an option is unknown or has a wrong value, or there is no such provider.
        """
        provider = _checked(dict(options or {}), threads)
        for graph in model.graphs:
            for position, node in enumerate(graph.nodes):
                if _has_texts(graph, node):
                    raise UnsupportedOperator(
                        f"operator {position}: {_verdict(graph, node, '').reason}",
                        where=str(path),
                        hint="run it with engine='litert'",
                    )
        return ONNXRuntimeRunner(path, model, provider, threads)


def _verdict(graph: Graph, node: Node, why: str) -> Verdict:
    if _has_texts(graph, node):
        return no(f"{node.kind}: TFLite has texts as bytes, ONNX as Unicode")
    return no(f"{node.kind} cannot be written as ONNX: {why}") if why else YES


def _has_texts(graph: Graph, node: Node) -> bool:
    tensors = (*graph.operands(node), *graph.results(node))
    return any(tensor is not None and tensor.dtype is DType.STRING for tensor in tensors)


def _checked(options: dict[str, object], threads: int) -> Provider:
    """Returns: the execution provider that is asked for."""
    if unknown := sorted(set(options) - set(_OPTIONS)):
        known = ", ".join(_OPTIONS)
        raise UsageError(f"engine onnxruntime has no option {unknown[0]!r}", hint=f"it has: {known}")
    if options.get("precision", "auto") not in _PRECISIONS:
        raise UsageError(
            f"engine onnxruntime computes float tensors in float32, got precision {options['precision']!r}",
            hint="leave precision at 'auto', or choose another variant",
        )
    here = {each.name for each in providers.variants()}
    name = options.get("provider", "")
    if not isinstance(name, str) or name not in here:
        listed = ", ".join(repr(each) for each in providers.PROVIDERS if each in here)
        raise UsageError(f"ONNX Runtime has no provider {name!r} here", hint=f"it has: {listed}")
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1")
    return providers.PROVIDERS[name]
