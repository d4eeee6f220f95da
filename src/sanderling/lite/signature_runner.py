"""Running a model by the names of one of its signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.graph.types import Array
from sanderling.runtime.backend import BadValue
from sanderling.runtime.tensor_details import Details, subgraph_of

if TYPE_CHECKING:
    from sanderling.lite.interpreter import Interpreter


class SignatureRunner:
    """A function from named arrays to named arrays. Made by ``Interpreter.get_signature_runner``.

    Args:
        interpreter: the interpreter, whose tensors it uses.
        signature_key: the signature.

    Raises:
        ValueError: there is no such signature.
    """

    def __init__(self, interpreter: Interpreter | None = None, signature_key: str | None = None) -> None:
        if not interpreter:
            raise BadValue("None interpreter provided.")
        if not signature_key:
            raise BadValue("None signature_key provided.")
        signatures = interpreter._get_full_signature_list()
        if signature_key not in signatures:
            known = ", ".join(signatures) or "none"
            raise BadValue(
                f'Invalid signature_key provided: "{signature_key}"', hint=f"the model has: {known}"
            )
        self._interpreter = interpreter
        self._inputs = signatures[signature_key]["inputs"]
        self._outputs = signatures[signature_key]["outputs"]
        self._subgraph = subgraph_of(interpreter._backend.model, signature_key)

    def __call__(self, **kwargs: Any) -> dict[str, Array]:
        """Resizes the inputs to what is given, runs, and reads all outputs.

        Args:
            kwargs: an array of exactly the input's dtype for every name of the signature.

        Returns: the outputs by name.

        Raises:
            ValueError: a name or dtype is wrong, or one is missing.
            RuntimeError: the shapes do not fit the model, or running failed.
        """
        if len(kwargs) != len(self._inputs):
            raise BadValue(
                "Invalid number of inputs provided for running a SignatureDef,"
                f" expected {len(self._inputs)} vs provided {len(kwargs)}"
            )
        for name in kwargs:
            if name not in self._inputs:
                raise BadValue(
                    f"Invalid Input name ({name}) for SignatureDef", hint=f"it has: {', '.join(self._inputs)}"
                )
        interpreter, subgraph = self._interpreter, self._subgraph
        with interpreter._lock:
            interpreter._ensure_safe()
            backend = interpreter._backend
            for name, value in kwargs.items():
                backend.resize(self._inputs[name], np.array(value.shape, np.int32), False, subgraph)
            backend.allocate(subgraph)
            for name, value in kwargs.items():
                backend.set(self._inputs[name], value, subgraph)
            backend.invoke(subgraph)
            return {name: backend.get(index, subgraph) for name, index in self._outputs.items()}

    def get_input_details(self) -> dict[str, Details]:
        """Returns: the dictionary of each input, by name."""
        return self._details(self._inputs)

    def get_output_details(self) -> dict[str, Details]:
        """Returns: the dictionary of each output, by name."""
        return self._details(self._outputs)

    def _details(self, indices: dict[str, int]) -> dict[str, Details]:
        return {
            name: self._interpreter._get_tensor_details(index, self._subgraph)
            for name, index in indices.items()
        }
