"""The page in a real browser: nothing overflows, sorting and tooltips work, nothing is fetched or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanderling.report.write import write_report
from tests.report import made_up, made_up_bench

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: no browser tests"
)
CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip("there is no /usr/bin/chromium: no browser tests", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


def opened(browser: Any, folder: Path, case: str, *, script: bool = True) -> tuple[Any, list[str]]:
    path, _ = write_report(made_up.CASES[case](), folder)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=script)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.goto(path.as_uri())
    return page, trouble


@pytest.mark.parametrize("case", ["typical", "hostile", "no_winner", "nothing", "huge_times"])
def test_nothing_overflows_nor_complains(browser: Any, tmp_path: Path, case: str) -> None:
    page, trouble = opened(browser, tmp_path, case)
    for width in (400, 760, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert trouble == []


def test_sorting_by_a_click(browser: Any, tmp_path: Path) -> None:
    page, trouble = opened(browser, tmp_path, "typical")

    def column(number: int) -> list[str]:
        values = page.eval_on_selector_all(
            f"table.trials tbody tr > :nth-child({number})", "c => c.map(x => x.dataset.value)"
        )
        return [v for v in values if v]

    button = page.get_by_role("button", name="p50")
    button.click()
    times = [float(v) for v in column(4)]
    assert times == sorted(times)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("p50")
    button.click()
    times = [float(v) for v in column(4)]
    assert times == sorted(times, reverse=True)
    last = page.locator("table.trials tbody tr").last
    assert "failed" in last.inner_text()  # what was not measured stays last
    assert trouble == []


def test_tooltips_by_pointer_and_by_keyboard(browser: Any, tmp_path: Path) -> None:
    page, trouble = opened(browser, tmp_path, "typical")
    tip = page.locator(".tip")
    assert not tip.is_visible()
    page.locator(".plot svg.wide").first.locator(".point:has(.best)").hover()
    assert "static int8, 3 operators float, 2 threads — the winner" in tip.inner_text()
    page.locator(".plot svg.wide").first.locator(".point[tabindex='0']").focus()
    first = tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert tip.is_visible()
    assert tip.inner_text() != first
    page.keyboard.press("Enter")
    page.wait_for_url("**#trial-*", timeout=10_000)
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    assert trouble == []


def test_it_works_without_javascript(browser: Any, tmp_path: Path) -> None:
    page, _ = opened(browser, tmp_path, "typical", script=False)
    assert page.locator("svg.wide .point title").count() == 2 * (len(made_up.ROWS) - 2 + 1)
    assert page.locator("table.trials tbody tr").count() == len(made_up.ROWS)
    assert page.locator("th button").count() == 0


@pytest.mark.parametrize("make", ["bench", "suite"])
def test_pages_of_bench_do_not_overflow_nor_complain(browser: Any, tmp_path: Path, make: str) -> None:
    for number, file in enumerate(made_up_bench.pages(tmp_path)[make]):
        context = browser.new_context()
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda message, trouble=trouble: trouble.append(message.text))
        page.on("pageerror", lambda error, trouble=trouble: trouble.append(str(error)))
        page.on("dialog", lambda dialog, trouble=trouble: trouble.append(dialog.message))
        page.goto(file.as_uri())
        for width in (380, 760, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (number, width)
        assert trouble == []
        styled = page.eval_on_selector(".band", "e => getComputedStyle(e).backgroundImage")
        assert "gradient" in styled  # the policy lets the style through
        context.close()
