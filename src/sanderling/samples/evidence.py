"""What a model's first operators tell about the pixels it wants. Evidence, never certainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Array, Quant
from sanderling.samples.inputs import Input, Picture
from sanderling.samples.normalize import HYPOTHESES, Normalization, normalization_from_range

_MOVES = {"RESHAPE", "CAST", "DEQUANTIZE", "PAD", "PADV2", "MIRROR_PAD", "EXPAND_DIMS", "SQUEEZE"}
_ARITHMETIC = {"ADD", "SUB", "MUL", "DIV"}
Floats = npt.NDArray[np.float64]


def first_operators(model: Model, position: int) -> tuple[list[Node], Node | None]:
    """Walks from an input along operators that have no other computed input.

    Returns: the arithmetic and moving operators met, and the first node that is neither (or None).
    """
    graph = model.main
    tensor = graph.inputs[position]
    path: list[Node] = []
    for _ in range(16):
        users = [n for n in graph.nodes if tensor in n.inputs]
        if len(users) != 1:
            return path, users[0] if users else None
        node = users[0]
        if node.op not in _MOVES | _ARITHMETIC | {"QUANTIZE"} or not node.outputs:
            return path, node
        path.append(node)
        tensor = node.outputs[0]
    return path, None


def normalization_from_graph(model: Model, position: int, picture: Picture) -> Normalization | None:
    """Reads the range of pixels off the first operators: QUANTIZE, or arithmetic with constants.

    Returns: the one hypothesis that these operators bring near zero with a spread of order one, or None.
    """
    path, _ = first_operators(model, position)
    gain: Floats = np.ones(1)
    shift: Floats = np.zeros(1)
    arithmetic: list[str] = []
    for node in path:
        if node.op == "QUANTIZE" and not arithmetic:
            found = _from_quantize(model.main.tensors[node.outputs[0]].quant)
            if found is not None:
                return found
        elif node.op in _ARITHMETIC:
            step = _affine(model.main, node, picture)
            if step is None:
                break
            gain, shift = gain * step[0], shift * step[0] + step[1]
            arithmetic.append(node.op)
    if not arithmetic:
        return None
    return _nearest(gain, shift, " then ".join(arithmetic))


def _from_quantize(quant: Quant | None) -> Normalization | None:
    if quant is None or quant.scale.size != 1:
        return None
    scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
    for low, high in ((-128, 127), (0, 255)):
        found = normalization_from_range(
            (low - zero) * scale, (high - zero) * scale, "the model quantizes that range first"
        )
        if found is not None:
            return found
    return None


def _affine(graph: Graph, node: Node, picture: Picture) -> tuple[Floats, Floats] | None:
    """Returns: (gain, shift) of an operator with one constant operand, per channel or for all; or None."""
    data = [graph.tensors[i].data if i >= 0 else None for i in node.inputs]
    if len(data) != 2 or (data[0] is None) == (data[1] is None):
        return None
    constant_first = data[0] is not None
    constant = data[0] if data[0] is not None else data[1]
    if constant is None or constant.dtype.kind not in "fiu" or constant.size not in (1, picture.channels):
        return None
    value: Floats = constant.astype(np.float64).reshape(-1)
    one, zero = np.ones(1), np.zeros(1)
    if node.op == "ADD":
        return one, value
    if node.op == "SUB":
        return (-one, value) if constant_first else (one, -value)
    if node.op == "MUL":
        return value, zero
    return None if constant_first or not value.all() else (1 / value, zero)


def _nearest(gain: Floats, shift: Floats, words: str) -> Normalization | None:
    likely = []
    for hypothesis in HYPOTHESES:
        ends = (
            -np.array(hypothesis.mean) / hypothesis.std,
            (255 - np.array(hypothesis.mean)) / hypothesis.std,
        )
        low, high = gain * ends[0] + shift, gain * ends[1] + shift
        spread = float(np.abs(high - low).mean())
        center = float(np.abs(low + high).mean()) / 2
        if spread > 0 and center <= 0.75 * spread:
            likely.append((abs(np.log(spread / 2)), hypothesis, spread))
    if not likely:
        return None
    _distance, best, spread = min(likely, key=lambda item: item[0])
    # Several hypotheses may be centred; then only a spread of order one tells them apart.
    if len(likely) > 1 and not 0.4 <= spread <= 10:
        return None
    why = f"pixels fed as {best.name}: the model's first operators ({words}) expect that range"
    return Normalization(best.mean, best.std, best.name, False, why)


def plausible(
    model: Model, position: int, spec: Input, picture: Picture, pixels: Sequence[Array]
) -> tuple[Normalization, ...]:
    """Drops hypotheses under which the first convolution would answer far too strongly or weakly.

    Trained networks respond with values of order one. 0..255 is about 255 times 0..1, which shows; 0..1
    against -1..1 does not. The responses are computed here, on random patches of the samples.

    Args:
        pixels: some samples as [H,W,C] in 0..255, at the input's own size.

    Returns: the hypotheses that remain, in their usual order; all of them without evidence.
    """
    kernel = _first_kernel(model, position)
    if kernel is None or not pixels or kernel.shape[-1] != pixels[0].shape[-1]:
        return HYPOTHESES
    patches = _patches(pixels, kernel.shape[1], kernel.shape[2])
    if patches is None:
        return HYPOTHESES
    flat = kernel.reshape(kernel.shape[0], -1)
    spreads = (patches @ flat.T).std(axis=0)  # for raw pixels; the bias does not matter
    # Dead channels (their weights shrank to nothing in training) say nothing of the range.
    spread = float(np.median(spreads[spreads >= 0.05 * spreads.max()]))
    if not spread > 0:
        return HYPOTHESES
    raw, unit = abs(np.log10(spread)), abs(np.log10(spread / 255))
    if abs(raw - unit) < 0.5:
        return HYPOTHESES
    return HYPOTHESES[2:] if raw < unit else HYPOTHESES[:2]


def _first_kernel(model: Model, position: int) -> Floats | None:
    """Returns: the first convolution's weights [out, height, width, in], or None."""
    path, node = first_operators(model, position)
    if node is None or node.op != "CONV_2D" or any(n.op in _ARITHMETIC for n in path):
        return None
    graph = model.main
    tensor = graph.tensors[node.inputs[1]]
    if tensor.data is None:  # half-precision weights stand behind a DEQUANTIZE
        producer = next((n for n in graph.nodes if node.inputs[1] in n.outputs), None)
        if producer is None or producer.op != "DEQUANTIZE":
            return None
        tensor = graph.tensors[producer.inputs[0]]
    data = tensor.data
    if data is None or data.ndim != 4 or data.dtype.kind not in "fiu" or data.size > 1 << 22:
        return None
    weights: Floats = data.astype(np.float64)
    quant = tensor.quant
    if data.dtype.kind != "f":
        if quant is None or quant.scale.size not in (1, data.shape[0]):
            return None
        weights = (weights - quant.zero_point.reshape(-1, 1, 1, 1)) * quant.scale.reshape(-1, 1, 1, 1)
    return weights if np.isfinite(weights).all() else None


def _patches(pixels: Sequence[Array], height: int, width: int) -> Floats | None:
    """Returns: [patches, height × width × C], the same choice every time."""
    rng = np.random.default_rng(0)
    rows = []
    for picture in pixels:
        free = (picture.shape[0] - height, picture.shape[1] - width)
        if min(free) < 0:
            return None
        for _ in range(64):
            y, x = (int(rng.integers(0, f + 1)) for f in free)
            rows.append(np.asarray(picture[y : y + height, x : x + width], np.float64).reshape(-1))
    return np.stack(rows)
