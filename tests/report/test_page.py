"""The page: what it says, that nothing in it can attack its reader, and that it needs no network."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sanderling.files import write_text
from sanderling.report.data import ReportData
from sanderling.report.page import render
from sanderling.report.write import write_report
from tests.report import made_up

GOLDEN = Path(__file__).parent / "golden"
VOID = {"meta", "img", "br", "link"}
ATTACK = re.compile(r"alert\('x'\)|7\*7")


class Page(HTMLParser):
    """What a browser would make of the page: elements, text, and whether tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.lines: list[str] = []
        self.source: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside in ("script", "style"):
            self.source[inside] = data
        elif text := " ".join(data.split()):
            self.lines.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(scope="module", params=made_up.CASES)
def case(request: pytest.FixtureRequest) -> tuple[ReportData, str]:
    data = made_up.CASES[request.param]()
    return data, render(data)


def test_it_is_well_formed_and_small(case: tuple[ReportData, str]) -> None:
    page = Page(case[1])
    assert not page.open
    assert len(case[1].encode()) < 1_000_000
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for tag, a in page.elements if tag == "a"]
    assert all(target and target.startswith("#") and target[1:] in ids for target in targets)
    assert not re.search(r"\b(nan|inf|None(?! of)|undefined)\b", page.text)


def test_nothing_is_asked_of_the_network(case: tuple[ReportData, str]) -> None:
    page = Page(case[1])
    for tag, attrs in page.elements:
        assert tag not in {
            "link",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "audio",
            "video",
            "image",
            "use",
        }
        for name in ("src", "href", "srcset", "xlink:href", "action", "data", "poster", "background"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:image/png;", "data:image/jpeg;")), (
                tag,
                value,
            )
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
    for source in (page.source["style"], page.source["script"]):
        assert not re.search(
            r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(|innerHTML|eval\(", source
        )


def test_the_policy_allows_our_style_and_script_only(case: tuple[ReportData, str]) -> None:
    page = Page(case[1])
    policy = next(
        a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.source[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert len([t for t, _ in page.elements if t == tag]) == 1


def test_hostile_names_stay_text() -> None:
    html = render(made_up.hostile())
    page = Page(html)
    assert ATTACK.search(page.text)
    assert "<script>alert" in page.text  # as text, after unescaping
    assert not ATTACK.search(page.source["script"])
    assert "49" not in page.text.split("kcatta")[1][:20]  # {{7*7}} is no template
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert html.count("<script>") == 1
    assert not [tag for tag, attrs in page.elements if tag == "svg" and "onload" in attrs]


@pytest.mark.parametrize("name", ["typical", "no_winner", "float_wins"])
def test_its_text_is_the_golden_one(name: str) -> None:
    """Set UPDATE_GOLDEN=1 to write the text anew after a change that is meant; then read the difference."""
    text = Page(render(made_up.CASES[name]())).text + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        write_text(path, text)
    assert text == path.read_text(encoding="utf-8")


def test_a_verdict_that_is_given_is_shown() -> None:
    html = render(replace(made_up.typical(), verdict="Twice as fast, said the sea."))
    assert "<h1>Twice as fast, said the sea.</h1>" in html


@pytest.mark.parametrize(
    "make,said",
    [
        (made_up.no_winner, "None of the 18 candidates fits the budget"),
        (made_up.all_failed, "None of the 4 candidates could be measured"),
        (made_up.nothing, "Nothing was measured: no candidate was tried"),
        (made_up.float_wins, "Float wins here"),
        (made_up.same_answers, "the same answer on all 210 samples"),
    ],
)
def test_the_verdict_stands_on_top(make: Callable[[], ReportData], said: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", render(make()))
    assert heading
    assert said in heading[1]


def test_every_trial_and_every_reason_is_in_the_table() -> None:
    data = made_up.typical()
    page = Page(render(data))
    for trial in data.trials:
        assert trial.name in page.text
        assert " ".join(trial.reason.split()) in page.text.replace("\u00a0", " ")


def test_a_long_reason_is_folded_but_whole() -> None:
    data = made_up.one_trial()
    reason = " ".join(f"word{n}" for n in range(400))
    page = Page(render(replace(data, trials=(replace(data.trials[0], reason=reason),))))
    assert ("details", {"class": "reason"}) in page.elements
    start = page.text.index("word0")
    words = re.findall(r"word\d+", page.text[start:])
    assert words[:400] == reason.split()


def test_pictures_stop_before_the_page_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_up.typical()
    monkeypatch.setattr("sanderling.report.view._PICTURE_BYTES", 2_500)
    html = render(data)
    assert "picture left out to keep the page small" in html
    assert 0 < html.count("data:image/") < len(data.examples)
    assert "this machine" in html


def test_the_worst_samples_come_first() -> None:
    data = made_up.typical()
    text = Page(render(replace(data, examples=data.examples[::-1]))).text
    places = [text.index(f"shore_{n:03d}.jpg") for n in range(6)]
    assert places == sorted(places)


def test_both_files_are_written_whole(tmp_path: Path) -> None:
    page, document = write_report(made_up.typical(), tmp_path / "new" / "folder")
    assert page.read_text(encoding="utf-8") == render(made_up.typical())
    assert document.read_text(encoding="utf-8") == made_up.typical().to_text()
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]
