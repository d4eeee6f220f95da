"""How much the answers depend on each weight: moments of gradients, without labels.

The teacher's own answers give no gradient where the student is the teacher. Answers drawn from what the
network itself holds likely do: their gradients are those of the Fisher information.

Sources: Theis et al., Faster gaze prediction with dense networks and Fisher pruning (2018), eq. 5; Molchanov
et al., Importance estimation for neural network pruning (2019), eq. 8.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.training.aims import Aim
from sanderling.training.lesson import Lesson
from sanderling.training.net import Net

_BATCHES, _BATCH = 24, 4
_TINY = 1e-12


def moments(
    torch: Any, net: Net, aims: Sequence[Aim], lesson: Lesson, tensors: Collection[int], *, squared: bool
) -> dict[int, npt.NDArray[np.float64]]:
    """Measures gradients over batches of samples.

    Args:
        torch: the module.
        net: what to look at.
        aims: its answers.
        lesson: the samples.
        tensors: indices of its weights.
        squared: the mean of squares, else of absolute values.

    Returns: by tensor, of the weights' shape; zeros where no gradient comes to.
    """
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    parameters = [net.weights[index] for index in tensors]
    sums = [torch.zeros_like(p) for p in parameters]
    for _ in range(_BATCHES):
        values = net.answer(lesson.batch(_BATCH, rng), wanted={aim.student for aim in aims})
        drawn = sum(_drawn(torch, aim, values, generator) for aim in aims)
        gradients = torch.autograd.grad(drawn, parameters, allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total += gradient.square() if squared else gradient.abs()
    return {i: (s / _BATCHES).numpy().astype(np.float64) for i, s in zip(tensors, sums, strict=True)}


def _drawn(torch: Any, aim: Aim, values: Mapping[int, Any], generator: Any) -> Any:
    """Returns: the loss against an answer that is drawn, but for a constant."""
    scores = values[aim.student] * aim.factor
    with torch.no_grad():
        if aim.kind == "classes":
            chance = torch.softmax(scores, -1)
            flat = chance.reshape(-1, chance.shape[-1])
            picked = torch.multinomial(flat, 1, generator=generator)
            slope = (flat - torch.zeros_like(flat).scatter_(1, picked, 1.0)).reshape(scores.shape)
        elif aim.kind == "probabilities":
            chance = torch.sigmoid(scores)
            slope = chance - torch.bernoulli(chance, generator=generator)
        else:
            noise = torch.randn(scores.shape, generator=generator)
            slope = noise / (scores.std(unbiased=False) + _TINY) if scores.numel() > 1 else noise
    return aim.weight * (scores * slope).sum() / len(scores)
