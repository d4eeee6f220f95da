"""What a module costs, and trained values for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sanderling.errors import UsageError

_SKIPPED = "num_batches_tracked"  # a counter of training, which weights saved by others may lack


def count_macs(module: nn.Module) -> int:
    """Returns: the multiplications of all convolutions and linear layers for one example.

    A convolution has result values × kernel × input channels / groups, a linear layer rows × inputs ×
    outputs.
    """
    total = 0

    def count(layer: nn.Module, _: Any, result: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total += result.numel() * weight[0].numel()

    watched = (nn.Conv1d, nn.Conv2d, nn.Linear)
    hooks = [each.register_forward_hook(count) for each in module.modules() if isinstance(each, watched)]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(*module.example)
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return total


def assign(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copies tensors into a module: by name if all names are there, else in order, shape by shape.

    Raises:
        UsageError: they are of another network.
    """
    own = {name: value for name, value in module.state_dict().items() if not name.endswith(_SKIPPED)}
    given = {name: value for name, value in tensors.items() if not name.endswith(_SKIPPED)}
    if own.keys() <= given.keys():
        pairs = [(name, value, name, given[name]) for name, value in own.items()]
    elif len(own) == len(given):
        pairs = [(*mine, *theirs) for mine, theirs in zip(own.items(), given.items(), strict=True)]
    else:
        raise UsageError(f"{len(given)} tensors were given, the network has {len(own)}", where="weights")
    for name, value, theirs, tensor in pairs:
        alike = name.rpartition(".")[2] == theirs.rpartition(".")[2]
        if not alike or value.shape != tensor.shape:
            raise UsageError(
                f"{theirs!r} has shape {list(tensor.shape)}, where {name!r} has {list(value.shape)}",
                where="weights",
                hint="they are of another network, or of another size of it",
            )
    with torch.no_grad():
        for _, value, _, tensor in pairs:
            value.copy_(tensor)
