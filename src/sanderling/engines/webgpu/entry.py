"""The engine as the registry finds it. What it takes to load a model is imported when one is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.engines.engine import Variant
from sanderling.engines.webgpu.driver import adapters as gpus
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Verdict, no

if TYPE_CHECKING:
    from sanderling.engines.webgpu.runner import WebGPURunner


class WebGPU:
    """Our own kernels on any GPU that Vulkan, Metal or D3D12 reaches; what they cannot do, LiteRT does."""

    name = "webgpu"
    isolated = False
    packages = ("wgpu", "wgpudawn")

    def available(self) -> Verdict:
        """Returns: whether there are a WebGPU library and a GPU adapter."""
        try:
            found = gpus.adapters()
        except (ImportError, OSError, RuntimeError, UsageError) as error:
            return no(f"the WebGPU library cannot be used ({error}); {gpus.INSTALL}")
        return YES if found else no(f"there is no Vulkan, Metal or D3D12 adapter; {gpus.no_adapter()}")

    def announce(self, path: Path, options: Mapping[str, object]) -> None:
        """Begins with what takes long and needs no model; see ``early.py``."""
        from sanderling.engines.webgpu.early import begin

        begin(path, options)

    def variants(self) -> Sequence[Variant]:
        """Returns: floats in 32 bits, and stored in 16. A GPU that is the processor itself must be named."""
        if not self.available():
            return ()
        hardware = any(not adapter.software for adapter in gpus.adapters())
        half = Variant("webgpu", "f16", {"precision": "float16"}, threads=False, exact=False, choose=hardware)
        return (Variant("webgpu", threads=False, choose=hardware), half)

    def version(self) -> str:
        """Returns: the library's package and version."""
        found = gpus.library()
        return f"{found.package} {found.version}"

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether it can run on a GPU, or why it stays on the CPU,
        naming the tensor and the cause. Needs no GPU."""
        from sanderling.engines.webgpu.compiler.target import Target
        from sanderling.engines.webgpu.graphs.shapes import at_shapes
        from sanderling.engines.webgpu.graphs.state import STATE_OPS, lift
        from sanderling.engines.webgpu.pieces.places import HELD
        from sanderling.engines.webgpu.pieces.verdicts import known_by, verdict

        lifted = lift(model)
        fixed = lifted.model.main
        shapes = [fixed.tensors[i].shape for i in fixed.inputs]
        prepared, usual = at_shapes(lifted.model, shapes).main, Target()
        found = {
            known_by(node): verdict(prepared, node, usual.kernels, usual.binding_bytes)
            for node in prepared.nodes
            if node.outputs
        }
        stuck = no(lifted.reason or HELD)
        return [
            stuck if node.op in STATE_OPS else found.get(known_by(node), YES) for node in model.main.nodes
        ]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> WebGPURunner:
        """Loads a verified model: as much of it onto the GPU as is sensible, the rest into LiteRT.

        Args:
            path: the file, for messages and to remember what is found out.
            model: what ``tflite.read`` gives for it.
            threads: of the CPU.
            options: ``device``: number or part of the name of an adapter; ``library``: ``"wgpu"`` or
                ``"dawn"``, see ``adapters.library_name``; ``precision``: ``"float32"``;
                ``"float16"`` (values between kernels and weights are stored in 16 bits); ``"auto"``, the
                same for every tensor where ``samples`` (a list of inputs, each a list of arrays; or
                ``"noise"``) lose little by it: found once, remembered, 32 bits without them;
                ``tune``: seconds to spend on timing the variants of its kernels, which is remembered and
                from then on used for every model; ``pin``: operators by number, output or kind → ``"cpu"``
                or ``"gpu"``; ``trust``: do not compare the GPU's first answer with LiteRT's.

        Raises:
            ModelError: an operator runs neither on the GPU nor in LiteRT, with the reason.
            UsageError: an option is unknown or has a wrong value, or there is no such device.
        """
        from sanderling.engines.webgpu.engine import load

        return load(path, model, threads=threads, options=options)
