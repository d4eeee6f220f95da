"""``TFLiteConverter``: scripts that convert with TensorFlow run without it when the import is changed."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.errors import ConvertError, RecipeError, SampleError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.lite.conversion_options import OpsSet, Optimize, TargetSpec, dtype_of, member

if TYPE_CHECKING:
    from sanderling.compress.recipe import Recipe
    from sanderling.convert.proof import Proof

Feeds = list[dict[str, Array]]
_FLOAT, _INT8, _UINT8 = np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.uint8)
_ONE = "save the model, with tf.saved_model.save(…), and take from_saved_model(…)"
_WIDE = OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


class TFLiteConverter:
    """Makes a ``.tflite`` of a Keras model or a SavedModel; made by ``from_…``.

    The float model is compared with its source before anything else: see ``sanderling.convert``.

    Attributes:
        optimizations: ``[Optimize.DEFAULT]`` quantizes: weights to int8, with ``representative_dataset`` the
            activations, too; weights to float16 where ``target_spec.supported_types`` says so.
        representative_dataset: a function that yields lists of arrays, in the order of the model's inputs, or
            dicts by input name.
        target_spec: see ``TargetSpec``.
        inference_input_type, inference_output_type: ``np.int8`` or ``np.uint8`` for integers at the edges.
        proof: how close the float model came to its source; None before ``convert``.
    """

    def __init__(self, source: Any, function: str = "") -> None:
        self._source = source
        self._function = function
        self.optimizations: Iterable[Any] = []
        self.representative_dataset: Any = None
        self.target_spec = TargetSpec()
        self.inference_input_type: Any = np.float32
        self.inference_output_type: Any = np.float32
        self.proof: Proof | None = None

    @classmethod
    def from_keras_model(cls, model: Any) -> TFLiteConverter:
        """Returns: a converter of a live ``keras.Model``, on whatever backend."""
        return cls(model)

    @classmethod
    def from_saved_model(
        cls, saved_model_dir: Any, signature_keys: Sequence[str] | None = None, tags: Any = None
    ) -> TFLiteConverter:
        """Returns: a converter of a SavedModel, which needs TensorFlow.

        Args:
            saved_model_dir: its folder.
            signature_keys: the signature to convert, one.
            tags: taken for the sake of old scripts; the model that is meant for serving is read.

        Raises:
            UsageError: several signatures are asked for.
        """
        keys = list(signature_keys or [])
        if len(keys) > 1:
            raise UsageError(
                f"got {len(keys)}, expected one", where="signature_keys", hint="convert one by one"
            )
        return cls(Path(saved_model_dir), keys[0] if keys else "")

    @classmethod
    def from_concrete_functions(cls, funcs: Any, trackable_obj: Any = None) -> TFLiteConverter:
        """Raises: ConvertError: a function of TensorFlow lives in TensorFlow only."""
        raise ConvertError("functions of TensorFlow cannot be taken out of their process", hint=_ONE)

    def convert(self) -> bytes:
        """Returns: the bytes of the ``.tflite``.

        Raises:
            ConvertError: it cannot be converted, or does not match its source.
            UsageError, SampleError: what is asked for does not fit together.
        """
        from sanderling.convert.conversion import Wishes
        from sanderling.convert.convert import convert
        from sanderling.graph.types import DType
        from sanderling.lite.edge_types import with_edges
        from sanderling.tflite import read, write
        from sanderling.tflite.releases import settled

        recipe, edges = self._recipe()
        with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
            path = Path(folder) / "model.tflite"
            done = convert(self._source, path, Wishes(function=self._function))
            self.proof = done.proof
            if not done.ok:
                raise ConvertError(done.proof.sentence(), where="TFLiteConverter")
            if recipe is not None:
                calibrates = recipe.steps[0].technique == "static_int8"
                _quantize(path, recipe, self._feeds(done.model) if calibrates else None)
            if edges in ((_FLOAT, _FLOAT), (_INT8, _INT8)):
                return path.read_bytes()
            written = path.with_name("edges.tflite")
            turned = with_edges(read(path), *(DType(each.name) for each in edges))
            write(settled(turned), written)
            return written.read_bytes()

    def _recipe(self) -> tuple[Recipe | None, tuple[np.dtype[Any], np.dtype[Any]]]:
        """Returns: what to do after converting, and the dtypes of inputs and outputs.

        Raises:
            UsageError: the wishes contradict each other.
        """
        from sanderling.compress.recipe import Recipe, Step

        asked = [member(Optimize, each, "optimizations") for each in self.optimizations or []]
        sets = {member(OpsSet, each, "target_spec.supported_ops") for each in self.target_spec.supported_ops}
        types = {dtype_of(each, "supported_types") for each in self.target_spec.supported_types}
        edges = (
            dtype_of(self.inference_input_type, "inference_input_type"),
            dtype_of(self.inference_output_type, "inference_output_type"),
        )
        for edge in edges:
            if edge not in (_FLOAT, _INT8, _UINT8):
                raise UsageError(f"got {edge}, expected float32, int8 or uint8", where="inference_input_type")
        if not asked:
            if edges != (_FLOAT, _FLOAT):
                raise UsageError(
                    "integers at the edges need a quantized model", where="inference_input_type",
                    hint="set optimizations = [Optimize.DEFAULT] and a representative_dataset",
                )  # fmt: skip
            return None, edges
        if np.dtype(np.float16) in types:
            return Recipe("float16", (Step("float16"),)), (_FLOAT, _FLOAT)
        whole = OpsSet.TFLITE_BUILTINS_INT8 in sets or _INT8 in types
        if self.representative_dataset is None:
            if whole or _WIDE in sets or edges != (_FLOAT, _FLOAT):
                raise UsageError(
                    "integer activations need samples", where="representative_dataset",
                    hint="set it to a function that yields lists of arrays",
                )  # fmt: skip
            return Recipe("dynamic int8", (Step("dynamic_int8"),)), edges
        settings = {
            "io": "float" if edges == (_FLOAT, _FLOAT) else "int8",
            "everything": whole or edges != (_FLOAT, _FLOAT),
            "activations": "int16" if _WIDE in sets else "int8",
        }
        return Recipe("static int8", (Step("static_int8", settings),)), edges

    def _feeds(self, model: Model) -> Feeds:
        """Returns: the representative dataset as calls of the model.

        Raises:
            SampleError: it is empty, or an array does not fit.
        """
        source = getattr(self.representative_dataset, "input_gen", self.representative_dataset)
        names = model.input_names()
        feeds: Feeds = []
        for sample in source() if callable(source) else source:
            arrays = [sample[name] for name in names] if isinstance(sample, Mapping) else list(sample)
            if len(arrays) != len(names):
                raise SampleError(
                    f"a sample has {len(arrays)} arrays, the model {len(names)} inputs",
                    where="representative_dataset",
                )
            feeds += _calls(dict(zip(names, arrays, strict=True)), model)
        if not feeds:
            raise SampleError(
                "it yields nothing", where="representative_dataset", hint="yield some 100 samples"
            )
        return feeds


def _calls(sample: Mapping[str, Any], model: Model) -> Feeds:
    """Returns: one sample, of several images perhaps, as calls in the model's own shapes."""
    tensors = [model.main.tensors[index] for index in model.main.inputs]
    whole = {}
    for (name, value), tensor in zip(sample.items(), tensors, strict=True):
        array = np.asarray(value)
        per_call = int(np.prod(tensor.shape))
        if array.ndim != len(tensor.shape) or array.shape[1:] != tensor.shape[1:] or array.size % per_call:
            raise SampleError(
                f"input {name!r} got the shape {list(array.shape)}, expected {list(tensor.shape)}",
                where="representative_dataset",
            )
        whole[name] = array.astype(tensor.dtype.numpy).reshape(-1, *tensor.shape)
    count = {len(each) for each in whole.values()}
    if len(count) != 1:
        raise SampleError("the arrays of a sample have different batches", where="representative_dataset")
    return [{name: each[i] for name, each in whole.items()} for i in range(count.pop())]


def _quantize(path: Path, recipe: Recipe, feeds: Feeds | None) -> None:
    """Rewrites a file by a recipe, in a process of its own. What has no weights to shrink stays as it is."""
    from sanderling.compress.calibration import save_feeds
    from sanderling.isolation.client import Worker

    calibration = None if feeds is None else str(save_feeds(feeds, path.parent / "feeds"))
    with Worker(name="quantizer") as worker:
        try:
            worker.call(
                "sanderling.compress.apply:apply_in_worker", recipe=recipe.to_json(), source=str(path),
                out=str(path), calibration=calibration, timeout=3600.0, doing="quantizing",
            )  # fmt: skip
        except RecipeError as error:
            if feeds is not None:
                raise
            warnings.warn(f"the model stays float32: {error.what}", stacklevel=4)
