"""What is in a model: operators with their cost, memory and engines; inputs, outputs, metadata, labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sanderling.analysis.cost import Row, rows
from sanderling.analysis.memory import memory
from sanderling.analysis.summary import Summary, summarize
from sanderling.engines import registry
from sanderling.errors import FormatError
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Verdict
from sanderling.tflite.metadata import ModelMetadata, TensorMetadata, label_names, read_metadata
from sanderling.tflite.releases import needs


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One input or output.

    Attributes:
        name: the name by which it is fed or read.
        dtype, shape: as stored.
        signature: the shape with −1 for sizes that may change.
        scale, zero_point: of a quantized one with one scale; None otherwise.
        channels: number of scales of one that is quantized per channel, 0 otherwise.
        described: what the author wrote about it in the metadata, None when nothing.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scale: float | None
    zero_point: int | None
    channels: int
    described: TensorMetadata | None


@dataclass(frozen=True, slots=True)
class KindTotal:
    """All operators of one kind in the main graph.

    Attributes:
        macs: None when the cost of one of them is not known.
    """

    kind: str
    count: int
    macs: int | None
    parameters: int
    weight_bytes: int


@dataclass(frozen=True, slots=True)
class EngineView:
    """What one engine makes of the model.

    Attributes:
        available: whether it can be used on this machine; ``reason`` says why not.
        runs: number of operators of the main graph that it has kernels for.
        refusals: (operator kind, reason, how many).
        verdicts: per operator of the main graph, "" or the reason why not.
    """

    name: str
    available: bool
    reason: str
    runs: int
    refusals: tuple[tuple[str, str, int], ...]
    verdicts: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """True when it has a kernel for every operator."""
        return not self.refusals


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that can be said of a model without running it.

    Attributes:
        rows: one per operator of the main graph, in execution order.
        kinds: totals per kind of operator, most multiply-accumulates first.
        subgraphs: (name, operators, tensors) of every graph.
        signatures: (key, input names, output names).
        blobs: (name, bytes) of the metadata, uninterpreted.
        labels: names of the classes, () when the model names none.
        peak_node: index of the operator that needs the most memory, −1 without operators.
        variable_bytes: memory that is kept between calls.
        oldest_runtime: the first releases that run it, and the operator that asks for them: ``TensorFlow
            Lite 2.0 or LiteRT 1.0 (FULLY_CONNECTED version 5)``; "" where nothing is known.
        notes: what went wrong in looking, one sentence each.
    """

    name: str
    path: Path | None
    size_bytes: int | None
    sha256: str
    description: str
    summary: Summary
    inputs: tuple[PortInfo, ...]
    outputs: tuple[PortInfo, ...]
    rows: tuple[Row, ...]
    kinds: tuple[KindTotal, ...]
    engines: tuple[EngineView, ...]
    subgraphs: tuple[tuple[str, int, int], ...]
    signatures: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    metadata: ModelMetadata | None
    blobs: tuple[tuple[str, int], ...]
    appended_bytes: int
    labels: tuple[str, ...]
    peak_node: int
    variable_bytes: int
    oldest_runtime: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        value = asdict(self)
        value["path"] = None if self.path is None else str(self.path)
        value["summary"] |= {"precision": self.summary.precision, "is_float": self.summary.is_float}
        value["summary"]["operators"] = dict(self.summary.operators)
        value["summary"]["dtypes"] = dict(self.summary.dtypes)
        value["rows"] = [
            asdict(row)
            | {"engines": {engine.name: engine.verdicts[row.index] or "ok" for engine in self.engines}}
            for row in self.rows
        ]
        value["engines"] = [
            {
                "name": engine.name,
                "available": engine.available,
                "reason": engine.reason,
                "runs": engine.runs,
                "whole": engine.whole,
                "refusals": [{"kind": k, "reason": r, "count": c} for k, r, c in engine.refusals],
            }
            for engine in self.engines
        ]
        value["subgraphs"] = [{"name": n, "operators": o, "tensors": t} for n, o, t in self.subgraphs]
        value["signatures"] = [
            {"key": key, "inputs": list(i), "outputs": list(o)} for key, i, o in self.signatures
        ]
        value["blobs"] = dict(self.blobs)
        return value


def analyze(model: Model) -> Analysis:
    """Looks at a verified model. Nothing is run, so it works for models that no engine takes."""
    graph = model.main
    table = tuple(rows(graph, model))
    notes: list[str] = []
    metadata, labels = _described(model, notes)
    used = memory(graph)
    return Analysis(
        name=model.name,
        path=model.source,
        size_bytes=model.source.stat().st_size if model.source else None,
        sha256=_sha256(model.source) if model.source else "",
        description=model.description,
        summary=summarize(model),
        inputs=_ports(graph, graph.inputs, model.input_names(), metadata.inputs if metadata else ()),
        outputs=_ports(graph, graph.outputs, model.output_names(), metadata.outputs if metadata else ()),
        rows=table,
        kinds=_kinds(table),
        engines=tuple(_engine(name, model) for name in registry.names()),
        subgraphs=tuple((g.name, len(g.nodes), len(g.tensors)) for g in model.graphs),
        signatures=tuple(
            (s.key, tuple(name for name, _ in s.inputs), tuple(name for name, _ in s.outputs))
            for s in model.signatures
        ),
        metadata=metadata,
        blobs=tuple((name, int(data.size)) for name, data in model.metadata),
        appended_bytes=int(model.appended.size),
        labels=labels,
        peak_node=used.peak_node,
        variable_bytes=used.variable_bytes,
        oldest_runtime=needs(model),
        notes=tuple(notes),
    )


def _described(model: Model, notes: list[str]) -> tuple[ModelMetadata | None, tuple[str, ...]]:
    """Reads the author's words; damaged ones are told and left out, for the rest of the model is sound."""
    try:
        metadata = read_metadata(model)
    except FormatError as error:
        notes.append(f"the metadata is damaged: {error.what}")
        return None, ()
    try:
        return metadata, label_names(model) or ()
    except FormatError as error:
        notes.append(f"the labels cannot be read: {error.what}")
        return metadata, ()


def _ports(
    graph: Graph, indices: Sequence[int], names: Sequence[str], described: Sequence[TensorMetadata]
) -> tuple[PortInfo, ...]:
    return tuple(
        _port(graph.tensors[index], name, described[position] if position < len(described) else None)
        for position, (index, name) in enumerate(zip(indices, names, strict=True))
    )


def _port(tensor: Tensor, name: str, described: TensorMetadata | None) -> PortInfo:
    quant = tensor.quant if tensor.type.is_quantized else None
    single = quant is not None and not quant.per_channel
    return PortInfo(
        name=name,
        dtype=tensor.dtype.value,
        shape=tensor.shape,
        signature=tensor.shape_signature
        if len(tensor.shape_signature) == len(tensor.shape)
        else tensor.shape,
        scale=float(quant.scale[0]) if quant is not None and single else None,
        zero_point=int(quant.zero_point[0]) if quant is not None and single else None,
        channels=0 if quant is None or single else int(quant.scale.size),
        described=described,
    )


def _kinds(table: Sequence[Row]) -> tuple[KindTotal, ...]:
    grouped: dict[str, list[Row]] = {}
    for row in table:
        grouped.setdefault(row.kind, []).append(row)
    totals = [
        KindTotal(
            kind,
            len(group),
            None if any(row.macs is None for row in group) else sum(row.macs or 0 for row in group),
            sum(row.parameters for row in group),
            sum(row.weight_bytes for row in group),
        )
        for kind, group in grouped.items()
    ]
    return tuple(sorted(totals, key=lambda total: (-(total.macs or 0), -total.count, total.kind)))


@cache
def _available(name: str) -> Verdict:
    """Asked once per process: an engine may have to start its driver to know."""
    return registry.find(name).available()


def _engine(name: str, model: Model) -> EngineView:
    engine = registry.find(name)
    ready = _available(name)
    verdicts: list[Verdict] = engine.supports(model)
    refused: dict[tuple[str, str], int] = {}
    for node, verdict in zip(model.main.nodes, verdicts, strict=True):
        if not verdict:
            key = (node.kind, verdict.reason)
            refused[key] = refused.get(key, 0) + 1
    return EngineView(
        name,
        ready.ok,
        ready.reason,
        sum(verdict.ok for verdict in verdicts),
        tuple((kind, reason, count) for (kind, reason), count in refused.items()),
        tuple("" if verdict else verdict.reason for verdict in verdicts),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
