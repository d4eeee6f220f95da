"""Values as Kotlin and Swift write them, whatever a model calls its inputs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.deploy.literals import Choice, Ints, Reals, Record, kotlin, kotlin_text, swift, swift_text
from sanderling.deploy.text import xml

NASTY = 'a"b\\c$d ${e} \\(f) \n\t\0 é 日 😀 */ // \u2028'


@given(st.text())
def test_a_kotlin_string_holds_any_text(text: str) -> None:
    literal = kotlin_text(text)
    inner = literal[1:-1]
    assert re.fullmatch(r"(?:[ -!#%-\[\]-~]|\\u[0-9a-f]{4})*", inner)  # no quote, dollar or lone backslash
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), inner)
    assert units.encode("utf-16-le", "surrogatepass") == text.encode("utf-16-le", "surrogatepass")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_swift_string_holds_any_text(text: str) -> None:
    inner = swift_text(text)[1:-1]
    assert re.fullmatch(r"(?:[ -!#%-\[\]-~]|\\u\{[0-9a-f]{1,6}\})*", inner)
    assert re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), inner) == text


def test_a_text_in_xml_ends_nothing() -> None:
    from xml.etree import ElementTree

    read = ElementTree.fromstring(f'<a b="{xml(NASTY)}">{xml(NASTY)}</a>')
    assert read.text == NASTY.replace("\0", "")


def test_one_record_in_two_languages() -> None:
    record = Record("Port", {
        "name": NASTY[:3], "kind": Choice("Kind", "letterbox"), "dims": Ints((1, -1)),
        "allowed": Reals((0.5,)), "names": {3: "x"}, "none": None, "yes": True, "list": [],
    })  # fmt: skip
    one = 'dims = intArrayOf(1, -1), allowed = doubleArrayOf(0.5), names = mapOf(3 to "x")'
    assert " ".join(kotlin(record).split()) == (
        f'Port( name = "a\\u0022b", kind = Kind.LETTERBOX, {one}, none = null, yes = true, list = listOf() )'
    )
    assert " ".join(swift(record).split()) == (
        'Port( name: "a\\u{22}b", kind: Kind.letterbox, dims: [1, -1], allowed: [0.5], names: [3: "x"], '
        "none: nil, yes: true, list: [] )"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_has_no_literal_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="no literal"):
        kotlin(value)
