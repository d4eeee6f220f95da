"""The ways in which ONNX Runtime runs models, by the execution providers that it may have.

Tried: the CPU, WebGPU on SwiftShader, QNN on its emulator. The others follow their documentation.
"""

from __future__ import annotations

import platform
from functools import cache

from sanderling.engines.engine import Variant
from sanderling.engines.onnxruntime import library
from sanderling.engines.onnxruntime.session import Provider, start
from sanderling.errors import ModelError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.onnx.write import export

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


@cache
def variants() -> tuple[Variant, ...]:
    """Returns: those whose provider starts on this machine."""
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
        if provider.name in library.providers() and _starts(provider.name)
    )


@cache
def _starts(name: str) -> bool:
    """Returns: whether the provider finds its driver and its device: builds list it in any case."""
    if name == library.CPU:
        return True
    provider = next(each for each in PROVIDERS.values() if each.name == name)
    try:
        start(export(_rectifier()), provider, threads=1)
    except ModelError:
        return False
    return True


def _rectifier() -> Model:
    kind = TensorType((1, 4), DType.FLOAT32)
    node = Node("RELU", (0,), (1,))
    return Model((Graph((Tensor("x", kind), Tensor("y", kind)), (node,), (0,), (1,)),))


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")
