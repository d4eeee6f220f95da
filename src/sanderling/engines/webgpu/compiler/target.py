"""What a program is compiled for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sanderling.ops.kernel import Limits


@dataclass(frozen=True, slots=True)
class Target:
    """What a program is compiled for; the defaults are what every WebGPU device offers.

    Attributes:
        kernels: what kernels may ask for.
        buffers: storage buffers that a kernel may bind.
        binding_bytes: bytes that one value may take.
        buffer_bytes: bytes of one buffer.
        half: store floats as f16.
        wide: names of tensors whose floats stay f32 all the same → why.
        tuned: signature of an operator → name of its fastest variant: see ``tuned.py``.
    """

    kernels: Limits = field(default_factory=Limits)
    buffers: int = 8
    binding_bytes: int = 128 * 2**20
    buffer_bytes: int = 256 * 2**20
    half: bool = False
    wide: Mapping[str, str] = field(default_factory=dict)
    tuned: Mapping[str, str] = field(default_factory=dict)

    def widened(self, names: Mapping[str, str]) -> Target:
        """Returns: the target that stores more tensors as f32, for these reasons."""
        return replace(self, wide={**self.wide, **names}) if self.half else self

    def told(self) -> str:
        """Returns: all of it as a text, the same in every process."""
        plain = replace(self, wide={}, tuned={})
        return repr((plain, sorted(self.wide), sorted(self.tuned.items())))
