"""What needs TensorFlow: SavedModels, and Keras models that no other way takes. Called in a worker."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import ConvertError, FormatError, UsageError
from sanderling.graph.open_sizes import settled_sizes
from sanderling.graph.types import Array

_HERE = "sanderling.convert.tensorflow"
_loaded: list[Callable[..., Mapping[str, Any]]] = []  # in the worker: what ``run`` runs
# They read, write or run what lies outside of the model.
_REACHING = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|(?:Eager)?PyFunc\w*|SaveSlices|RestoreSlice|LoadLibrary|PrintV2|Send|Recv|"
    r"\w*Dataset\w*|DebugIdentity\w*"
)
_UNKNOWN = re.compile(r"tf\.(\w+)")


def load_saved_model(path: str, shapes: Mapping[str, Sequence[int]], signature: str) -> dict[str, Any]:
    """Reads and converts a SavedModel.

    Args:
        path: its folder.
        shapes: input name → shape, for sizes that it leaves open.
        signature: which to convert; "" for ``serving_default``, or the only one.

    Returns: ``content`` (the ``.tflite``, uint8), ``version`` of TensorFlow.

    Raises:
        ConvertError, FormatError, UsageError: each one sentence.
    """
    tf = _tensorflow()
    _check_operators(tf, Path(path))
    try:
        model = tf.saved_model.load(path)
    except Exception as error:
        raise FormatError(f"TensorFlow cannot read it ({_line(error)})", where=path) from error
    function = model.signatures[_signature(list(model.signatures), signature)]
    specs = _settled(tf, function.structured_input_signature[1], shapes)
    fixed = tf.function(lambda **given: function(**given)).get_concrete_function(**specs)
    _loaded[:] = [lambda **given: function(**given)]
    return _converted(tf, fixed, model)


def load_keras(path: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Reads a Keras file on the TensorFlow backend and converts it; as ``load_saved_model``."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    tf = _tensorflow()
    import keras

    from sanderling.convert.keras.isolated import read
    from sanderling.convert.keras.ports import arguments, input_ports, output_names

    model = read(Path(path))
    ports, _ = input_ports(model, shapes)
    names: list[str] = []

    def program(**given: Any) -> dict[str, Any]:
        args, kwargs = arguments(model, [given[_word(port.name)] for port in ports])
        answer = model(*args, training=False, **kwargs)
        names[:] = output_names(model, answer)
        return dict(zip(map(_word, names), keras.tree.flatten(answer), strict=True))

    specs = {_word(port.name): tf.TensorSpec(port.shape, port.dtype, _word(port.name)) for port in ports}
    module = tf.Module()
    module.held = [each.value for each in model.variables]  # what is saved is frozen, as converting asks for
    with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
        try:
            function = tf.function(program).get_concrete_function(**specs)
            tf.saved_model.save(module, folder, signatures={"serving_default": function})
        except Exception as error:
            raise ConvertError(f"TensorFlow cannot trace it ({_line(error)})", where=path) from error
        done = load_saved_model(folder, {}, "")
    _loaded[:] = [program]
    return done


def run(feed: Mapping[str, Array]) -> dict[str, Array]:
    """Runs what was loaded; called in the worker afterwards."""
    import tensorflow as tf

    given = {name: tf.constant(value) for name, value in feed.items()}
    return {name: np.asarray(value) for name, value in _loaded[0](**given).items()}


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import tensorflow

    return tensorflow


def _check_operators(tf: Any, folder: Path) -> None:
    """Refuses programs that reach out of the model.

    Raises:
        ConvertError: an operator does.
        FormatError: there is no readable program.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:
        raise FormatError(f"saved_model.pb cannot be read ({_line(error)})", where=str(folder)) from error
    for meta in saved.meta_graphs:
        functions = [node for each in meta.graph_def.library.function for node in each.node_def]
        for node in [*meta.graph_def.node, *functions]:
            if _REACHING.fullmatch(node.op):
                raise ConvertError(
                    f"its operator {node.name!r} is a {node.op}, which reaches out of the model",
                    where=str(folder),
                    hint="export the model without it",
                )


def _signature(known: list[str], wanted: str) -> str:
    listed = ", ".join(sorted(known)) or "none"
    if wanted and wanted not in known:
        raise UsageError(f"there is no signature {wanted!r}", where="--function", hint=f"there is: {listed}")
    if not known:
        raise ConvertError(
            "it has no signature", hint="save it with signatures=..., or with model.export(...)"
        )
    if not wanted and "serving_default" not in known and len(known) > 1:
        raise UsageError("it has several signatures", where="--function", hint=f"choose one of: {listed}")
    return wanted or ("serving_default" if "serving_default" in known else known[0])


def _settled(tf: Any, declared: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Returns: the inputs with every size known: open batches become one."""
    sizes = {
        name: None if spec.shape.rank is None else spec.shape.as_list() for name, spec in declared.items()
    }
    settled = settled_sizes(sizes, shapes)
    return {name: tf.TensorSpec(settled[name], spec.dtype, name) for name, spec in declared.items()}


def _converted(tf: Any, fixed: Any, model: Any) -> dict[str, Any]:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([fixed], model)
    converter.experimental_enable_resource_variables = True
    try:
        content = converter.convert()
    except Exception as error:
        missing = sorted(set(_UNKNOWN.findall(str(error))))
        what = f"has no operator for {', '.join(missing)}" if missing else f"says: {_line(error)}"
        raise ConvertError(
            f"TensorFlow's converter {what}", hint="leave out or rewrite the part that it comes from"
        ) from error
    return {"content": np.frombuffer(content, np.uint8), "version": tf.__version__}


def _word(name: str) -> str:
    """Returns: a name as TensorFlow takes it for an argument."""
    return re.sub(r"\W", "_", name)


def _line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
