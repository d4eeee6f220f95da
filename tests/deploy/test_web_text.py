"""Bytes as text, weights as rules: what goes in comes out, in Python and in the browser."""

from __future__ import annotations

import html.parser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.deploy.web.blob import Blob, packed
from sanderling.deploy.web.constants import derived, kept
from sanderling.deploy.web.programs import HALF, SOFTWARE, WHOLE, prepare, unit_weights
from sanderling.deploy.web.text import AVOIDED, from_text, to_text
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.graph.graph import Model
from sanderling.runtime.loading import read_model
from tests.deploy.web_scripts import Scripts
from tests.deploy.web_scripts import js as js
from tests.webgpu.making import residual


@given(st.binary(max_size=300))
def test_text_comes_back(data: bytes) -> None:
    text = to_text(data)
    assert from_text(text, len(data)) == data
    assert not set(text) & {chr(code) for code in AVOIDED}


@given(st.integers(0, 127), st.integers(1, 60))
def test_runs_of_what_is_avoided(septet: int, count: int) -> None:
    """The same seven bits over and over: pairs of avoided ones, and one alone at the end."""
    bits = np.unpackbits(np.array([septet], np.uint8))[1:]
    data = np.packbits(np.tile(bits, count)).tobytes()
    assert from_text(to_text(data), len(data)) == data


@given(st.binary(min_size=64, max_size=2000))
def test_eight_bytes_of_text_hold_seven(data: bytes) -> None:
    assert len(to_text(data).encode()) <= -(-len(data) * 8 // 7) + 2


def test_it_survives_utf_8_and_html() -> None:
    """All bytes, in all places of a group of seven, as a page holds them."""
    data = bytes(range(256)) * 7
    text = to_text(data).encode("utf-8").decode("utf-8")

    class Reader(html.parser.HTMLParser):
        found = ""

        def handle_data(self, data: str) -> None:
            self.found += data

    reader = Reader()
    reader.feed(f"<script type='text/plain'>{text}</script>")
    assert from_text(reader.found, len(data)) == data


def unpacked(js: Scripts, text: str) -> bytes:
    """Returns: what the browser makes of a page's text, which it parses as HTML."""
    found = js.run(
        """const page = `<script type="text/plain" id="data">${text}</` + "script>";
        const parsed = new DOMParser().parseFromString(page, "text/html");
        document.getElementById("data")?.remove();
        document.body.append(document.importNode(parsed.getElementById("data"), true));
        return told(await heldBytes("data"));""",
        text=text,
    )
    return bytes(found)


@settings(max_examples=30, deadline=None)
@given(data=st.one_of(st.binary(max_size=500), st.binary(min_size=1, max_size=8).map(lambda b: b * 400)))
def test_the_browser_reads_it_back(js: Scripts, data: bytes) -> None:
    assert unpacked(js, packed(data)) == data


def test_16_bit_floats(js: Scripts) -> None:
    """Every one of them, and 32-bit ones between and beyond them, as NumPy rounds them."""
    halves = np.arange(65536, dtype=np.uint16)
    wide = js.run("return told(Float32Array.from(arrayOf(halves), lib.widened));", halves=halves)
    np.testing.assert_array_equal(wide, halves.view(np.float16).astype(np.float32))
    values = wide[np.isfinite(wide)]
    near = np.concatenate([np.nextafter(values, np.float32(s * np.inf), dtype=np.float32) for s in (-1, 1)])
    middle = (values[:-1] + values[1:]) / 2
    odd = np.array(
        [65504, 65519.99, 65520, 1e9, -1e9, np.inf, 2**-25, 2**-25 * 1.01, 1e-30, -0.0], np.float32
    )
    numbers = np.concatenate([values, near, middle, odd])
    found = js.run("return told(Uint16Array.from(arrayOf(numbers), lib.narrowed));", numbers=numbers)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, numbers.astype(np.float16).view(np.uint16))


PADDING = 8192  # bytes of zeros that make channels multiples of four


def weights(js: Scripts, program: Program, rules: Any, blob: Blob, whole: np.ndarray | None) -> np.ndarray:
    return js.run(
        "const held = new lib.Held({}, arrayOf(raw)), from = whole && arrayOf(whole).buffer;"
        "const program = { weights_bytes: bytes };"
        "return told(new Uint8Array(lib.weightsOf(held, { program, constants: rules }, from)));",
        raw=np.frombuffer(b"".join(blob._parts), np.uint8), rules=rules, whole=whole,
        bytes=int(program.weights.size),
    )  # fmt: skip


def check_weights(js: Scripts, model: Model) -> dict[str, int]:
    """The browser puts together what each program has, byte for byte. Returns: bytes kept by each rule."""
    prepared = prepare(model)
    whole, blob = prepared.compiled(WHOLE), Blob()
    rules = kept(whole, prepare(unit_weights(model)).compiled(WHOLE), blob)
    np.testing.assert_array_equal(weights(js, whole, rules, blob, None), whole.weights)
    for target in (HALF, SOFTWARE):
        other = prepared.compiled(target)
        made = weights(js, other, derived(other, whole, blob), blob, whole.weights)
        np.testing.assert_array_equal(made, other.weights)
    sizes: dict[str, int] = {}
    for rule in rules:
        sizes[rule["as"]] = sizes.get(rule["as"], 0) + rule["from"][1]
    return sizes


def test_weights_of_a_small_network(js: Scripts) -> None:
    assert set(check_weights(js, residual())) == {"bytes"}


@pytest.mark.parametrize(
    "name, rule",
    [
        ("mlperf_tiny_kws_int8", "scaled"), ("face_detection_short_range", "half"),
        ("mobilenet_v2_224_int8", "scaled"),
    ],
)  # fmt: skip
def test_weights_of_real_models(js: Scripts, zoo_dir: Any, name: str, rule: str) -> None:
    """They are kept as small as the file has them."""
    model = read_model(zoo_dir / "tflite" / f"{name}.tflite")
    sizes = check_weights(js, model)
    assert sizes[rule] > 0
    stored = sum(t.stored_nbytes for t in model.main.tensors if t.is_constant)
    assert sum(sizes.values()) <= 1.1 * stored + PADDING
