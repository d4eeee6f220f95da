"""Makes convolutions with few output channels, or one input channel, fill the processor's vectors.

XNNPACK computes 16 output channels at a time, and walks the kernel position by position: with one output
channel 15 of 16 lanes idle, with one input channel each step does a single product. Both can be had exactly:

- ``outputs`` B: neighbouring outputs along the width become channels. A convolution with kernel width k and
  stride s becomes one with kernel width k + s · (B − 1), stride s · B and B times the output channels, whose
  weights are shifted copies. In [N, H, W, C] its result is the old one in memory: a RESHAPE.
- ``columns`` g: g neighbouring columns of the input become channels, again a RESHAPE, where g divides the
  stride: a kernel of k positions becomes one of about k / g positions with g times the input channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes._windows import Axis, axes, fits_same, fits_valid
from sanderling.passes.rewrite import Pass

LANES = 16
WORTHWHILE = 1.3
MAX_GROWTH_BYTES = 1 << 18
_OUTPUTS, _COLUMNS = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32)
# Predicted cost in vector multiply-adds (about 0.3 ns on the processors where this was fitted).
_PER_POSITION, _PER_PIXEL, _PER_COPY, _PER_OPERATOR = 1, 8, 0.7, 4000
_HALF_FILLED = 0.8
# Weights that 16 channels need at once, in bytes, and how much slower they are than ones that stay in L1.
_SLOWER = ((16 << 10, 1.0), (24 << 10, 1.1), (40 << 10, 1.25), (192 << 10, 1.35), (1 << 40, 2.0))


@dataclass(frozen=True, slots=True)
class _Site:
    """A convolution that might be blocked.

    Attributes:
        image: shape of the input [N, H, W, C].
        weights: float32 [O, KH, KW, C].
        rows, columns: the window's ways along height and width.
    """

    image: Shape
    weights: Array
    rows: Axis
    columns: Axis


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to block a site.

    Attributes:
        outputs, group: B and g.
        across: the new window's way along the blocks of columns.
        shift: zeros in front of the kernel, in columns, that align it with the blocks.
        pads: explicit (before, after) for height and width in columns; None when none are needed.
        padding: the new convolution's, SAME or VALID.
    """

    outputs: int
    group: int
    across: Axis
    shift: int
    pads: tuple[tuple[int, int], tuple[int, int]] | None
    padding: str


def apply(model: Model) -> tuple[Model, list[str]]:
    """Blocks the convolutions of the main graph for which it is predicted to pay."""
    return rewrite_nodes(model, _rewrite, ("CONV_2D",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    site = _site(editor, node)
    if site is None:
        return None
    outputs = site.weights.shape[0]
    bias = editor.bias(node, 2, outputs)
    best = min(_plans(site), key=lambda plan: _cost(site, plan), default=None)
    if bias is None or best is None:
        return None
    gain = _convolution(site.weights.shape, site.rows.out * site.columns.out) / _cost(site, best)
    if gain < WORTHWHILE:
        return None
    _emit(editor, node, site, best, bias)
    return (
        f"CONV_2D {editor.name(node)!r} computes {best.outputs} neighbours at once from blocks of "
        f"{best.group} columns, predicted {gain:.1f}×"
    )


def _site(editor: Editor, node: Node) -> _Site | None:
    if node.op != "CONV_2D" or not editor.is_float(*node.inputs, *node.outputs):
        return None
    image, weights = editor.shape(node.inputs[0], 4), editor.floats(node, 1)
    if image is None or weights is None or weights.ndim != 4 or weights.shape[3] != image[3]:
        return None
    ways = axes(node, image, (weights.shape[1], weights.shape[2]))
    if ways is None or ways[1].dilation != 1 or ways[1].out < 2:
        return None
    return _Site(image, weights, *ways)


def _plans(site: _Site) -> Iterator[_Plan]:
    channels, old_bytes = site.weights.shape[0], site.weights.nbytes
    for outputs in _OUTPUTS:
        for group in _COLUMNS:
            fits = outputs * channels <= LANES or outputs == 1
            if not fits or (site.columns.stride * outputs) % group or outputs * group == 1:
                continue
            if group > 1 and group * site.image[3] > 2 * LANES:
                continue
            plan = _plan(site, outputs, group)
            grown = old_bytes // site.columns.kernel * plan.across.kernel * group * outputs
            if grown <= old_bytes + MAX_GROWTH_BYTES:
                yield plan


def _plan(site: _Site, outputs: int, group: int) -> _Plan:
    old = site.columns
    lead = -(-old.before // group)  # blocks of padding before the first column
    shift = lead * group - old.before
    kernel = -(-(shift + old.kernel + old.stride * (outputs - 1)) // group)
    stride = old.stride * outputs // group
    out = -(-old.out // outputs)
    if old.size % group == 0:
        across = Axis(old.size // group, kernel, stride, 1, out, lead)
        for padding, fits in (("SAME", fits_same), ("VALID", fits_valid)):
            if fits(across) and fits(site.rows):
                return _Plan(outputs, group, across, shift, None, padding)
    read = ((out - 1) * stride + kernel) * group
    total = max(read, lead * group + old.size)
    total += -total % group
    after = total - lead * group - old.size
    blocks = total // group
    across = Axis(blocks, kernel, stride, 1, (blocks - kernel) // stride + 1, 0)
    below = max(site.rows.after, 0)
    return _Plan(outputs, group, across, shift, ((site.rows.before, below), (lead * group, after)), "VALID")


def _convolution(weights: Shape, pixels: int) -> float:
    """Returns: the predicted cost of a convolution with weights [O, KH, KW, C]."""
    channels, height, width, depth = weights
    rest = channels % LANES
    vectors = channels // LANES + (0 if rest == 0 else _HALF_FILLED if 2 * rest <= LANES else 1)
    panel = height * width * depth * LANES * 4
    slower = next(factor for size, factor in _SLOWER if panel <= size)
    return pixels * (height * width * (depth + _PER_POSITION) + _PER_PIXEL) * vectors * slower


def _cost(site: _Site, plan: _Plan) -> float:
    channels, height, _, depth = site.weights.shape
    blocked = (channels * plan.outputs, height, plan.across.kernel, depth * plan.group)
    cost = _convolution(blocked, site.rows.out * plan.across.out) + _PER_OPERATOR
    result = site.rows.out * plan.across.out * plan.outputs * channels
    if plan.outputs > 1:
        cost += _PER_COPY * result
    if plan.across.out * plan.outputs != site.columns.out:
        cost += _PER_COPY * result + _PER_OPERATOR
    copied = site.image[1] * site.image[2] * depth
    if plan.group > 1:
        cost += _PER_COPY * copied + _PER_OPERATOR
    # XNNPACK folds a PAD into the convolution that follows it, unless a RESHAPE comes between them.
    if plan.pads is not None and plan.group > 1:
        cost += 2 * _PER_COPY * copied + _PER_OPERATOR
    return cost


def _emit(editor: Editor, node: Node, site: _Site, plan: _Plan, bias: Array) -> None:
    name = editor.name(node)
    batch, height, width, depth = site.image
    source = node.inputs[0]
    if plan.pads is not None:
        over, across = plan.pads
        if plan.group > 1:  # padding whole rows is quicker than padding pixels: see widen_pads
            source = editor.reshape(source, (batch, height, width * depth), f"{name}/rows")
            wide = ((0, 0), over, (across[0] * depth, across[1] * depth))
            source = editor.pad(source, (batch, height, width * depth), wide, f"{name}/padded")
        else:
            source = editor.pad(source, site.image, ((0, 0), over, across, (0, 0)), f"{name}/padded")
        height, width = height + sum(over), width + sum(across)
    if plan.group > 1:
        blocked = (batch, height, width // plan.group, plan.group * depth)
        source = editor.reshape(source, blocked, f"{name}/blocks")
    weights = editor.constant(_blocked_weights(site, plan), f"{name}/weights")
    offsets = editor.constant(np.tile(bias, plan.outputs), f"{name}/bias")
    channels, rows = site.weights.shape[0], site.rows.out
    shape = (batch, rows, plan.across.out, plan.outputs * channels)
    flat = plan.across.out * plan.outputs
    direct = plan.outputs == 1 and flat == site.columns.out
    result = node.outputs[0] if direct else editor.value(shape, f"{name}/blocked")
    attrs = {**node.attrs, "padding": plan.padding, "stride_w": plan.across.stride}
    editor.builder.node(replace(node, inputs=(source, weights, offsets), outputs=(result,), attrs=attrs))
    _unblock(editor, node, (batch, rows, flat, channels), site.columns.out, result)


def _unblock(editor: Editor, node: Node, shape: Shape, wanted: int, result: int) -> None:
    """Brings a result back into [N, H, W, O], without the columns that only fill the last block."""
    target, name = node.outputs[0], editor.name(node)
    if result == target:
        return
    batch, rows, flat, channels = shape
    cropped = (batch, rows, wanted, channels)
    if flat == wanted:
        editor.reshape(result, shape, target)
        return
    whole = editor.reshape(result, shape, f"{name}/all")
    editor.cut(whole, (0, 0, 0, 0), cropped, target)


def _blocked_weights(site: _Site, plan: _Plan) -> Array:
    """Returns: shifted copies of the kernel, [B · O, KH, blocks, g · C]."""
    channels, height, width, depth = site.weights.shape
    columns = plan.across.kernel * plan.group
    wide = np.zeros((plan.outputs, channels, height, columns, depth), np.float32)
    for neighbour in range(plan.outputs):
        start = plan.shift + neighbour * site.columns.stride
        wide[neighbour, :, :, start : start + width] = site.weights
    return wide.reshape(plan.outputs * channels, height, plan.across.kernel, plan.group * depth)


PASS = Pass("block_narrow_convolutions", "give narrow convolutions more channels", apply, grows=True)
