"""ONNX models written in a line, and what ONNX Runtime and LiteRT make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sanderling import tflite
from sanderling.convert.finish import finish
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.onnx.read import Imported, import_model, parse

Feeds = Mapping[str, np.ndarray]
CLOSE = 1e-5  # of an output's scale: one operator, fed the same numbers
WHOLE = 1e-4  # of an output's scale: a whole model


@dataclass(frozen=True)
class Pair:
    """Both answers to one question, as ONNX has its axes, and our model."""

    model: Model
    theirs: list[np.ndarray]
    ours: list[np.ndarray]


def one(op: str, inputs: Sequence[Any], *, opset: int, outputs: int = 1, constants: Collection[int] = (),
        turned: Mapping[int, Sequence[int]] | None = None, domain: str = "", **attrs: Any
        ) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:  # fmt: skip
    """Builds a model of one node.

    Args:
        inputs: an array for each operand, None for an absent one.
        constants: positions of the operands that the file holds; the others are fed.
        turned: position → a permutation in which that operand is fed, undone by a Transpose before the node:
            so the importer meets it stored in another order of axes.

    Returns: the model, and its feeds.
    """
    names = ["" if each is None else f"x{i}" for i, each in enumerate(inputs)]
    node = helper.make_node(
        op, names, [f"y{i}" for i in range(outputs)], name="tested", domain=domain, **attrs
    )
    arrays = {name: np.asarray(each) for name, each in zip(names, inputs, strict=True) if name}
    held = {f"x{i}" for i in constants}
    feeds = {name: each for name, each in arrays.items() if name not in held}
    before = []
    for name, order in {f"x{i}": order for i, order in (turned or {}).items()}.items():
        feeds[f"{name}_turned"] = np.ascontiguousarray(np.transpose(feeds.pop(name), order))
        back = [int(axis) for axis in np.argsort(order)]
        before.append(helper.make_node("Transpose", [f"{name}_turned"], [name], perm=back))
    constant = {name: each for name, each in arrays.items() if name in held}
    return model_of([*before, node], feeds, constant, node.output, opset), feeds


def model_of(nodes: Sequence[onnx.NodeProto], feeds: Feeds, constants: Feeds, outputs: Sequence[str],
             opset: int) -> onnx.ModelProto:  # fmt: skip
    """Builds a model of nodes; the outputs' types are left for the reader to find."""
    graph = helper.make_graph(
        list(nodes), "drawn",
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
         for k, v in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )  # fmt: skip
    domains = sorted({node.domain for node in nodes if node.domain})
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(each, 1) for each in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def imported(source: onnx.ModelProto | Path, folder: Path, *, last: bool = False,
             shapes: Mapping[str, tuple[int, ...]] | None = None) -> Imported:  # fmt: skip
    """Returns: what the importer makes of a model, before any rewriting."""
    path = source if isinstance(source, Path) else folder / "drawn.onnx"
    if not isinstance(source, Path):
        path.write_bytes(source.SerializeToString())
    return import_model(parse(path), shapes or {}, last=last)


def by_runtime(source: onnx.ModelProto | Path, feeds: Feeds) -> list[np.ndarray]:
    """Returns: ONNX Runtime's answer, unoptimized: as near to the definitions as it gets."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    content = str(source) if isinstance(source, Path) else source.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feeds)))


def by_litert(
    made: Imported, feeds: Feeds, folder: Path, *, by: Callable[[Model], Model] = finish
) -> tuple[Model, list[Any]]:
    """Returns: our model, rewritten, and LiteRT's answer to it with ONNX's order of axes."""
    from ai_edge_litert.interpreter import Interpreter

    model = by(made.model)
    verify(model)
    path = folder / "drawn.tflite"
    tflite.write(model, path)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details()
    given = {
        edge.name: np.transpose(feeds[edge.name], edge.order).astype(details[edge.name]["dtype"])
        for edge in made.inputs
    }
    answers = runner(**{k: v.reshape(details[k]["shape"]) for k, v in given.items()})
    return model, [np.transpose(answers[edge.name], np.argsort(edge.order)) for edge in made.outputs]


def both(source: onnx.ModelProto | Path, feeds: Feeds, folder: Path, *, last: bool = False,
         shapes: Mapping[str, tuple[int, ...]] | None = None) -> Pair:  # fmt: skip
    """Asks ONNX Runtime and, through our importer, LiteRT."""
    theirs = by_runtime(source, feeds)
    model, ours = by_litert(imported(source, folder, last=last, shapes=shapes), feeds, folder)
    return Pair(model, theirs, ours)


def assert_alike(pair: Pair, tolerance: float = CLOSE, *, least: float = 0.0) -> None:
    """Asserts that both answers have the same shapes and kinds, and are as near as they should be.

    Args:
        tolerance: of the largest finite element, which counts as ``least`` at least. Integers are equal.
    """
    for position, (a, b) in enumerate(zip(pair.theirs, pair.ours, strict=True)):
        assert a.shape == b.shape, f"output {position}: {b.shape}, expected {a.shape}"
        assert (a.dtype.kind == "f") == (b.dtype.kind == "f"), f"output {position}: {b.dtype}, not {a.dtype}"
        if a.dtype.kind != "f":
            np.testing.assert_array_equal(b, a, err_msg=f"output {position}")
            continue
        finite = np.isfinite(a)
        scale = max(float(np.abs(a[finite]).max(initial=0.0)), least)
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * scale + 1e-30, err_msg=f"output {position}")


def operators(model: Model) -> list[str]:
    """Returns: the names of the main graph's operators."""
    return [node.op for node in model.main.nodes]
