"""The ways in which ONNX Runtime runs models, by the execution providers that it may have.

Only the CPU and QNN's emulator were at hand when this was written; the others follow their documentation.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sanderling.engines.engine import Variant
from sanderling.engines.onnxruntime import library


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider, set up in one way.

    Attributes:
        name: ONNX Runtime's.
        options: the provider's own.
        exact: it computes float tensors in float32.
        fixed: it takes no open sizes.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True
    fixed: bool = False


# Name of the variant → provider, the usual one first.
PROVIDERS = {
    "": Provider(library.CPU),
    # By default products are rounded to TF32's 10 bits.
    "cuda": Provider("CUDAExecutionProvider", {"use_tf32": "0"}),
    "cuda-tf32": Provider("CUDAExecutionProvider", {"use_tf32": "1"}, exact=False),
    "webgpu": Provider("WebGpuExecutionProvider"),
    "dml": Provider("DmlExecutionProvider", exact=False),
    "coreml": Provider("CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}, exact=False),
    "migraphx": Provider("MIGraphXExecutionProvider", exact=False, fixed=True),
    "qnn": Provider(library.QNN, {"backend_type": "htp"}, exact=False, fixed=True),
}


def variants() -> tuple[Variant, ...]:
    """Returns: those whose provider is here."""
    found = library.providers()
    return tuple(
        Variant(
            "onnxruntime",
            name,
            {"provider": name} if name else {},
            threads=not name,
            exact=provider.exact,
            # On x86 the tensor processor is emulated: slow, and no measure of anything.
            choose=not (provider.name == library.QNN and _is_x86()),
        )
        for name, provider in PROVIDERS.items()
        if provider.name in found
    )


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def add(options: Any, provider: Provider) -> list[tuple[str, dict[str, str]]]:
    """Adds a provider to a session's options, or names it. Returns: the session's ``providers``."""
    if provider.name == library.QNN and library.qnn_devices():
        options.add_provider_for_devices(list(library.qnn_devices()), {"backend_path": library.qnn_backend()})
        return []
    return [(provider.name, dict(provider.options))]
