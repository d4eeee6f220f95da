"""Opens the page in headless Chromium, and reads what it says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sanderling.deploy.order import Order
from sanderling.deploy.target import Check, Tell
from sanderling.deploy.web.build import FILE
from sanderling.errors import DeployError

CHROMIUM = (Path("/usr/bin/chromium"), Path("/usr/bin/google-chrome"))
_WHERE = "WebGPU in headless Chromium"
_SECONDS = 300  # a software adapter takes its time for large models
_SETTLED = (
    "() => ['right', 'wrong', 'failed', 'unable'].includes(document.querySelector('#verdict').dataset.state)"
)


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the page in a browser. See ``Target.check``."""
    missing = lacking()
    if missing:
        return (Check(_WHERE, reason=missing),)
    tell("the page tests itself in headless Chromium", 0, 0)
    with ThreadPoolExecutor(
        1
    ) as pool:  # Playwright refuses threads that have an event loop, as notebooks' do
        return (pool.submit(_tried, folder).result(),)


def _tried(folder: Path) -> Check:
    with launched() as chromium:
        return _read(opened(chromium, folder / FILE), folder)


def lacking() -> str:
    """Returns: what is not installed to open a page here, "" when all is."""
    if find_spec("playwright") is None:
        return "Playwright is not installed (pip install playwright)"
    return "" if _chromium() else "Chromium is not installed"


def _chromium() -> Path | None:
    return next((path for path in CHROMIUM if path.exists()), None)


@contextmanager
def launched(*more: str) -> Iterator[Any]:
    """Gives Playwright's headless Chromium, with WebGPU.

    Args:
        more: flags.
    """
    from playwright.sync_api import sync_playwright

    # Chromium refuses its sandbox to root.
    flags = ["--enable-unsafe-webgpu", *more, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=str(_chromium()), args=flags)
        try:
            yield chromium
        finally:
            chromium.close()


def opened(chromium: Any, file: Path, before: str = "", **settings: Any) -> Any:
    """Opens a page.

    Args:
        chromium: of ``launched``.
        before: a script that runs first.
        settings: of Playwright's ``new_page``.

    Returns: Playwright's page.
    """
    page = chromium.new_page(**settings)
    page.set_default_timeout(1000 * _SECONDS)
    if before:
        page.add_init_script(before)
    page.goto(file.resolve().as_uri())
    return page


def settled(page: Any) -> dict[str, str]:
    """Waits for the page's verdict on itself. Returns: its data."""
    page.wait_for_function(_SETTLED)
    found: dict[str, str] = page.evaluate("() => ({ ...document.querySelector('#verdict').dataset })")
    return found


def _read(page: Any, folder: Path) -> Check:
    from playwright.sync_api import Error

    try:
        found = settled(page)
        hint = page.inner_text("#hint")
    except Error as error:
        raise DeployError(
            f"the page does not come to an end in {_SECONDS} s ({error})", where=folder.name
        ) from None
    if found["state"] == "unable":
        return Check(_WHERE, reason=hint)
    if found["state"] == "failed":
        raise DeployError(f"the page does not run: {hint}", where=folder.name)
    gpu = page.inner_text("#trust").partition(" here by ")[2].partition(" in ")[0]
    told = max(page.evaluate("() => sanderling.proof()"), key=lambda row: _number(row["worst"]))
    return Check(f"{_WHERE} ({gpu})", told["examples"], _number(told["worst"]), told["output"])


def _number(text: str) -> float:
    return float(text.replace("Infinity", "inf").replace("NaN", "inf"))
