"""The engine: says what it takes, and loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.engines.engine import Variant
from sanderling.engines.openvino import library
from sanderling.engines.openvino.operators import supported
from sanderling.engines.openvino.runner import OpenVINORunner
from sanderling.errors import UnsupportedOperator, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Verdict, no

_OPTIONS = ("device", "precision")
_DEVICES = ("CPU", "GPU", "NPU")
# Precision as people write it → as OpenVINO does.
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# An NPU has no float32 to compute in.
_USUAL = {"CPU": "float32", "GPU": "float32", "NPU": "float16"}


class OpenVINO:
    """OpenVINO's plugins, on what devices there are.

    Left to itself OpenVINO computes float models in the fastest precision that the processor has: bfloat16
    on newer CPUs, float16 on GPUs. Here float32 is what it is told to compute in, and the others are
    variants, to be chosen by name or by measuring.
    """

    name = "openvino"
    isolated = False
    packages = ("openvino",)

    def available(self) -> Verdict:
        """Returns: whether ``openvino`` can be imported here."""
        try:
            library.load()
        except (ImportError, OSError, RuntimeError) as error:
            return no(f"openvino cannot be imported ({error}); run: pip install 'sanderling[openvino]'")
        return YES

    def variants(self) -> Sequence[Variant]:
        """Returns: float32 on the CPU, bfloat16 where it has instructions for it, and the devices found."""
        if not self.available():
            return ()
        found = library.devices()
        made: list[Variant] = []
        if "CPU" in found:
            made.append(Variant("openvino"))
            if "BF16" in library.capabilities("CPU"):
                made.append(Variant("openvino", "bf16", {"precision": "bfloat16"}, exact=False))
        if "GPU" in found:
            half = {"device": "GPU", "precision": "float16"}
            made.append(Variant("openvino", "gpu", {"device": "GPU"}, threads=False))
            made.append(Variant("openvino", "gpu-f16", half, threads=False, exact=False))
        if "NPU" in found:
            made.append(Variant("openvino", "npu", {"device": "NPU"}, threads=False, exact=False))
        return tuple(made)

    def version(self) -> str:
        """Returns: the version of ``openvino``."""
        from importlib.metadata import version

        return version("openvino")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether OpenVINO translates the operator.

        Cheap: nothing is loaded. Whether it takes all operands together, only ``load`` finds out.
        """
        return [supported(model, model.main, node) for node in model.main.nodes]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> OpenVINORunner:
        """Loads a verified model from its file, which OpenVINO maps into memory, and compiles it.

        Args:
            path: the ``.tflite`` file; it must stay in place until the runner is closed.
            model: what ``tflite.read`` gives for it.
            threads: CPU threads, at least 1. OpenVINO takes no more than there are cores.
            options: ``device``: ``"CPU"``, ``"GPU"`` or ``"NPU"``; ``precision``: of float tensors,
                ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"``: float32 where the device has it.

        Raises:
            ModelError: OpenVINO refuses the model, with its reason.
            UsageError: an option is unknown or has a wrong value, or there is no such device.
        """
        device, precision = _checked(dict(options or {}), threads)
        for graph in model.graphs:
            for position, node in enumerate(graph.nodes):
                verdict = supported(model, graph, node)
                if not verdict:
                    raise UnsupportedOperator(
                        f"operator {position}: {verdict.reason}",
                        where=str(path),
                        hint="see: sanderling analyze, for every operator and engine",
                    )
        return OpenVINORunner(path, model, device, _PRECISIONS[precision], threads)


def _checked(options: dict[str, object], threads: int) -> tuple[str, str]:
    """Returns: the device and the precision."""
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise UsageError(
            f"engine openvino has no option {unknown[0]!r}", hint=f"it has: {', '.join(_OPTIONS)}"
        )
    device = options.get("device", "CPU")
    if not isinstance(device, str) or device not in _DEVICES:
        raise UsageError(f"device is {device!r}", hint=f"choose one of: {', '.join(_DEVICES)}")
    if device not in library.devices():
        raise UsageError(f"OpenVINO finds no {device} here", hint=f"it has: {', '.join(library.devices())}")
    precision = options.get("precision", "auto")
    if precision == "auto":
        precision = _USUAL[device]
    if not isinstance(precision, str) or precision not in _PRECISIONS:
        raise UsageError(f"precision is {precision!r}", hint=f"choose one of: auto, {', '.join(_PRECISIONS)}")
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1")
    return device, precision
