"""The interpreter: tensors by index, as in ``tf.lite`` and ``ai_edge_litert.interpreter``."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index as as_index
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.errors import ModelError, SanderlingError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.lite.delegates import EngineDelegate, check_available, load_delegate, split
from sanderling.lite.litert_backend import LiteRTBackend, Source
from sanderling.lite.op_resolver import OpResolverType, as_resolver
from sanderling.lite.signature_runner import SignatureRunner
from sanderling.runtime.backend import Backend, BadCall, BadModel, BadValue
from sanderling.runtime.interpreter import EngineInterpreter
from sanderling.runtime.loading import default_threads, load_runner, read_model
from sanderling.runtime.tensor_details import Details, Signatures, full_signatures

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Delegate

__all__ = [
    "Delegate",
    "Interpreter",
    "InterpreterWithCustomOps",
    "OpResolverType",
    "SignatureRunner",
    "load_delegate",
]

_PRESERVE = "experimental_preserve_all_tensors"


def __getattr__(name: str) -> Any:
    """Loads LiteRT's class of shared-library delegates at its first use (PEP 562)."""
    if name == "Delegate":
        from ai_edge_litert.interpreter import Delegate

        return Delegate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Interpreter:
    """A model, its tensors by index, and a call that runs it. A drop-in for ``tf.lite.Interpreter``.

    The file is read and verified before LiteRT sees it, so a damaged one raises instead of crashing. Every
    method may be called from any thread: calls on one interpreter wait for each other, and ``invoke`` lets
    other threads run meanwhile.

    Args:
        model_path: a ``.tflite`` file.
        model_content: the bytes of one, instead of a path.
        experimental_delegates: ``[GpuDelegate()]`` or another engine's; or delegates from shared libraries.
        num_threads: CPU threads, at least 1; None takes ``SANDERLING_THREADS``, else 1.
        experimental_op_resolver_type: LiteRT's kernel set.
        experimental_preserve_all_tensors: keep intermediate tensors readable.
        experimental_disable_delegate_clustering, experimental_default_delegate_latest_features,
        experimental_compress_quantization_zero_points, experimental_disable_delegate_node_fusion,
        experimental_force_delegate_node_profiling: handed to LiteRT as they are.

    Raises:
        ValueError: the model cannot be read, or an argument is wrong.
    """

    _custom_op_registerers: Sequence[Any] = ()

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: Any = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
        experimental_compress_quantization_zero_points: bool = False,
        experimental_disable_delegate_node_fusion: bool = False,
        experimental_force_delegate_node_profiling: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._compressed_zero_points = bool(experimental_compress_quantization_zero_points)
        engine, delegates = split(experimental_delegates)
        opened = _Opened.of(model_path, model_content)
        source = Source(
            path=opened.path,
            content=opened.content,
            threads=_threads(num_threads),
            resolver=as_resolver(experimental_op_resolver_type),
            delegates=delegates,
            registerers=self._custom_op_registerers,
            flags={
                f"experimental_{name}": bool(on)
                for name, on in (
                    ("preserve_all_tensors", experimental_preserve_all_tensors),
                    ("disable_delegate_clustering", experimental_disable_delegate_clustering),
                    ("default_delegate_latest_features", experimental_default_delegate_latest_features),
                    ("compress_quantization_zero_points", experimental_compress_quantization_zero_points),
                    ("disable_delegate_node_fusion", experimental_disable_delegate_node_fusion),
                    ("force_delegate_node_profiling", experimental_force_delegate_node_profiling),
                )
            },
        )
        self._backend: Backend = (
            LiteRTBackend(opened.model, source)
            if engine is None
            else self._open_engine(engine, opened, source)
        )
        self._signatures = full_signatures(opened.model)

    def _open_engine(self, delegate: EngineDelegate, opened: _Opened, source: Source) -> Backend:
        name = delegate.engine
        check_available(name)
        for flag, on in source.flags.items():
            if on and flag != _PRESERVE:
                raise BadValue(f"{flag} is an option of LiteRT, which engine {name} does not have")
        if source.resolver not in (OpResolverType.AUTO, OpResolverType.BUILTIN) or source.registerers:
            raise BadValue(f"kernel sets and custom operators belong to LiteRT, the engine is {name}")
        options = dict(delegate.options)
        precision = str(options.pop("precision", "auto"))
        if source.flags[_PRESERVE]:
            options["preserve_tensors"] = True
        path = opened.path
        if path is None:
            folder = tempfile.mkdtemp(prefix="sanderling-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder) / "model.tflite"
            path.write_bytes(opened.content or b"")
        try:
            runner = load_runner(
                path, opened.model, name, threads=source.threads, precision=precision, options=options
            )
        except SanderlingError as error:
            raise BadModel(error.what, where=error.where, hint=error.hint) from None
        return EngineInterpreter(opened.model, runner, name)

    def allocate_tensors(self) -> None:
        """Makes room for all tensors. To be called before the first ``invoke`` and after resizing.

        Raises:
            RuntimeError: the inputs' shapes do not fit the model, or a view of ``tensor`` is still held.
        """
        with self._lock:
            self._ensure_safe()
            self._backend.allocate(0)

    def invoke(self) -> None:
        """Runs the model on what its inputs hold.

        Raises:
            RuntimeError: tensors are not allocated, a view of ``tensor`` is still held, or running failed.
        """
        with self._lock:
            self._ensure_safe()
            self._backend.invoke(0)

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copies an array into an input.

        Args:
            tensor_index: ``index`` of ``get_input_details``.
            value: an array of exactly the tensor's shape and dtype.

        Raises:
            ValueError: the index, shape or dtype is wrong, or tensors are not allocated.
        """
        with self._lock:
            self._backend.set(as_index(tensor_index), value, 0)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """Returns: a copy of a tensor's value.

        Args:
            tensor_index: ``index`` of ``get_output_details``.
            subgraph_index: the subgraph that it belongs to.

        Raises:
            ValueError: there is no such tensor, or it has no value.
        """
        with self._lock:
            return self._backend.get(as_index(tensor_index), as_index(subgraph_index))

    def tensor(self, tensor_index: int) -> Callable[[], Array]:
        """Returns: a function that gives the tensor's own memory as an array, to use without copying.

        Hold the function, not its array: while an array lives, ``invoke`` and ``allocate_tensors`` refuse.
        The array of a constant is read-only.
        """

        def view() -> Array:
            with self._lock:
                return self._backend.view(as_index(tensor_index))

        return view

    def resize_tensor_input(self, input_index: int, tensor_size: Any, strict: bool = False) -> None:
        """Asks for another shape of an input; ``allocate_tensors`` must follow.

        Args:
            input_index: ``index`` of ``get_input_details``.
            tensor_size: the shape.
            strict: allow only dimensions to change that ``shape_signature`` gives as -1.

        Raises:
            RuntimeError: the tensor cannot have this shape, or a view of ``tensor`` is still held.
            ValueError: ``tensor_size`` is no list of sizes.
        """
        shape = np.array(tensor_size, dtype=np.int32)
        if shape.ndim != 1:
            raise BadValue(f"Shape should be 1D instead of {shape.ndim}")
        with self._lock:
            self._ensure_safe()
            self._backend.resize(as_index(input_index), shape, bool(strict), 0)

    def reset_all_variables(self) -> None:
        """Sets variable tensors back to their initial values. Resource variables stay, as in LiteRT."""
        with self._lock:
            self._backend.reset_variables()

    def get_input_details(self) -> list[Details]:
        """Returns: a dictionary per input: name, index, shape, shape_signature, dtype, quantization,
        quantization_parameters, sparsity_parameters."""
        return self._details(self._backend.model.main.inputs)

    def get_output_details(self) -> list[Details]:
        """Returns: a dictionary per output, as ``get_input_details``."""
        return self._details(self._backend.model.main.outputs)

    def _details(self, indices: Sequence[int]) -> list[Details]:
        with self._lock:
            return [self._backend.tensor_details(index, 0) for index in indices]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[Details]:
        """Returns: a dictionary per tensor of a subgraph; tensors that Python has no type for are left out.

        Raises:
            ValueError: there is no such subgraph.
        """
        count = self.num_subgraphs()
        if subgraph_index < 0 or subgraph_index >= count:
            raise BadValue(
                f"subgraph_index is out of range: {subgraph_index} for the model, which has {count} subgraphs"
            )
        found = []
        subgraph = as_index(subgraph_index)
        with self._lock:
            for index in range(self._backend.tensor_count(subgraph)):
                try:
                    found.append(self._backend.tensor_details(index, subgraph))
                except ValueError:  # temporary tensors, and types that NumPy does not have
                    continue
        return found

    def num_subgraphs(self) -> int:
        """Returns: the number of subgraphs."""
        return len(self._backend.model.graphs)

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Returns: signature key → ``inputs`` and ``outputs`` → their names."""
        return {
            key: {side: list(names) for side, names in sides.items()}
            for key, sides in self._signatures.items()
        }

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """Returns: a function from named arrays to named arrays.

        Args:
            signature_key: the signature; None if the model has exactly one.

        Raises:
            ValueError: there is no such signature.
        """
        if signature_key is None:
            if len(self._signatures) != 1:
                raise BadValue(
                    f"SignatureDef signature_key is None and model has {len(self._signatures)} Signatures,"
                    " None is only allowed when the model has 1 SignatureDef"
                )
            signature_key = next(iter(self._signatures))
        return SignatureRunner(self, signature_key)

    @property
    def experimental_compress_quantization_zero_points(self) -> bool:
        """The argument of that name."""
        return self._compressed_zero_points

    def _get_full_signature_list(self) -> Signatures:
        return {
            key: {side: dict(indices) for side, indices in sides.items()}
            for key, sides in self._signatures.items()
        }

    def _get_tensor_details(self, tensor_index: int, subgraph_index: int) -> Details:
        with self._lock:
            return self._backend.tensor_details(int(tensor_index), int(subgraph_index))

    def _get_op_details(self, op_index: int) -> Details:
        with self._lock:
            return self._backend.operator_details(as_index(op_index))

    def _get_ops_details(self) -> list[Details]:
        with self._lock:
            return [self._backend.operator_details(i) for i in range(self._backend.operator_count())]

    def _native_handle(self) -> int:
        return self._backend.native_handle()

    def _safe_to_run(self) -> bool:
        with self._lock:
            return not self._backend.has_views()

    def _ensure_safe(self) -> None:
        if self._backend.has_views():
            raise BadCall(
                "There is at least 1 reference to internal data in the interpreter in the form of a numpy"
                " array or slice",
                hint="hold the function returned from tensor(), not the array that it gives",
            )


class InterpreterWithCustomOps(Interpreter):
    """An interpreter with custom operators.

    Args:
        custom_op_registerers: names of symbols, or functions that take the address of a
            ``MutableOpResolver`` and register an operator with it.
        kwargs: as for ``Interpreter``.
    """

    def __init__(self, custom_op_registerers: Sequence[Any] | None = None, **kwargs: Any) -> None:
        self._custom_op_registerers = list(custom_op_registerers or [])
        super().__init__(**kwargs)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A model that was read and verified, and where it came from."""

    model: Model
    path: Path | None
    content: bytes | None

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None, content: bytes | None) -> _Opened:
        if path and content:
            raise BadValue("Can't both provide `model_path` and `model_content`")
        try:
            if path:
                file = Path(os.fsdecode(path))
                return cls(read_model(file), file, None)
            if content:
                return cls(_parse(content), None, bytes(content))
        except ModelError as error:
            raise BadModel(error.what, where=error.where, hint=error.hint) from None
        raise BadValue("`model_path` or `model_content` must be specified.")


def _parse(content: bytes) -> Model:
    from sanderling.runtime.soundness import check
    from sanderling.tflite import parse

    model = parse(memoryview(content), name="model_content")
    check(model)
    return model


def _threads(count: object) -> int:
    if count is None:
        return default_threads(None)
    if not isinstance(count, int):
        raise BadValue(f"type of num_threads should be int, got {type(count).__name__}")
    if not 1 <= count <= 2**31 - 1:
        raise BadValue(f"num_threads should >= 1, got {count}")
    return count
