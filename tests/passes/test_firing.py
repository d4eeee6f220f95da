"""Every pass does what it is for on a graph made for it, and leaves a graph that is nearly that."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sanderling import passes
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.passes.registry import find, names
from tests.graphs_made import (
    combine,
    concatenate,
    from_here,
    gelu,
    grouped,
    hard_swish,
    in_batches,
    l2_norm,
    normalization,
    number,
    pool,
    product,
    reduce,
    shuffle,
    softmax,
    split,
)
from tests.graphs_stored import quant_of, stored, stored_convolution, through_floats
from tests.models import Net
from tests.passes.loops import nested, recurrent
from tests.passes.rewrites import (
    binary,
    convolution,
    kinds,
    pad,
    random,
    resizable,
    resize,
    shape_of,
    transpose,
    transposed_convolution,
    unary,
)
from tests.passes.test_properties import same

Build = Callable[[], Model]
PICTURE = (1, 6, 7, 4)


def picture(*shape: int) -> Net:
    """A convolution, whose result is no input of the graph."""
    return convolution(Net(shape or PICTURE), (shape or PICTURE)[-1], (1, 1))


def also(net: Net, *indices: int) -> Model:
    """Returns: the model with further outputs."""
    model = net.model(signature=False)
    return model.with_main(replace(model.main, outputs=(*model.main.outputs, *indices)))


def shown(build: Callable[[Net], object], *shape: int, place: int = -2) -> Model:
    """Returns: a pattern of which a value in between is an output too."""
    net = picture(*shape)
    build(net)
    return also(net, net.nodes[place].outputs[0])


def made(build: Callable[[Net], object], *shape: int) -> Model:
    net = picture(*shape)
    build(net)
    return net.model()


def in_floats(quant: Quant | None, *, moved: bool = False) -> Model:
    """DEQUANTIZE and QUANTIZE between two int8 convolutions."""
    net = Net((1, 5, 6, 2))
    stored(net, "QUANTIZE", shape_of(net), Quant.of(0.03, 4), (), "QuantizeOptions")
    stored_convolution(net, 3)
    through_floats(net, quant or quant_of(net), moved=moved)
    stored(net, "DEQUANTIZE", shape_of(net), None, (), "DequantizeOptions")
    return net.model()


def rounded() -> Model:
    """QUANTIZE and DEQUANTIZE, which round."""
    net = picture()
    stored(net, "QUANTIZE", shape_of(net), Quant.of(0.03, 4), (), "QuantizeOptions")
    return stored(net, "DEQUANTIZE", shape_of(net), None, (), "DequantizeOptions").model()


def custom(options: bytes) -> Model:
    net = transposed_convolution(Net((1, 8, 8, 4)), 3, (3, 3), (2, 2), (16, 16), "SAME")
    _, weights, image, bias = net.nodes[0].inputs
    net.nodes[0] = Node(
        CUSTOM, (image, weights, bias), net.nodes[0].outputs, custom_code="Convolution2DTransposeBias",
        custom_options=options,
    )  # fmt: skip
    return net.model()


def with_shape(*, open_batch: bool) -> Model:
    net = picture()
    shape = len(net.tensors)
    net.tensors.append(Tensor("shape", TensorType((4,), DType.INT32)))
    net.nodes.append(Node("SHAPE", (net.last,), (shape,), {"out_type": "int32"}, "ShapeOptions"))
    net.op("RESHAPE", PICTURE, (shape,), "ReshapeOptions", new_shape=())
    return resizable(net.model()) if open_batch else net.model()


def half_weights(*, constant: bool) -> Model:
    net = Net((1, 4)).dense(3)
    weights = net.nodes[0].inputs[1]
    values = np.asarray(net.tensors[weights].data)
    half = TensorType(values.shape, DType.FLOAT16)
    data = values.astype(np.float16) if constant else None
    net.tensors.append(Tensor("half", half, data))
    net.tensors[weights] = replace(net.tensors[weights], data=None)
    source = len(net.tensors) - 1
    net.nodes.insert(0, Node("DEQUANTIZE", (source,), (weights,), {}, "DequantizeOptions"))
    model = net.model(signature=False)
    return model if constant else model.with_main(replace(model.main, inputs=(0, source)))


def duplicates(*, twice: bool) -> Model:
    net = picture()
    x = net.last
    one = unary(net, "TANH").last
    other = unary(from_here(net, x), "TANH" if twice else "LOGISTIC").last
    return binary(from_here(net, one), "ADD", other).model()


def global_context(size: int) -> Model:
    net = picture()
    local = net.last
    pooled = reduce(net, "MEAN", 1, 2)
    wide = (
        resize(pooled, 6, 7, align_corners=True).last
        if size == 1
        else unary(from_here(net, local), "TANH").last
    )
    return convolution(concatenate(net, [local, wide]), 5, (1, 1)).model()


def mirror(amount: int) -> Model:
    net = picture()
    operand = net.constant(np.array([[0, 0], [amount, amount], [0, 0], [0, 0]], np.int32), "pads")
    shape = (1, 6 + 2 * amount, 7, 4)
    return net.op("MIRROR_PAD", shape, (operand,), "MirrorPadOptions", mode="REFLECT").model()


def strided(step: int) -> Model:
    net = picture(1, 6, 6, 4)
    begin, end, steps = (
        net.constant(np.array(v, np.int32), "slice") for v in ((0, 0, 0, 0), (1, 6, 6, 4), (1, 2, 1, step))
    )
    shape = (1, 3, 6, 4 // step)
    return net.op("STRIDED_SLICE", shape, (begin, end, steps), "StridedSliceOptions").model()


def groups_of(parts: int, *, also_first: bool = False) -> Model:
    net = picture()
    results = [convolution(from_here(net, part), 2, (3, 3)).last for part in split(net, parts)]
    if also_first:
        concatenate(net, results)
        return also(net, results[0])
    return concatenate(net, results[::-1]).model()


def padded_pool(kind: str, *, positive: bool) -> Model:
    net = picture()
    if positive:
        unary(net, "RELU")
    return pool(pad(net, (0, 0), (1, 1), (1, 1), (0, 0)), kind, 3, 1, "VALID").model()


def divided(op: str) -> Model:
    net = picture()
    x = net.last
    root = unary(binary(reduce(unary(net, "SQUARE"), "MEAN", -1), "ADD", number(net, 0.1)), op).last
    return binary(from_here(net, x), "DIV", root).model()


def read_twice(net: Net, *after: tuple[str, float]) -> Model:
    x = net.last
    for kind, value in after:
        binary(net, kind, number(net, value))
    return binary(net, "ADD", x).model()


SAME_PADS = ((0, 0), (1, 1), (1, 1), (0, 0))
# Pass → (graphs on which it does something, graphs that are nearly that).
GRAPHS: dict[str, tuple[list[Build], list[Build]]] = {
    "block_narrow_convolutions": (
        [lambda: convolution(Net((1, 64, 64, 8)), 1, (3, 3)).model()],
        [lambda: convolution(Net((1, 64, 64, 8)), 16, (3, 3)).model()],
    ),
    "cancel_transposes": (
        [
            lambda: made(lambda n: transpose(unary(transpose(n, 0, 3, 1, 2), "TANH"), 0, 2, 3, 1)),
            lambda: made(lambda n: reduce(transpose(n, 0, 3, 1, 2), "MEAN", 2, 3, keep=False)),
        ],
        [
            lambda: made(lambda n: unary(transpose(n, 0, 3, 1, 2), "TANH")),
            lambda: shown(lambda n: transpose(unary(transpose(n, 0, 3, 1, 2), "TANH"), 0, 3, 1, 2), place=-3),
        ],
    ),
    "delay_upsampling": (
        [lambda: convolution(resize(picture(), 12, 14), 2, (1, 1)).model()],
        [
            lambda: convolution(resize(picture(), 12, 14), 2, (3, 3)).model(),
            lambda: shown(lambda n: convolution(resize(n, 12, 14), 2, (1, 1))),
        ],
    ),
    "drop_dead_code": ([lambda: dead_end()], [lambda: picture().model()]),
    "drop_identity_resizes": (
        [lambda: resize(picture(), 6, 7).model()],
        [lambda: resize(picture(), 6, 8).model()],
    ),
    "drop_no_ops": (
        [lambda: picture().reshape(*PICTURE).model()],
        [lambda: picture().reshape(1, 42, 4).model()],
    ),
    "fold_batch_norm": (
        [
            lambda: made(lambda n: binary(n, "MUL", number(n, 2.0))),
            lambda: made(lambda n: binary(pad(n, *SAME_PADS), "MUL", number(n, 2.0))),
            lambda: convolution(pad(before("MUL"), *SAME_PADS), 2, (3, 3)).model(),
            lambda: made_up(lambda n: binary(n, "ADD", number(n, 2.0))),
            lambda: transposed_convolution(before("DIV"), 2, (2, 2), (2, 2), (12, 14), "SAME").model(),
        ],
        [
            lambda: made(lambda n: binary(pad(n, *SAME_PADS), "ADD", number(n, 2.0))),
            lambda: shown(lambda n: binary(n, "MUL", number(n, 2.0))),
            lambda: convolution(pad(before("ADD"), *SAME_PADS), 2, (3, 3)).model(),
            lambda: transposed_convolution(before("ADD"), 2, (3, 3), (2, 2), (12, 14), "SAME").model(),
            lambda: read_twice(picture(), ("MUL", 3.0)),
        ],
    ),
    "fold_constants": ([lambda: with_shape(open_batch=False)], [lambda: with_shape(open_batch=True)]),
    "fold_weights": ([lambda: half_weights(constant=True)], [lambda: half_weights(constant=False)]),
    "fuse_activations": (
        [
            lambda: made(lambda n: unary(n, "RELU6")),
            lambda: made_up(lambda n: unary(n, "RELU")),
            lambda: unary(convolution(Net(PICTURE), 2, (1, 1), activation="RELU6"), "RELU").model(),
        ],
        [
            lambda: shown(lambda n: unary(n, "RELU")),
            lambda: unary(convolution(Net(PICTURE), 2, (1, 1), activation="RELU6"), "RELU_N1_TO_1").model(),
        ],
    ),
    "fuse_pad": (
        [
            lambda: convolution(pad(picture(), *SAME_PADS), 2, (3, 3), padding="VALID").model(),
            lambda: padded_pool("MAX_POOL_2D", positive=True),
        ],
        [
            lambda: convolution(pad(picture(), *SAME_PADS), 2, (2, 2), padding="VALID").model(),
            lambda: padded_pool("MAX_POOL_2D", positive=False),
            lambda: padded_pool("AVERAGE_POOL_2D", positive=True),
        ],
    ),
    "inline_composites": (
        [lambda: composite(), lambda: composite(twice=True)],
        [lambda: composite(passes=True)],
    ),
    "merge_duplicates": ([lambda: duplicates(twice=True)], [lambda: duplicates(twice=False)]),
    "merge_movements": (
        [
            lambda: made(lambda n: shuffle(shuffle(n, 2), 2)),
            lambda: made(lambda n: shuffle(shuffle(n, 2), 2), 1, 3, 3, 8),
        ],
        [
            lambda: made(lambda n: shuffle(n, 2)),
            lambda: shown(lambda n: shuffle(shuffle(n, 2), 2), 1, 3, 3, 8, place=-4),
        ],
    ),
    "merge_pads": (
        [lambda: made(lambda n: pad(pad(n, *SAME_PADS), *SAME_PADS))],
        [lambda: shown(lambda n: pad(pad(n, *SAME_PADS), *SAME_PADS))],
    ),
    "merge_quantization": (
        [lambda: in_floats(None), lambda: in_floats(Quant.of(0.07, 1)), lambda: in_floats(None, moved=True)],
        [rounded, lambda: in_floats(Quant.of(0.07, 1), moved=True)],
    ),
    "merge_reshapes": (
        [lambda: picture().reshape(1, 42, 4).reshape(1, 168).model()],
        [lambda: picture().reshape(1, 42, 4).model()],
    ),
    "merge_scales": (
        [lambda: scaled(("SUB", 1.0), ("MUL", 2.0), ("ADD", 3.0))],
        [
            lambda: scaled(("MUL", 2.0), ("ADD", 3.0)),
            lambda: scaled(("SUB", 1e4), ("MUL", 2.0), ("ADD", 3.0)),
        ],
    ),
    "merge_split_convolutions": (
        [lambda: made(lambda n: grouped(n, 2))],
        [lambda: groups_of(2), lambda: groups_of(2, also_first=True)],
    ),
    "permute_weights": (
        [
            lambda: flattened(0, 3, 1, 2),
            lambda: flattened(0, 2, 1, 3),
            lambda: flattened(0, 3, 2, 1, by_itself=True),
            lambda: flattened(0, 1, 3, 2, rows=6),
        ],
        [
            lambda: flattened(1, 0, 2, 3),  # rows change places
            lambda: flattened(0, 3, 1, 2, rows=4),  # and are cut in pieces
            lambda: flattened(0, 3, 1, 2, shared=True),
        ],
    ),
    "recenter_normalizations": (
        [lambda: made(lambda n: normalization(n, 1)), lambda: made(lambda n: normalization(n, 2))],
        [
            lambda: made(lambda n: normalization(n, 0)),
            lambda: shown(lambda n: normalization(n, 2)),
            # All that depends on the scale has the statistics' size already.
            lambda: made(lambda n: normalization(n, 2, (1, 2))),
        ],
    ),
    "recognize_dilated_convolutions": (
        [lambda: made(lambda n: in_batches(n, 2)), lambda: made(lambda n: in_batches(n, 2, depthwise=True))],
        [
            lambda: shown(lambda n: in_batches(n, 2)),
            lambda: made(in_batches_padded),
        ],
    ),
    "recognize_functions": (
        [
            *(lambda i=i: made(lambda n: hard_swish(n, i)) for i in range(4)),
            *(lambda i=i: made(lambda n: gelu(n, i)) for i in range(3)),
            lambda: made(lambda n: combine(n, "MAXIMUM", number(n, 0.0))),
        ],
        [
            lambda: shown(lambda n: hard_swish(n, 0)),
            lambda: made(nearly_hard_swish),
            lambda: made(lambda n: combine(n, "MAXIMUM", number(n, 0.01))),
            lambda: made(lambda n: binary(unary(n, "LOGISTIC"), "MUL", n.nodes[0].outputs[0])),
        ],
    ),
    "recognize_l2_normalizations": (
        [lambda: made(l2_norm), lambda: made(lambda n: l2_norm(n, root="SQRT"))],
        [lambda: made(lambda n: l2_norm(n, 1e-6)), lambda: shown(l2_norm)],
    ),
    "recognize_normalizations": (
        [
            lambda: made(softmax),
            lambda: made(lambda n: softmax(n, shifted=False)),
            lambda: made(lambda n: binary(reduce(n, "SUM", 1, 2), "MUL", number(n, 1 / 42))),
        ],
        [
            lambda: made(lambda n: softmax(n, axis=1)),
            lambda: shown(softmax),
            lambda: made(lambda n: binary(reduce(n, "SUM", 1, 2), "MUL", number(n, 1 / 41))),
        ],
    ),
    "replace_divisions": (
        [lambda: divided("SQRT"), lambda: made(lambda n: binary(n, "DIV", number(n, 3.0)))],
        [lambda: divided("EXP"), lambda: made(lambda n: binary(n, "DIV", number(n, 0.0)))],
    ),
    "replace_grouped_convolutions": (
        [lambda: made(lambda n: grouped(n, 4, written_out=False))],
        [lambda: made(lambda n: grouped(n, 2, written_out=False))],
    ),
    "replace_matrix_products": (
        [lambda: made(lambda n: product(n, 3)), lambda: made(lambda n: product(n, 3, adjoint=True, rank=4))],
        [lambda: several_matrices()],
    ),
    "replace_mirror_pads": ([lambda: mirror(1)], [lambda: mirror(0)]),
    "replace_transpose_conv_bias": (
        [lambda: custom(struct.pack("<iii", 1, 2, 2))],
        [lambda: custom(b"\x07" * 12), lambda: custom(b"\x01")],
    ),
    "separate_pools": (
        [lambda: pool(Net((1, 20, 20, 4)), "MAX_POOL_2D", 9).model()],
        [lambda: pool(Net((1, 20, 20, 4)), "MAX_POOL_2D", 2, 2).model()],
    ),
    "split_broadcast_channels": ([lambda: global_context(1)], [lambda: global_context(2)]),
    "split_large_depthwise": (
        [lambda: convolution(Net((1, 9, 9, 2)), 0, (7, 7), depthwise=True).model()],
        [lambda: convolution(Net((1, 9, 9, 2)), 0, (5, 5), depthwise=True).model()],
    ),
    "static_batch": ([lambda: resizable(picture().model())], [lambda: picture().model()]),
    "unroll_loops": ([recurrent, nested], [lambda: recurrent(limit=None)]),
    "unfold_transposed_convolutions": (
        [lambda: transposed_convolution(Net((1, 32, 32, 16)), 1, (2, 2), (2, 2), (64, 64), "SAME").model()],
        [lambda: transposed_convolution(Net((1, 2, 2, 2)), 1, (2, 2), (2, 2), (4, 4), "SAME").model()],
    ),
    "widen_concatenations": (
        [lambda: one_channel(1)],
        [lambda: one_channel(2)],
    ),
    "widen_pads": (
        [lambda: unary(pad(picture(), *SAME_PADS), "TANH").model()],
        [lambda: convolution(pad(picture(), *SAME_PADS), 2, (3, 3), padding="VALID").model()],
    ),
    "widen_strided_slices": ([lambda: strided(1)], [lambda: strided(2)]),
}


def up() -> Net:
    return transposed_convolution(picture(), 4, (2, 2), (2, 2), (12, 14), "SAME")


def dead_end() -> Model:
    net = picture()
    kept = net.last
    return from_here(unary(net, "TANH"), kept).model()


def scaled(*steps: tuple[str, float]) -> Model:
    net = unary(picture(), "TANH")
    for kind, value in steps:
        binary(net, kind, number(net, value))
    return net.model()


def in_batches_padded(net: Net) -> Net:
    """The pattern around a convolution that pads every phase for itself."""
    in_batches(net, 2)
    layer = net.nodes[-2]
    net.nodes[-2] = replace(layer, attrs={**layer.attrs, "padding": "SAME"})
    return net


def nearly_hard_swish(net: Net) -> Net:
    x = net.last
    unary(binary(net, "ADD", number(net, 3.0)), "RELU6")
    return binary(binary(net, "MUL", x), "MUL", number(net, 1 / 6.01))


def before(kind: str) -> Net:
    """A scale or an offset of what no convolution computes."""
    net = unary(picture(), "TANH")
    return binary(net, kind, number(net, 2.0))


def made_up(build: Callable[[Net], object]) -> Model:
    net = up()
    build(net)
    return net.model()


def flattened(*order: int, rows: int = 1, by_itself: bool = False, shared: bool = False) -> Model:
    """A transposed image in rows, and a dense layer over them."""
    net = transpose(picture(), *order)
    shape = shape_of(net)
    depth = int(np.prod(shape)) // rows
    if not by_itself:
        net.reshape(rows, depth)
    rows_in, weights = net.last, net.constant(random(net, 3, depth), "weights")
    for _ in range(2 if shared else 1):
        net.last = rows_in
        net.op("FULLY_CONNECTED", (rows, 3), (weights, -1), "FullyConnectedOptions",
               fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=False,
               asymmetric_quantize_inputs=False)  # fmt: skip
    return net.model()


def several_matrices() -> Model:
    net = Net((2, 3, 4))
    weights = net.constant(random(net, 2, 4, 5), "weights")
    attrs = {"adj_x": False, "adj_y": False, "asymmetric_quantize_inputs": False}
    return net.op("BATCH_MATMUL", (2, 3, 5), (weights,), "BatchMatMulOptions", **attrs).model()


def composite(*, twice: bool = False, passes: bool = False) -> Model:
    """A framework's operator tanh(|x|) in a graph of its own, or that in yet another one; or x alone."""
    main, kind = Net((2, 3)), TensorType((2, 3), DType.FLOAT32)
    main.op("STABLEHLO_COMPOSITE", (2, 3), (), "StableHLOCompositeOptions", **_composite(1))
    main.op("NEG", (2, 3), (), "NegOptions")
    tensors = tuple(Tensor(name, kind) for name in "abc")
    both = Node("ABS", (0,), (1,), {}, "AbsOptions"), Node("TANH", (1,), (2,))
    inner = Graph(tensors, both, (0,), (0 if passes else 2,), "inner")
    call = Node("STABLEHLO_COMPOSITE", (0,), (1,), _composite(2), "StableHLOCompositeOptions")
    outer = Graph(tensors[:2], (call,), (0,), (1,), "outer")
    graphs = (main.model().main, outer, inner) if twice else (main.model().main, inner)
    return replace(main.model(), graphs=graphs)


def _composite(number: int) -> dict[str, object]:
    return {
        "name": "a.composite",
        "decomposition_subgraph_index": number,
        "composite_attributes": (),
        "version": 1,
    }


def one_channel(channels: int) -> Model:
    net = convolution(Net(PICTURE), channels, (1, 1))
    x = net.last
    return concatenate(net, [x, unary(net, "TANH").last, unary(net, "ABS").last]).model()


def test_there_is_a_graph_for_every_pass() -> None:
    assert set(GRAPHS) == {name for name in names() if not name.startswith("lower_")}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_a_pass_does_what_it_is_for(name: str) -> None:
    for build in GRAPHS[name][0]:
        model = build()
        result, notes = find(name).apply(model)
        assert notes, "nothing was done"
        assert passes.counted(f"{name}: {note}" for note in notes) == {name: len(notes)}
        result, _ = passes.run(result, ["drop_no_ops", "drop_dead_code"])
        if name == "static_batch":
            continue
        requantized = any(note.endswith("became one QUANTIZE") for note in notes)
        if requantized:
            assert kinds(result) == ["QUANTIZE", "CONV_2D", "QUANTIZE", "DEQUANTIZE"]
            continue
        same(model, result, exact=find(name).exact)
        assert passes.run(model, [name], without=[name]) == (model, [])


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_a_pass_leaves_what_is_nearly_that(name: str) -> None:
    for build in GRAPHS[name][1]:
        model = build()
        result, notes = find(name).apply(model)
        assert notes == []
        assert kinds(result) == kinds(model)
