"""A model as OpenVINO's own: of settled sizes, under the names by which it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from sanderling.engines.openvino import library
from sanderling.engines.openvino.source import rewritten
from sanderling.errors import DeployError
from sanderling.graph.graph import Model
from sanderling.passes import run

# What OpenVINO has no translator for, in operators that it knows.
_LOWERED = ("inline_composites", "replace_transpose_conv_bias")


@dataclass(frozen=True, slots=True)
class Converted:
    """A model read by OpenVINO.

    Attributes:
        network: an ``openvino.Model``.
        source: which of its outputs an output of ours is: it gives each once.
        folder: holds the weights, which stay mapped while ``network`` lives.
    """

    network: Any
    source: tuple[int, ...]
    folder: Path

    def close(self) -> None:
        """Deletes the file that the weights come from."""
        rmtree(self.folder, ignore_errors=True)


def lowered(model: Model) -> Model:
    """Returns: the model in operators that OpenVINO translates, where there are such."""
    return run(model, _LOWERED)[0]


def convert(model: Model) -> Converted:
    """Reads a model into OpenVINO.

    Raises:
        DeployError: OpenVINO refuses it, or an output is a constant, which an IR does not give.
    """
    graph = model.main
    constant = next((i for i in graph.outputs if graph.tensors[i].is_constant), None)
    if constant is not None:
        raise DeployError(
            f"output {graph.tensors[constant].name!r} is a constant, which OpenVINO leaves out",
            where=model.name,
            hint="export the model without it",
        )
    file = rewritten(lowered(model))
    try:
        network = library.core().read_model(str(file))
        network.reshape({n: list(graph.tensors[i].shape) for n, i in enumerate(graph.inputs)})
    except RuntimeError as error:
        rmtree(file.parent, ignore_errors=True)
        raise DeployError(f"OpenVINO cannot read the model: {library.cause(error)}") from None
    order = list(dict.fromkeys(graph.outputs))
    found = Converted(network, tuple(order.index(i) for i in graph.outputs), file.parent)
    names = model.output_names()
    _name(network.inputs, model.input_names())
    _name(network.outputs, [names[found.source.index(n)] for n in range(len(order))])
    return found


def _name(ports: Sequence[Any], names: Sequence[str]) -> None:
    for port, name in zip(ports, names, strict=True):
        port.get_tensor().set_names({name})
