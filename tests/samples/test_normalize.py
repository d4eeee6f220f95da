"""Where the normalisation of pixels comes from."""

from __future__ import annotations

import contextlib

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import FormatError, UsageError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Quant
from sanderling.samples.evidence import normalization_from_graph, plausible
from sanderling.samples.inputs import model_inputs, picture_of
from sanderling.samples.load import load_samples
from sanderling.samples.normalize import HYPOTHESES, RAW, SIGNED, UNIT, choose, normalization_given
from tests.samples.models import first_operators, model, picture_model, tensor

PICTURES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)


def metadata(mean: list[float], std: list[float]) -> bytes:
    """A metadata flatbuffer with one image input; field numbers as in metadata_schema.fbs."""
    b = flatbuffers.Builder(256)

    def floats(values: list[float]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependFloat32(value)
        return b.EndVector()

    def vector(tables: list[int]) -> int:
        b.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            b.PrependUOffsetTRelative(table)
        return b.EndVector()

    def table(size: int, fields: dict[int, int], kinds: dict[int, int] | None = None) -> int:
        b.StartObject(size)
        for slot, offset in fields.items():
            b.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, kind in (kinds or {}).items():
            b.PrependUint8Slot(slot, kind, 0)
        return b.EndObject()

    options = table(2, {0: floats(mean), 1: floats(std)})
    unit = table(2, {1: options}, {0: 1})
    image = table(2, {})
    content = table(3, {1: image}, {0: 2})
    name = b.CreateString("picture")
    tensor_metadata = table(7, {0: name, 3: content, 4: vector([unit])})
    subgraph = table(9, {2: vector([tensor_metadata])})
    b.Finish(table(8, {3: vector([subgraph])}), b"M001")
    return bytes(b.Output())


def fed(spec: Model, **options: object) -> tuple[float, float, str]:
    samples = load_samples(PICTURES, spec, **options)  # type: ignore[arg-type]
    values = samples[0][spec.input_names()[0]]
    return float(values.min()), float(values.max()), " | ".join(samples.notes)


def test_metadata_wins_over_guesses_and_the_user_over_metadata() -> None:
    spec = model(tensor("image", (1, 32, 32, 3)), metadata=metadata([127.5], [127.5]))
    low, high, notes = fed(spec)
    assert (low, high) == pytest.approx((-1, 1), abs=0.02)
    assert "the model's metadata: mean 127.5, std 127.5" in notes
    assert "GUESS" not in notes
    assert fed(spec, std=255.0)[:2] == pytest.approx((0, 1), abs=0.02)


@given(st.integers(0, 200), st.integers(0, 255))
def test_damaged_metadata_is_said_or_read_never_worse(position: int, value: int) -> None:
    blob = bytearray(metadata([127.5, 127.5, 127.5], [1.0, 2.0, 3.0]))
    blob[position % len(blob)] = value
    spec = model(tensor("image", (1, 32, 32, 3)), metadata=bytes(blob))
    assert load_samples(PICTURES[:1], spec)[0]["image"].shape == (1, 32, 32, 3)


@given(st.binary(max_size=64))
def test_metadata_reader_is_bounded(data: bytes) -> None:
    from sanderling.tflite.metadata import read_metadata

    with contextlib.suppress(FormatError):  # anything else would be a bug
        read_metadata(model(tensor("x", (1, 2)), metadata=data))


def test_recorded_range_of_a_float_input() -> None:
    quant = Quant(
        np.empty(0, np.float32),
        np.empty(0, np.int64),
        min=np.array([-1], np.float32),
        max=np.array([0.99], np.float32),
    )
    low, high, notes = fed(picture_model(32, 32, quant=quant))
    assert (low, high) == pytest.approx((-1, 1), abs=0.02)
    assert "range recorded with the input" in notes


@pytest.mark.parametrize(
    "nodes, expected",
    [
        ([("MUL", [1 / 255])], RAW),
        ([("MUL", [1 / 127.5]), ("SUB", [1.0])], RAW),
        ([("SUB", [123.7, 116.8, 103.9])], RAW),
        ([("DIV", [255.0]), ("SUB", [0.485, 0.456, 0.406]), ("DIV", [0.229, 0.224, 0.225])], RAW),
        ([("SUB", [0.485, 0.456, 0.406]), ("DIV", [0.229, 0.224, 0.225])], UNIT),
        ([("MUL", [2.0]), ("SUB", [1.0])], UNIT),
        ([("RESHAPE", None)], None),
        ([], None),
    ],
)
def test_first_operators_tell(nodes: list[tuple[str, list[float] | None]], expected: object) -> None:
    spec = first_operators(nodes)
    picture = picture_of(model_inputs(spec)[0])
    assert picture is not None
    found = normalization_from_graph(spec, 0, picture)
    assert (found and found.name) == (expected and expected.name)  # type: ignore[attr-defined]


def convolution(gain: float, half: bool = False) -> Model:
    kernel = (np.random.default_rng(1).normal(size=(16, 3, 3, 3)) * gain).astype(np.float32)
    tensors = [
        tensor("image", (1, 32, 32, 3)),
        tensor("w", kernel.shape, data=kernel),
        tensor("y", (1, 30, 30, 16)),
    ]
    nodes = [Node("CONV_2D", (0, 1), (2,))]
    if half:
        tensors[1] = tensor("w", kernel.shape)
        tensors.append(tensor("w16", kernel.shape, data=kernel.astype(np.float16)))
        nodes.insert(0, Node("DEQUANTIZE", (3,), (1,)))
    return Model((Graph(tuple(tensors), tuple(nodes), (0,), (2,)),))


@pytest.mark.parametrize("half", [False, True])
def test_first_convolution_tells_raw_pixels_from_scaled_ones(half: bool) -> None:
    for gain, expected in ((0.5, HYPOTHESES[:2]), (0.002, HYPOTHESES[2:])):
        spec = convolution(gain, half)
        only = model_inputs(spec)[0]
        picture = picture_of(only)
        assert picture is not None
        assert plausible(spec, 0, only, picture, list(PICTURES)) == expected
    low, high, notes = fed(convolution(0.002, half))
    assert (low, high) == (0, 255)
    assert "GUESS" in notes


def test_choose_prefers_sure_and_diverse_answers() -> None:
    def answers(sure: float, classes: int) -> list[list[np.ndarray]]:
        rows = np.full((16, 10), (1 - sure) / 9)
        rows[np.arange(16), np.arange(16) % classes] = sure
        return [[row[None]] for row in rows]

    best, why = choose(
        HYPOTHESES, {"0..1": answers(0.99, 1), "-1..1": answers(0.3, 10), "0..255": answers(0.8, 10)}
    )
    assert best is RAW
    assert "guessed from the model's answers" in why
    best, _ = choose(HYPOTHESES, {h.name: answers(0.8, 10) for h in HYPOTHESES})
    assert best is UNIT
    other = {h.name: [[np.zeros((1, 4, 4))]] * 8 for h in HYPOTHESES}
    assert choose(HYPOTHESES, other) == (UNIT, "no normalisation was stated: pixels 0..1 assumed")
    assert choose((SIGNED,), {})[0] is SIGNED


def test_guess_runs_the_model_on_few_samples() -> None:
    calls: list[float] = []

    def run(feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        calls.append(float(feed["image"].max()))
        # Tells its inputs apart only when they come as -1..1.
        answer = np.full(4, 0.01)
        answer[int(feed["image"].sum() * 1e4) % 4 if feed["image"].min() < 0 else 0] = 0.97
        return [answer[None]]

    samples = load_samples(PICTURES, picture_model(32, 32), run=run)
    assert len(calls) == 48
    assert float(samples[0]["image"].min()) < -0.9
    assert any("GUESS" in note and "-1..1 guessed" in note for note in samples.notes)


def test_given_numbers_are_checked() -> None:
    with pytest.raises(UsageError, match="must be finite"):
        normalization_given(0.0, 0.0, None)
    with pytest.raises(UsageError, match="mean has 2 values and std 3"):
        normalization_given((1, 2), (1, 2, 3), None)
    with pytest.raises(UsageError, match="input 'image' has 3 channels"):
        load_samples(PICTURES, picture_model(32, 32), mean=(1.0, 2.0))
    assert normalization_given(None, None, None) is None
