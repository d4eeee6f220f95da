"""The module that is converted: a program between its edges, where arguments and images are rearranged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sanderling.convert.torch.layout import TO_FIRST, TO_LAST
from sanderling.convert.torch.program import Program
from sanderling.convert.torch.rewrites import rewrite

if TYPE_CHECKING:
    import torch


def wrap(program: Program, images_last: bool) -> torch.nn.Module:
    """Returns: a module from the program's inputs, in a row, to the tensors among its results, as a tuple.

    Args:
        images_last: images come and go as [N,H,W,C].
    """
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    class Edge(torch.nn.Module):
        """Arguments in a row → results in a row."""

        def __init__(self) -> None:
            super().__init__()
            self.program = program.exported.module(check_guards=False)
            rewrite(self.program)
            for part in self.modules():  # eval() is not for exported programs, which keep their mode
                part.training = False

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            leaves: list[Any] = list(program.arguments)
            for port, tensor in zip(program.inputs, tensors, strict=True):
                moved = images_last and port.image
                leaves[port.place] = tensor.permute(TO_FIRST) if moved else tensor
            args, kwargs = tree_unflatten(leaves, program.exported.call_spec.in_spec)
            results = tree_flatten(self.program(*args, **kwargs))[0]
            return tuple(
                results[port.place].permute(TO_LAST) if images_last and port.image else results[port.place]
                for port in program.outputs
            )

    return Edge()


def example(program: Program, images_last: bool) -> tuple[torch.Tensor, ...]:
    """Returns: a tensor for every input, as the wrapped module takes it."""
    tensors: Sequence[torch.Tensor] = [program.arguments[port.place] for port in program.inputs]
    return tuple(
        tensor.permute(TO_LAST).contiguous() if images_last and port.image else tensor
        for port, tensor in zip(program.inputs, tensors, strict=True)
    )
